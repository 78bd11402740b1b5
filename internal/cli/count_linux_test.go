package cli_test

import (
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestCountPings counts the destinations of pings, most first: what the SystemTap script with foreach (d in dests-) does.
func TestCountPings(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ping"))
	testkernel.NetNS(t)
	for _, c := range []struct {
		sort string
		want []string
	}{{"desc", []string{"127.0.0.3", "127.0.0.1", "127.0.0.2"}}, {"asc", []string{"127.0.0.2", "127.0.0.1", "127.0.0.3"}}} {
		run := clitest.Start(t, "probe", "__ip_local_out skb:packet", "--where", "icmp_type == 8", "--count-by", "daddr", "--sort", c.sort)
		for dest, n := range map[string]string{"127.0.0.1": "2", "127.0.0.2": "1", "127.0.0.3": "4"} {
			if out, err := exec.Command("ping", "-n", "-c", n, "-i", "0.01", dest).CombinedOutput(); err != nil {
				t.Fatalf("ping: %v\n%s", err, out)
			}
		}
		ended := run.Stop().OK()
		want := "DADDR     COUNT\n"
		for _, d := range c.want {
			want += fmt.Sprintf("%s %5d\n", d, map[string]int{"127.0.0.1": 2, "127.0.0.2": 1, "127.0.0.3": 4}[d])
		}
		if ended.Stdout != want {
			t.Errorf("got\n%swant\n%s", ended.Stdout, want)
		}
		// The answers are made in softirq, where the kernel can miss them.
		if !strings.Contains(ended.Stderr, "\n7 events") {
			t.Errorf("summary: %q", ended.Stderr)
		}
	}
}

// TestCountProgram counts what a program and its children do, until it ends; with sums, histograms, and columns on request.
func TestCountProgram(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	program := clitest.Link(t, "traffic")
	do := func(flags ...string) []clitest.Event {
		t.Helper()
		args := append([]string{"udp", "--send", "--format", "json"}, flags...)
		r := clitest.Do(t, append(args, "--", program, "send+127.0.0.1:9+10", "send+127.0.0.1:9+20", "child+send+127.0.0.1:9+30",
			"send+127.0.0.1:10+40", "send+[::1]:9+1000")...).OK()
		rows := r.Events()
		for _, row := range rows {
			if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(row["time"])); err != nil {
				t.Error(err)
			}
			delete(row, "time")
		}
		return rows
	}
	check := func(got []clitest.Event, want string) {
		t.Helper()
		var lines []string
		for _, e := range got {
			lines = append(lines, fmt.Sprint(e))
		}
		if text := strings.Join(lines, "\n"); text != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	}
	check(do("--count-by", "family,rport", "--sum", "size"), `map[count:1 family:inet6 rport:9 sum_size:1000]
map[count:3 family:inet rport:9 sum_size:60]
map[count:1 family:inet rport:10 sum_size:40]`)
	check(do("--count-by", "raddr", "--where", "size < 1000", "--hist", "size"),
		`map[count:4 hist_size:map[buckets:[map[count:1 from:8 to:15] map[count:2 from:16 to:31] map[count:1 from:32 to:63]] count:4 max:40 p50:20 p90:40 p99:40] raddr:127.0.0.1]`)
	check(do("--sum", "size"), "map[count:5 sum_size:1100]")
	if rows := do("--count-by", "pid"); len(rows) != 2 || rows[0]["count"] != 4 || rows[1]["count"] != 1 || rows[0]["pid"] == rows[1]["pid"] {
		t.Errorf("by pid: %v", rows)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	check(do("--count-by", "netns"), fmt.Sprintf("map[count:5 netns:%d]", st.Ino))
	check(do("--with", "netns", "--count-by", "rport,netns", "--top", "1"), fmt.Sprintf("map[count:4 netns:%d rport:9]", st.Ino))
	check(do("--count-by", "event", "--count", "2"), "map[count:2 event:udp.sendmsg]")
	nothingLeft(t)
}

// TestCountEvery shows rows on time, whether something happens or not, every event in one of them, and at the end all of them in one.
func TestCountEvery(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	const every = 500 * time.Millisecond
	run := clitest.Start(t, "udp", "--send", "--format", "json", "--every", every.String(), "--sum", "size", "--total")
	lines := func() int { return strings.Count(run.Stdout(), "\n") }
	run.Until("3 rows are there without an event", func() bool { return lines() >= 3 })
	sent := 0
	for n := lines(); lines() < n+4; sent++ {
		if err := send("127.0.0.1:9", 10); err != nil {
			t.Fatal(err)
		}
	}
	rows := run.Stop().OK().Events()
	whole := rows[len(rows)-1]
	rows = rows[:len(rows)-1]
	if !whole.Has(clitest.Event{"total": true, "count": sent, "sum_size": 10 * sent}) {
		t.Errorf("%d datagrams were sent; at the end: %v", sent, whole)
	}
	sum, total := 0, 0
	var last time.Time
	for i, row := range rows {
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(row["time"]))
		if err != nil {
			t.Fatal(err)
		}
		// The last is of what was left at the end.
		if step := at.Sub(last); i > 0 && i < len(rows)-1 && (step < every-time.Millisecond || step > every+time.Millisecond) {
			t.Errorf("row %d is for %v, not %v", i, step, every)
		}
		last = at
		sum += row["sum_size"].(int)
		total += row["count"].(int)
	}
	if total != sent || sum != 10*sent {
		t.Errorf("%d datagrams were sent; counted: %d, %d bytes", sent, total, sum)
	}
	if rows[0]["count"] != 0 {
		t.Errorf("in quiet: %v", rows[0])
	}
}

