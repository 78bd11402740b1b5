package tools_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Two hosts on a bridge: the first question for a MAC is flooded, the answer and
// what follows is forwarded, and what is for the bridge's own address goes up,
// while its answer comes down.
func TestBridge(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("brctl"), testkernel.Program("ping"), testkernel.Module("veth"), testkernel.Module("bridge"))
	attempts(t, bridgePings)
}

func bridgePings(t *attempt) {
	hosts := []*testkernel.Namespace{testkernel.NewNetNS(t), testkernel.NewNetNS(t), testkernel.NewNetNS(t)}
	bridge := testkernel.NewNetNS(t)
	run := func(line string) {
		t.Helper()
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	bridge.Do(func() {
		run("brctl addbr br0")
		for i, host := range hosts {
			n := string(rune('1' + i))
			run("ip link add p" + n + " type veth peer name eth0")
			run("ip link set eth0 address 02:00:00:00:00:0" + n)
			run("ip link set eth0 netns " + host.Path())
			run("brctl addif br0 p" + n)
			run("ip link set p" + n + " up")
			host.Do(func() {
				run("ip addr add 10.9.0." + n + "/24 dev eth0")
				run("ip link set eth0 up")
			})
		}
		run("ip link set br0 address 02:00:00:00:00:ff")
		run("ip addr add 10.9.0.254/24 dev br0")
		run("ip link set br0 up")
	})
	trace := clitest.Start(t, "bridge", "--format", "json", "--wide")
	hosts[0].Do(func() { run("ping -c 2 -W 5 10.9.0.2") })
	hosts[0].Do(func() { run("ping -c 1 -W 5 10.9.0.254") })
	events := trace.Stop().OK().Events()

	const mac1, mac2, macBridge, all = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:ff", "ff:ff:ff:ff:ff:ff"
	for _, want := range []struct {
		what  string
		event clitest.Event
		n     int
	}{
		{"a question enters", clitest.Event{"event": "bridge.in", "port": "p1", "port_no": 1, "smac": mac1, "dmac": all, "ethertype": "0x0806"}, 2},
		{"it is flooded to one port", clitest.Event{"event": "bridge.out", "port": "p2", "port_no": 2, "action": "flood", "smac": mac1, "dmac": all}, 2},
		{"and to the other", clitest.Event{"event": "bridge.out", "port": "p3", "port_no": 3, "action": "flood", "smac": mac1, "dmac": all}, 2},
		{"but not back", clitest.Event{"event": "bridge.out", "port": "p1", "dmac": all}, 0},
		{"and goes up", clitest.Event{"event": "bridge.up", "port": "p1", "smac": mac1, "dmac": all}, 2},
		{"pings enter", clitest.Event{"event": "bridge.in", "port": "p1", "dmac": mac2, "ethertype": "0x0800", "saddr": "10.9.0.1", "daddr": "10.9.0.2", "proto": "icmp"}, 2},
		{"and are forwarded", clitest.Event{"event": "bridge.out", "port": "p2", "action": "forward", "dmac": mac2, "saddr": "10.9.0.1", "proto": "icmp"}, 2},
		{"to no other", clitest.Event{"event": "bridge.out", "port": "p3", "dmac": mac2}, 0},
		{"and do not go up", clitest.Event{"event": "bridge.up", "dmac": mac2}, 0},
		{"answers are forwarded", clitest.Event{"event": "bridge.out", "port": "p1", "action": "forward", "smac": mac2, "saddr": "10.9.0.2", "proto": "icmp"}, 2},
		{"a ping of the bridge goes up", clitest.Event{"event": "bridge.up", "port": "p1", "dmac": macBridge, "proto": "icmp"}, 1},
		{"its answer comes down", clitest.Event{"event": "bridge.down", "bridge": "br0", "smac": macBridge, "dmac": mac1, "proto": "icmp"}, 1},
		{"and leaves", clitest.Event{"event": "bridge.out", "port": "p1", "action": "forward", "smac": macBridge, "dmac": mac1, "proto": "icmp"}, 1},
	} {
		found := clitest.Select(events, want.event.With("bridge", "br0"))
		if clitest.Calibrated() && want.n > 0 {
			// Without the ports more events may look like these.
			if len(found) == 0 {
				t.Errorf("%s: no event like %v", want.what, want.event)
			}
		} else if !clitest.Calibrated() && len(found) != want.n {
			t.Errorf("%s: %d events, want %d like %v", want.what, len(found), want.n, want.event)
		}
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}
