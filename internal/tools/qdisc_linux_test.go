package tools_test

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Datagrams that come too fast for a token bucket wait in its queue, the later
// the longer, and those for which it has no room are dropped, as many as tc says.
func TestQdisc(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Program("tc"), testkernel.Module("sch_tbf"), testkernel.Since("4.16"))
	a, b := testkernel.NetNSPair(t)
	tc := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("tc", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("tc %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	a.Do(func() {
		if out, err := exec.Command("ping", "-c", "1", b.Addr4.String()).CombinedOutput(); err != nil { // the neighbour is known then
			t.Fatalf("%v: %s", err, out)
		}
		tc("qdisc", "add", "dev", a.Dev, "root", "handle", "77:", "tbf", "rate", "200kbit", "burst", "2000", "limit", "5000")
	})
	run := clitest.Start(t, "qdisc", "--format", "json")
	k := newTalk(t)
	sent := 0
	var stats []struct {
		Drops, Qlen int
		Handle      string
	}
	look := func() {
		t.Helper()
		if err := json.Unmarshal([]byte(tc("-s", "-j", "qdisc", "show", "dev", a.Dev)), &stats); err != nil || len(stats) == 0 {
			t.Fatal(err)
		}
	}
	a.Do(func() {
		s := k.socket(unix.AF_INET, "") // not connected: that nobody listens is no error for it
		// The queue has room for four, and one leaves it every 42 ms: a guest that is slow sends no faster at times.
		until(t, "some are dropped", func() bool {
			for range 10 {
				if err := unix.Sendto(s.fd, make([]byte, 1000), 0, s.sockaddr(netip.AddrPortFrom(b.Addr4, 9))); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			look()
			return stats[0].Drops > 0
		})
		until(t, "the queue is empty", func() bool { look(); return stats[0].Qlen == 0 })
	})
	events := run.Stop().OK().Events()

	const size = 1000 + 28 + 14
	find := func(name string) []clitest.Event {
		return clitest.Select(events, clitest.Event{"event": name, "dev": a.Dev, "len": size})
	}
	in, out, dropped := find("qdisc.enqueue"), find("qdisc.dequeue"), find("qdisc.drop")
	if len(dropped) == 0 || len(dropped) != stats[0].Drops {
		t.Errorf("%d drops, tc says %d", len(dropped), stats[0].Drops)
	}
	if len(out)+len(dropped) != sent {
		t.Errorf("%d let go and %d dropped of %d", len(out), len(dropped), sent)
	}
	if tells := len(clitest.Select(events, clitest.Event{"event": "qdisc.enqueue"})) > 0; tells && len(in) != len(out) {
		t.Errorf("%d taken in, %d let go", len(in), len(out))
	}
	at := func(e clitest.Event) time.Time {
		when, err := time.Parse(time.RFC3339Nano, e["time"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	longest := 0
	for i, e := range out {
		wait, ok := e["wait_us"].(int)
		longest = max(longest, wait)
		if !ok || e["handle"] != 0x77<<16 {
			t.Errorf("the %d. that is let go: %v", i+1, e)
		} else if len(in) == len(out) { // the first that comes is the first that goes
			if between := at(e).Sub(at(in[i])).Microseconds(); int64(wait) < between-2000 || int64(wait) > between+2000 {
				t.Errorf("the %d. waited for %d µs, and %d were between", i+1, wait, between)
			}
		}
	}
	if longest < 30_000 {
		t.Errorf("none waited for longer than %d µs, and each takes 42 ms", longest)
	}
	named := 0 // of who had it dropped; the kernel can miss such a call in softirq
	for _, e := range dropped {
		if where, _ := e["location"].(string); !strings.HasPrefix(where, "kfree_skb") {
			named++
		}
		if _, waited := e["wait_us"]; waited || e["location"] == nil {
			t.Errorf("dropped without being taken in: %v", e)
		}
	}
	if len(dropped) > 0 && named == 0 && testkernel.Kprobes() == nil {
		t.Error("all are dropped by a function that frees lists, which is not the place")
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}