// TestCountManyKeys counts a thousand destinations at the full rate, and loses none.
func TestCountManyKeys(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	const ports, rounds = 1000, 20
	run := clitest.Start(t, "udp", "--send", "--format", "json", "--strict", "--buffer", "4096", "--count-by", "comm,rport", "--sum", "size")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b := make([]byte, 7)
	start := time.Now()
	for range rounds {
		for port := range ports {
			// Nobody listens: the next send may be told of it instead of done.
			for unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Port: 10000 + port, Addr: [4]byte{127, 0, 0, 1}}) != nil {
			}
		}
	}
	took := time.Since(start)
	ended := run.Stop().OK()
	counts := map[int]int{}
	for _, row := range ended.Events() {
		port, _ := row["rport"].(int)
		counts[port] += row["count"].(int)
		if row["others"] != nil || row["sum_size"] != 7*row["count"].(int) {
			t.Errorf("%v", row)
		}
	}
	least := slices.Min(slices.Collect(maps.Values(counts)))
	if len(counts) != ports || least < rounds {
		t.Errorf("%d ports, the least with %d of %d datagrams\n%s", len(counts), least, rounds, ended.Stderr)
	}
	t.Logf("%d datagrams in %v; %s", ports*rounds, took, ended.Stderr)
}

// TestCountDuration ends by --duration, in the middle of a time for which rows are shown.
func TestCountDuration(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var lines []string
	for _, duration := range []string{"1s", "20s"} { // this test may be too late for the first
		run := clitest.Start(t, "udp", "--send", "--count-by", "rport", "--timer", "1h", "--duration", duration)
		c.Write([]byte("x"))
		if lines = strings.Split(run.Wait().OK().Stdout, "\n"); len(lines) == 4 && lines[1] == "RPORT COUNT" && lines[2] == "    9     1" {
			return
		}
	}
	t.Errorf("%q", lines)
}

func TestBadCounts(t *testing.T) {
	needs(t)
	for _, c := range []badCase{
		udpBad(2, `--count-by: no field "rprt" here; did you mean rport?`, "--count-by", "comm,rprt"),
		udpBad(2, `--sum: no field "nosuch" here; fields: time`, "--sum", "nosuch"),
		udpBad(2, "--count-by time: each event has one of its own", "--count-by", "time"),
		udpBad(2, "--count-by pid: it is named twice", "--count-by", "pid,pid"),
		udpBad(2, "it is one field or several", "--count-by", "pid,"),
		udpBad(2, "--sum comm: it is text, and only numbers can be added up", "--count-by", "pid", "--sum", "comm"),
		udpBad(2, "--sum raddr: it is an address", "--sum", "raddr"),
		udpBad(2, "--hist dest: it is text, and only numbers can be drawn as a histogram", "--hist", "dest"),
		udpBad(2, "flag needs an argument: --hist", "--hist"),
		udpBad(2, "--hist: it is a field", "--hist", ""),
		udpBad(2, "--top needs --count-by", "--sum", "size", "--top", "3"),
		udpBad(2, "--top -1: it cannot be negative", "--count-by", "pid", "--top", "-1"),
		udpBad(2, "--sort needs --count-by", "--sort", "asc"),
		udpBad(2, "--sort up:down: it is asc, desc, or a column", "--count-by", "pid", "--sort", "up:down"),
		udpBad(2, "--sort size: it is no column of the rows: pid, count, sum_size", "--count-by", "pid", "--sum", "size", "--sort", "size"),
		udpBad(2, "--every 1ms: it is 10ms at least", "--every", "1ms"),
		udpBad(2, "missing unit", "--every", "2"),
		udpBad(2, "--total needs --every", "--sum", "size", "--total"),
		udpBad(2, "--stack shows the stack of each event, and events are counted here", "--stack", "--count-by", "pid"),
		udpBad(2, `--with: no column "nosuch" on request here; there are: cgroup netns`, "--with", "netns,nosuch"),
		{[]string{"tcpstates", "--duration", "1ns", "--count-by", "pid"}, 2, []string{"--count-by pid: these events are not of a process"}},
	} {
		c.run(t)
	}
}
