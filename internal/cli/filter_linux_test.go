package cli_test

import (
	"encoding/csv"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// converse makes datagrams that differ in all that filters look at. Their
// sizes tell them apart.
func converse(t *testing.T) {
	t.Helper()
	var open []*net.UDPConn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	listen := func(network, addr string) *net.UDPConn {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c.(*net.UDPConn))
		return c.(*net.UDPConn)
	}
	dial := func(from, to string) *net.UDPConn {
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))}
		c, err := d.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c.(*net.UDPConn))
		return c.(*net.UDPConn)
	}
	r1, r2, r3 := listen("udp4", "127.0.0.1:7001"), listen("udp4", "127.0.0.2:7002"), listen("udp6", "[::1]:7003")
	s1, s2, s3 := listen("udp4", "127.0.0.1:6001"), listen("udp6", "[::1]:6003"), listen("udp", "[::]:6004")
	c1, c2 := dial("127.0.0.1:6005", "127.0.0.1:7001"), dial("[::1]:6006", "[::1]:7003")
	give := func(s *net.UDPConn, size int, to, at *net.UDPConn) {
		t.Helper()
		var err error
		if to == nil {
			_, err = s.Write(make([]byte, size))
		} else {
			_, err = s.WriteTo(make([]byte, size), to.LocalAddr())
		}
		if err == nil {
			_, _, err = at.ReadFrom(make([]byte, 1000))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	give(s1, 10, r1, r1)
	give(s1, 20, r2, r2)
	give(c1, 30, nil, r1)
	give(s2, 40, r3, r3)
	give(s3, 50, r1, r1) // IPv4 from a socket of IPv6
	give(c2, 60, nil, r3)
	raw, err := s1.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Send(int(fd), make([]byte, 70), 0) })
	if err != unix.EDESTADDRREQ {
		t.Fatal(err)
	}
	give(s1, 7001, r1, r1) // a size like a port
}

// plain are the events of this process, without what differs between probes.
func plain(events []clitest.Event) []clitest.Event {
	var mine []clitest.Event
	for _, e := range events {
		if e["pid"] == os.Getpid() {
			delete(e, "time")
			delete(e, "cpu")
			delete(e, "netns")
			mine = append(mine, e)
		}
	}
	return mine
}

