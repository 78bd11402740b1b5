package tools_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A way to lose a packet.
type way struct {
	name string
	// needs tells why this kernel does not show it, nil if it does.
	needs func(testing.TB) error
	lose  func(l *loser)
	// want is what must be shown of the packet, beside the source MAC that the
	// way was given, or alone where it has want["smac"] nil.
	want clitest.Event
	// reason by kernel, "" for any other than those named; none is checked on a
	// kernel without reasons.
	reason map[string]string
	// task: it is lost by a task, that of the test, and not in softirq.
	task bool
	// many: more packets are lost than one, and some perhaps for another reason.
	many bool
	// places are the functions in which it is lost, over kernels.
	places []string
}

// A loser is where the packets of a way are lost, and from whom they come.
type loser struct {
	testing.TB
	*sender
	smac, dmac net.HardwareAddr
	src, dst   string // IPv4
	dst6       string
	from       *testkernel.Namespace // where the sender is
}

// frame is one from the loser's own MAC.
func (l *loser) frame() frame { return frame{smac: l.smac, dmac: l.dmac} }

// kernelVersion is the running kernel's first two numbers.
func kernelVersion(t testing.TB) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	return parts[0] + "." + parts[1]
}

// hasReasons tells whether the kernel has reasons.
func hasReasons(t testing.TB) bool {
	text, err := os.ReadFile("/sys/kernel/tracing/events/skb/kfree_skb/format")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), " reason;")
}

// tcpDrops: before 5.17 TCP frees what it drops as if it had used it, in a
// function that the compiler may have made part of others.
func tcpDrops(t testing.TB) error {
	if hasReasons(t) {
		return nil
	}
	return testkernel.Symbol("tcp_drop")()
}

// lose runs drop, loses packets in all ways, and compares what is shown.
func lose(t *testing.T, ways []way, of func(n int) *loser, args ...string) []clitest.Event {
	t.Helper()
	ways = slices.DeleteFunc(slices.Clone(ways), func(w way) bool {
		if w.needs == nil {
			return false
		}
		err := w.needs(t)
		if err != nil {
			t.Logf("%s: not tried: %v", w.name, err)
		}
		return err != nil
	})
	run := clitest.Start(t, append([]string{"drop", "--format", "json"}, args...)...)
	losers := make([]*loser, len(ways))
	for i, w := range ways {
		losers[i] = of(i)
		w.lose(losers[i])
	}
	wants := make([]clitest.Event, len(ways))
	for i, w := range ways {
		wants[i] = clitest.Event{"smac": losers[i].smac.String()}
		for k, v := range w.want {
			if wants[i][k] = v; v == nil || (k == "vlan" || k == "state") && os.Getenv("SKPROBE_LAYOUT") == "calibrate" { // which does not know them
				delete(wants[i], k)
			}
		}
	}
	soon(run, wants) // fragments are given up after a second, and neighbours
	events := run.Stop().OK().Events()
	version, reasons := kernelVersion(t), hasReasons(t)
	for i, w := range ways {
		want := wants[i]
		seen := slices.DeleteFunc(slices.Clone(events), func(e clitest.Event) bool { return !e.Has(want) })
		if len(seen) == 0 {
			t.Errorf("%s: not shown: %v", w.name, want)
			for _, e := range events {
				if e["smac"] == want["smac"] || want["dport"] != nil && e["dport"] == want["dport"] {
					t.Errorf("but %v", e)
				}
			}
			continue
		}
		var wrong []string
		for _, e := range seen {
			t.Logf("%-26s %v %v", w.name, e["reason"], e["location"])
			if fault := w.fault(e, version, reasons); fault != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %s: %v", w.name, fault, e))
			}
		}
		if len(wrong) > 0 && !(w.many && len(wrong) < len(seen)) {
			t.Error(strings.Join(wrong, "\n"))
		}
		if len(seen) > 1 && !w.many {
			t.Errorf("%s: shown %d times", w.name, len(seen))
		}
	}
	return events
}

// fault is what is wrong with an event that shows the loss, "" if nothing is.
func (w *way) fault(e clitest.Event, version string, reasons bool) string {
	where, _ := e["location"].(string)
	if !slices.ContainsFunc(w.places, func(p string) bool {
		return where == p || strings.HasPrefix(where, p+"+") || strings.HasPrefix(where, p+".")
	}) {
		return fmt.Sprintf("not in %v", w.places)
	}
	want, known := w.reason[version]
	if !known {
		want = w.reason[""]
	}
	why, given := e["reason"].(string)
	switch {
	case given != reasons:
		return fmt.Sprintf("it has a reason: %t, and the kernel has some: %t", given, reasons)
	case given && why != want:
		return "the reason is not " + want
	case w.task && e["pid"] != os.Getpid():
		return "it is not of this process"
	case !w.task && e["pid"] != nil:
		return "a bystander is shown"
	}
	return ""
}

func dropNeeds(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes)
}

// The frame of an unknown type that is sent raw on lo, from a script that people
// used for this.
func TestDropFrame(t *testing.T) {
	dropNeeds(t)
	testkernel.NetNS(t)
	lo := newSender(t, "lo")
	run := clitest.Start(t, "drop", "--format", "json", "--where", `ethertype == 0x4321`)
	f := frame{smac: net.HardwareAddr{0, 0, 0x5e, 0, 0x53, 0}, dmac: make(net.HardwareAddr, 6), ethertype: 0x4321, payload: make([]byte, 46)}
	lo.send(f.bytes(t))
	events := run.Stop().OK().Events()
	want := clitest.Event{"smac": "00:00:5e:00:53:00", "dmac": "00:00:00:00:00:00", "ethertype": "0x4321", "dev": "lo", "len": 46}
	if len(events) != 1 || !events[0].Has(want) {
		t.Fatalf("%v, want %v", events, want)
	}
	for _, k := range []string{"saddr", "daddr", "sport", "dport", "proto", "vlan", "pid", "comm"} {
		if v, there := events[0][k]; there {
			t.Errorf("%s is %v", k, v)
		}
	}
}
