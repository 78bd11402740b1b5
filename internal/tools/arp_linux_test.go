package tools_test

import (
	"net"
	"os/exec"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// ping asks for a neighbour in ARP and in IPv6's neighbour discovery, and for
// one that is not there; both ends are seen.
func TestARP(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"), testkernel.Program("ip"))
	attempts(t, arpPings)
}

func arpPings(t *attempt) {
	a, b := testkernel.NetNSPair(t)
	macOf := func(n *testkernel.Namespace) (mac string) {
		n.Do(func() {
			dev, err := net.InterfaceByName(n.Dev)
			if err != nil {
				t.Fatal(err)
			}
			mac = dev.HardwareAddr.String()
		})
		return mac
	}
	run := clitest.Start(t, "arp", "--format", "json", "--wide")
	a.Do(func() {
		for _, to := range []string{b.Addr4.String(), b.Addr6.String()} {
			if out, err := exec.Command("ping", "-c", "1", "-W", "5", to).CombinedOutput(); err != nil {
				t.Errorf("ping %s: %v: %s", to, err, out)
			}
		}
		_ = exec.Command("ping", "-c", "1", "-W", "2", "192.0.2.77").Run() // nobody
	})
	events := run.Stop().OK().Events()

	macA, macB := macOf(a), macOf(b)
	question := clitest.Event{"ar_op": "request", "ar_sip": a.Addr4.String(), "ar_sha": macA, "ar_tip": b.Addr4.String(), "ar_tha": "00:00:00:00:00:00", "family": "inet"}
	answer := clitest.Event{"ar_op": "reply", "ar_sip": b.Addr4.String(), "ar_sha": macB, "ar_tip": a.Addr4.String(), "ar_tha": macA, "tries": 1}
	solicit := clitest.Event{"ar_op": "solicitation", "ar_sip": a.Addr6.String(), "ar_tip": b.Addr6.String(), "family": "inet6"}
	advertise := clitest.Event{"ar_op": "advertisement", "ar_sip": b.Addr6.String(), "ar_tip": b.Addr6.String(), "tries": 1}
	for _, want := range []struct {
		event, dev string
		fields     clitest.Event
		answers    bool
	}{
		{"arp.out", a.Dev, question, false}, {"arp.in", b.Dev, question, false},
		{"arp.out", b.Dev, answer, true}, {"arp.in", a.Dev, answer, true},
		{"nd.out", a.Dev, solicit, false}, {"nd.in", b.Dev, solicit, false},
		{"nd.out", b.Dev, advertise, true}, {"nd.in", a.Dev, advertise, true},
	} {
		found := clitest.Select(events, want.fields.With("event", want.event, "dev", want.dev))
		if len(found) != 1 {
			t.Errorf("%s on %s: %d events like %v", want.event, want.dev, len(found), want.fields)
			continue
		}
		us, ok := found[0]["latency_us"].(int)
		if ok != want.answers || us < 0 || us > 5e6 {
			t.Errorf("%v: latency_us %v", found[0], found[0]["latency_us"])
		}
		if asks := want.dev == a.Dev && !want.answers; asks != (found[0]["comm"] == "ping") || !asks && found[0]["pid"] != nil {
			t.Errorf("not the process that asks: %v", found[0])
		}
	}
	if found := clitest.Select(events, clitest.Event{"event": "nd.in", "ar_op": "advertisement", "ar_sha": macB}); len(found) != 1 {
		t.Errorf("%d advertisements with the MAC of their frame", len(found))
	}
	open := clitest.Select(events, clitest.Event{"event": "arp.unanswered", "dev": a.Dev})
	if len(open) != 1 || open[0]["ar_tip"] != "192.0.2.77" || open[0]["tries"].(int) < 1 {
		t.Errorf("not answered: %v", open)
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}