// TestFilters compares what each filter leaves of the same traffic with what
// it should leave; filters that the kernel can decide also with themselves
// when it may not.
func TestFilters(t *testing.T) {
	needs(t)
	ns := testkernel.NetNS(t)
	num := func(e clitest.Event, name string) int { n, _ := e[name].(int); return n }
	in := func(e clitest.Event, prefix string) bool {
		for _, name := range []string{"laddr", "raddr"} {
			s, _ := e[name].(string)
			if a, err := netip.ParseAddr(s); err == nil && netip.MustParsePrefix(prefix).Contains(a) {
				return true
			}
		}
		return false
	}
	comm, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(comm))
	long := make([]string, 1000)
	for i := range long {
		long[i] = fmt.Sprint(6001 + 2*i)
	}
	type filter struct {
		flags []string
		want  func(e clitest.Event) bool
	}
	filters := []filter{
		{[]string{"--port", "7001"}, func(e clitest.Event) bool { return e["lport"] == 7001 || e["rport"] == 7001 }},
		{[]string{"--lport", "7001,6003"}, func(e clitest.Event) bool { return e["lport"] == 7001 || e["lport"] == 6003 }},
		{[]string{"--rport", "7002", "--rport", "7003"}, func(e clitest.Event) bool { return e["rport"] == 7002 || e["rport"] == 7003 }},
		{[]string{"--rport", strings.Join(long, ",")}, func(e clitest.Event) bool { n := num(e, "rport"); return n >= 6001 && n < 8001 && n%2 == 1 }},
		{[]string{"--addr", "127.0.0.2"}, func(e clitest.Event) bool { return in(e, "127.0.0.2/32") }},
		{[]string{"--addr", "127.0.0.0/31"}, func(e clitest.Event) bool { return in(e, "127.0.0.0/31") }},
		{[]string{"--addr", "127.0.0.0/8"}, func(e clitest.Event) bool { return in(e, "127.0.0.0/8") }},
		{[]string{"--addr", "10.0.0.0/8,::1"}, func(e clitest.Event) bool { return in(e, "::1/128") }},
		{[]string{"-4"}, func(e clitest.Event) bool { return e["family"] == "inet" }},
		{[]string{"-6"}, func(e clitest.Event) bool { return e["family"] == "inet6" }},
		{[]string{"-4", "-6"}, func(e clitest.Event) bool { return true }},
		{[]string{"--comm", name}, func(e clitest.Event) bool { return true }},
		{[]string{"--comm", "nobody"}, func(e clitest.Event) bool { return false }},
		{[]string{"--netns", fmt.Sprint(ns.Inode())}, func(e clitest.Event) bool { return true }},
		{[]string{"--netns", "1"}, func(e clitest.Event) bool { return false }},
		{[]string{"--pid", fmt.Sprint(os.Getpid())}, func(e clitest.Event) bool { return true }},
		{[]string{"--pid", "1"}, func(e clitest.Event) bool { return false }},
		{[]string{"-4", "--port", "7001", "--where", "size > 10", "--send"}, func(e clitest.Event) bool {
			return e["event"] == "udp.sendmsg" && e["family"] == "inet" && e["rport"] == 7001 && num(e, "size") > 10
		}},
	}
	where := func(expr string, want func(e clitest.Event) bool) {
		for _, text := range []string{expr, "pid > 0 ? (" + expr + ") : false"} { // the kernel is not asked about the second
			filters = append(filters, filter{[]string{"--where", text}, want})
		}
	}
	where(`rport == 7001`, func(e clitest.Event) bool { return e["rport"] == 7001 })
	where(`rport != 7001`, func(e clitest.Event) bool { return e["rport"] != nil && e["rport"] != 7001 })
	where(`rport == 7001 || size == 20`, func(e clitest.Event) bool { return e["rport"] == 7001 || e["size"] == 20 })
	where(`rport > 6999 && size % 20 == 0`, func(e clitest.Event) bool { return num(e, "rport") > 6999 && num(e, "size")%20 == 0 })
	where(`size >= 30 && size < 60`, func(e clitest.Event) bool { return num(e, "size") >= 30 && num(e, "size") < 60 })
	where(`raddr == "127.0.0.1"`, func(e clitest.Event) bool { return e["raddr"] == "127.0.0.1" })
	where(`raddr != "127.0.0.1"`, func(e clitest.Event) bool { return e["raddr"] != nil && e["raddr"] != "127.0.0.1" })
	where(`raddr == "::1" || laddr == "::"`, func(e clitest.Event) bool { return e["raddr"] == "::1" || e["laddr"] == "::" })
	where(`raddr in ["127.0.0.2/31"] && event == "udp.sendmsg"`, func(e clitest.Event) bool {
		return e["raddr"] == "127.0.0.2" && e["event"] == "udp.sendmsg"
	})
	where(`dest == "connected"`, func(e clitest.Event) bool { return e["dest"] == "connected" })
	where(`dest == "address" && family == "inet6"`, func(e clitest.Event) bool { return e["dest"] == "address" && e["family"] == "inet6" })
	where(`dest != "address"`, func(e clitest.Event) bool { return e["dest"] != nil && e["dest"] != "address" })
	where(`rport == nil`, func(e clitest.Event) bool { return e["rport"] == nil })
	where(`sock_rport == 0 && sock_raddr == "0.0.0.0"`, func(e clitest.Event) bool { return e["sock_rport"] == 0 && e["sock_raddr"] == "0.0.0.0" })
	where(fmt.Sprintf(`pid == %d && comm startsWith %q && cpu >= 0`, os.Getpid(), name[:3]), func(e clitest.Event) bool { return true })
	where(`event == "udp.recvmsg" && lport == rport + 1000`, func(e clitest.Event) bool {
		return e["event"] == "udp.recvmsg" && num(e, "lport") == num(e, "rport")+1000
	})

	// Several at once: memory is what limits how many.
	for batch := range slices.Chunk(filters, 6) {
		runs := make([]*clitest.Run, len(batch))
		all := clitest.Begin(t, "udp", "--format", "json")
		for i, f := range batch {
			runs[i] = clitest.Begin(t, append([]string{"udp", "--format", "json"}, f.flags...)...)
		}
		for _, r := range append(runs, all) {
			r.Armed()
		}
		converse(t)
		events := plain(all.Stop().OK().Events())
		if len(events) != 15 {
			t.Fatalf("%d events without a filter, want 15", len(events))
		}
		for i, f := range batch {
			got := plain(runs[i].Stop().OK().Events())
			want := slices.DeleteFunc(slices.Clone(events), func(e clitest.Event) bool { return !f.want(e) })
			if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%q: %d events, want %d\ngot:  %v\nwant: %v", f.flags, len(got), len(want), got, want)
			}
		}
	}
	nothingLeft(t)
}

// TestVerbose looks at what -v says of a filter.
func TestVerbose(t *testing.T) {
	needs(t)
	for where, says := range map[string]string{
		`rport == 53`:                           "udp.sendmsg: filtered by the kernel: ",
		`size > 10 && size % 2 == 0`:            "; and by skprobe: size % 2 == 0",
		`raddr == "::1" || comm contains "dig"`: "filtered by skprobe: ",
		`pid > 0 ? (rport == 53) : false`:       "udp.sendmsg: filtered by skprobe: ",
		`event == "udp.recvmsg"`:                "udp.sendmsg on udp_sendmsg: not probed, the filter excludes it",
	} {
		r := clitest.Do(t, "udp", "-v", "--duration", "1ns", "--where", where).OK()
		if !strings.Contains(r.Stderr, says) || !strings.Contains(r.Stderr, "\np:skprobe_") {
			t.Errorf("--where %s: no %q in\n%s", where, says, r.Stderr)
		}
	}
}

// TestCgroup limits events to a cgroup.
func TestCgroup(t *testing.T) {
	needs(t)
	testkernel.Needs(t, func() error {
		_, err := os.Stat("/sys/fs/cgroup/cgroup.procs")
		return err
	})
	if testkernel.InVM() {
		// What systemd does elsewhere. Until some controller is handed down, new
		// cgroups have not even those that need no handing down, perf_event.
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+pids"), 0); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("/sys/fs/cgroup", "skprobe-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r := clitest.Start(t, "udp", "--backend", "perf", "--send", "--format", "json", "--cgroup", dir) // tracefs cannot
	if err := send("127.0.0.1:9", 1); err != nil {
		t.Fatal(err)
	}
	cmd := clitest.Command("send+127.0.0.1:9+2", "child+send+127.0.0.1:9+3")
	cmd.Args[0] = "traffic"
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := send("127.0.0.1:9", 4); err != nil {
		t.Fatal(err)
	}
	var sizes []any
	for _, e := range r.Stop().OK().Events() {
		sizes = append(sizes, e["size"])
	}
	if !slices.Equal(sizes, []any{2, 3}) {
		t.Errorf("sizes %v, want those of the cgroup: 2 and 3", sizes)
	}
}

// TestCgroupColumn shows the cgroups of processes, of either version: the owners' too, in softirq.
func TestCgroupColumn(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Root)
	old := t.TempDir()
	// A hierarchy of version 1, without controllers.
	if err := unix.Mount("cgroup", old, "cgroup", 0, "none,name=skprobe"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(old, unix.MNT_DETACH)
	dir := filepath.Join(old, "box \x1b[31m")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	udp := clitest.Start(t, "udp", "--send", "--format", "json", "--with", "cgroup", "--where", `rport == 9 && cgroup startsWith "/box"`)
	connects := clitest.Start(t, "tcpconnect", "--format", "json", "--with", "cgroup", "--rport", port)
	table := clitest.Start(t, "udp", "--send", "--count-by", "cgroup", "--where", "size == 3")
	ready, end := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "end")
	p := testkernel.Start(t, func(string) bool { _, err := os.Stat(ready); return err == nil }, "sh", "-c",
		`echo $$ >"$1/cgroup.procs" && exec "$2" send+127.0.0.1:9+3 "connect+127.0.0.1:$3" "ready+$4" "await+$5"`, "sh", dir, clitest.Link(t, "traffic"), port, ready, end)
	if err := send("127.0.0.1:9", 1); err != nil { // from outside of it
		t.Fatal(err)
	}
	const name = "/box \x1b[31m"
	if events := udp.Stop().OK().Events(); len(events) != 1 || events[0]["size"] != 3 || events[0]["cgroup"] != name {
		t.Errorf("%v, want a datagram of 3 bytes", events)
	}
	found := clitest.Select(connects.Stop().OK().Events(), clitest.Event{"event": "tcp.connected"})
	if len(found) != 1 || found[0]["cgroup"] != name || found[0]["pid"] != p.Pid {
		t.Errorf("%v, want a connection of process %d", found, p.Pid)
	}
	if out := table.Stop().OK().Stdout; !strings.Contains(out, `/box \x1b[31m`) || strings.Contains(out, "\x1b") {
		t.Errorf("a hostile name reaches the terminal, or is not there: %q", out)
	}
	if err := os.WriteFile(end, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// TestPid limits events to a process that runs already: its threads, and the
// children that it makes from then on.
func TestPid(t *testing.T) {
	needs(t)
	ready, begin := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "begin")
	p := testkernel.Start(t, func(string) bool { _, err := os.Stat(ready); return err == nil }, clitest.Link(t, "traffic"),
		"ready+"+ready, "await+"+begin, "send+127.0.0.1:9+1", "thread+send+127.0.0.1:9+2", "child+send+127.0.0.1:9+3")
	r := clitest.Start(t, "udp", "--send", "--format", "json", "--pid", fmt.Sprint(p.Pid))
	if err := send("127.0.0.1:9", 4); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(begin, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	var sizes []any
	for _, e := range r.Stop().OK().Events() {
		sizes = append(sizes, e["size"])
	}
	if !slices.Equal(sizes, []any{1, 2, 3}) {
		t.Errorf("sizes %v, want 1, 2, 3", sizes)
	}
}

// TestEnds lets a run end by itself.
func TestEnds(t *testing.T) {
	needs(t)
	r := clitest.Start(t, "udp", "--send", "--format", "json", "--count", "3")
	for i := range 10 {
		if err := send("127.0.0.1:9", i); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.Wait().OK().Events()); n != 3 {
		t.Errorf("--count 3 gave %d", n)
	}
	start := time.Now()
	clitest.Do(t, "udp", "--duration", "300ms").OK()
	if d := time.Since(start); d < 300*time.Millisecond {
		t.Errorf("--duration 300ms took %v", d)
	}
	nothingLeft(t)
}

// TestFormats writes the same events in all formats, to a file.
func TestFormats(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	dir := t.TempDir()
	file := func(format string) string { return filepath.Join(dir, format) }
	var runs []*clitest.Run
	for _, format := range []string{"json", "csv", "table"} {
		runs = append(runs, clitest.Begin(t, "udp", "--format", format, "-o", file(format), "--wide"))
	}
	for _, r := range runs {
		r.Armed()
	}
	converse(t)
	texts := map[string]string{}
	for i, format := range []string{"json", "csv", "table"} {
		if r := runs[i].Stop().OK(); r.Stdout != "" {
			t.Errorf("%s: -o and still on stdout: %q", format, r.Stdout)
		}
		b, err := os.ReadFile(file(format))
		if err != nil {
			t.Fatal(err)
		}
		texts[format] = string(b)
	}
	events, err := clitest.ParseJSON(texts["json"])
	if err != nil || len(events) != 15 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	rows, err := csv.NewReader(strings.NewReader(texts["csv"])).ReadAll()
	if err != nil || len(rows) != 16 {
		t.Fatalf("csv: %d rows, %v:\n%s", len(rows), err, texts["csv"])
	}
	lines := strings.Split(strings.TrimSpace(texts["table"]), "\n")
	if len(lines) < 16 {
		t.Fatalf("table: %d lines:\n%s", len(lines), texts["table"])
	}
	t.Logf("\n%s", texts["table"])
	for i, e := range events {
		for col, name := range rows[0] {
			if name == "time" || name == "cpu" {
				continue
			}
			want := ""
			if v, ok := e[name]; ok {
				want = fmt.Sprint(v)
			}
			if got := rows[i+1][col]; got != want {
				t.Errorf("event %d, %s: csv has %q, json %q", i, name, got, want)
			}
		}
		for _, name := range []string{"comm", "laddr", "lport", "raddr", "rport", "size", "dest", "sock_raddr"} {
			if v, ok := e[name]; ok && !slices.Contains(strings.Fields(lines[i+1]), fmt.Sprint(v)) {
				t.Errorf("event %d: %s %v is not in the table's line %q", i, name, v, lines[i+1])
			}
		}
	}
}

// TestOrder sends from two CPUs at once: lines are in the order of time, and
// all are there.
func TestOrder(t *testing.T) {
	needs(t)
	const each = 400
	cpus := min(2, runtime.NumCPU())
	r := clitest.Start(t, "udp", "--send", "--format", "json", "--pid", fmt.Sprint(os.Getpid()))
	var wg sync.WaitGroup
	for cpu := range cpus {
		wg.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				t.Error(err)
			}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer unix.Close(fd)
			for i := range each {
				if err := unix.Sendto(fd, make([]byte, i), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9 + cpu}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	res := r.Stop().OK()
	last, next, seen := "", map[any]int{}, map[any]bool{}
	for _, e := range res.Events() {
		now, _ := e["time"].(string)
		if now < last {
			t.Errorf("%s after %s", now, last)
		}
		last = now
		if e["size"] != next[e["rport"]] {
			t.Fatalf("size %v to %v, want %d", e["size"], e["rport"], next[e["rport"]])
		}
		next[e["rport"]]++
		seen[e["cpu"]] = true
	}
	for cpu := range cpus {
		if next[9+cpu] != each || !seen[cpu] {
			t.Errorf("CPU %d: %d of %d events; %s", cpu, next[9+cpu], each, res.Stderr)
		}
	}
}
