package tools_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Echoes and their answers at both ends, with the process that pings, and the
// error about a port where nobody listens, with the packet that met it.
func TestICMP(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"))
	attempts(t, icmpPings)
}

func icmpPings(t *attempt) {
	a, b := testkernel.NetNSPair(t)
	run := clitest.Start(t, "icmp", "--format", "json", "--wide")
	pids := map[string]int{}
	a.Do(func() {
		for _, to := range []string{b.Addr4.String(), b.Addr6.String()} {
			ping := exec.Command("ping", "-c", "2", "-i", "0.2", "-W", "5", "-p", "ff", to)
			if out, err := ping.CombinedOutput(); err != nil {
				t.Errorf("ping %s: %v: %s", to, err, out)
			}
			pids[to] = ping.Process.Pid
		}
	})
	k := newTalk(t)
	var from4, from6 *socket
	a.Do(func() {
		from4, from6 = k.socket(unix.AF_INET, ""), k.socket(unix.AF_INET6, "")
		for _, s := range []*socket{from4, from6} {
			to := b.Addr4
			if s == from6 {
				to = b.Addr6
			}
			s.connect(netip.AddrPortFrom(to, 9999))
			if err := unix.Send(s.fd, []byte("nobody"), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	events := run.Stop().OK().Events()

	one := func(what string, want clitest.Event, n int) clitest.Event {
		t.Helper()
		if clitest.Calibrated() && want["event"] == "icmp.out" {
			return clitest.Event{} // the parameters of its functions are not measured
		}
		found := clitest.Select(events, want)
		if len(found) != n {
			t.Errorf("%s: %d events, want %d like %v", what, len(found), n, want)
		}
		if len(found) == 0 {
			return clitest.Event{}
		}
		return found[0]
	}
	for _, f := range []struct {
		proto                                    string
		request, reply, unreachable, port, udpIn int
		from, to                                 string
		socket                                   *socket
	}{
		{"icmp", 8, 0, 3, 3, 17, a.Addr4.String(), b.Addr4.String(), from4},
		{"icmp6", 128, 129, 1, 4, 17, a.Addr6.String(), b.Addr6.String(), from6},
	} {
		for seq := 1; seq <= 2; seq++ {
			asks := clitest.Event{"proto": f.proto, "saddr": f.from, "daddr": f.to, "icmp_type": f.request, "icmp_code": 0, "icmp_seq": seq}
			out := one("asks", asks.With("event", "icmp.out", "dev", a.Dev), 1)
			in := one("is asked", asks.With("event", "icmp.in", "dev", b.Dev), 1)
			if !clitest.Calibrated() && (out["pid"] != pids[f.to] || out["comm"] != "ping" || in["icmp_id"] != out["icmp_id"]) {
				t.Errorf("not ping's: %v comes in as %v", out, in)
			}
			if in["icmp_id"] == nil || in["pid"] != nil {
				t.Errorf("%v", in)
			}
			answers := clitest.Event{"proto": f.proto, "saddr": f.to, "daddr": f.from, "icmp_type": f.reply, "icmp_seq": seq, "icmp_id": in["icmp_id"]}
			if e := one("answers", answers.With("event", "icmp.out", "dev", b.Dev), 1); e["pid"] != nil {
				t.Errorf("a bystander: %v", e)
			}
			one("is answered", answers.With("event", "icmp.in", "dev", a.Dev), 1)
		}
		quoted := clitest.Event{"event": "icmp.in", "dev": a.Dev, "proto": f.proto, "icmp_type": f.unreachable, "icmp_code": f.port, "quoted_proto": "udp",
			"quoted_saddr": f.from, "quoted_daddr": f.to, "quoted_sport": int(f.socket.local.Port()), "quoted_dport": 9999}
		one("the error", quoted, 1)
		one("the error goes out", quoted.With("event", "icmp.out", "dev", b.Dev), 1)
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}

// TestICMPError: an error that a socket is told of is shown with the socket;
// that about a datagram of a socket which is not connected reaches none.
func TestICMPError(t *testing.T) {
	needsKprobes(t)
	a, b := testkernel.NetNSPair(t)
	var wrong []string
	for range 3 { // the kernel can miss a hit in softirq
		if wrong = icmpErrors(t, a, b); len(wrong) == 0 {
			return
		}
		t.Log("once more, after ", wrong)
	}
	t.Error(strings.Join(wrong, "\n"))
}

// icmpErrors makes errors, and returns what is wrong with what is shown of them.
func icmpErrors(t *testing.T, a, b *testkernel.Namespace) (wrong []string) {
	t.Helper()
	run := clitest.Start(t, "icmp", "--error", "--format", "json")
	k := newTalk(t)
	var wants []clitest.Event
	a.Do(func() {
		for _, c := range []struct {
			domain int
			to     netip.Addr
			event  clitest.Event
		}{
			{unix.AF_INET, b.Addr4, clitest.Event{"proto": "icmp", "icmp_type": 3, "icmp_code": 3, "family": "inet", "laddr": a.Addr4.String()}},
			{unix.AF_INET6, b.Addr6, clitest.Event{"proto": "icmp6", "icmp_type": 1, "icmp_code": 4, "family": "inet6", "laddr": a.Addr6.String()}},
		} {
			to := netip.AddrPortFrom(c.to, 9998)
			free := k.socket(c.domain, "")
			if err := unix.Sendto(free.fd, []byte("nobody"), 0, free.sockaddr(to)); err != nil {
				t.Fatal(err)
			}
			s := k.socket(c.domain, "")
			s.connect(to)
			if err := unix.Send(s.fd, []byte("nobody"), 0); err != nil {
				t.Fatal(err)
			}
			// It is told: that is what the event says.
			arrived(t, s.fd)
			if _, _, err := unix.Recvfrom(s.fd, make([]byte, 10), 0); err != unix.ECONNREFUSED {
				t.Errorf("the socket gets %v", err)
			}
			wants = append(wants, c.event.With("event", "icmp.error", "dev", a.Dev, "saddr", c.to.String(), "daddr", c.event["laddr"], "quoted_proto", "udp", "quoted_sport", int(s.local.Port()),
				"quoted_dport", 9998, "lport", int(s.local.Port()), "raddr", c.to.String(), "rport", 9998, "pid", nil))
		}
	})
	events := run.Stop().OK().Events()
	for _, want := range wants {
		if n := len(clitest.Select(events, want)); n != 1 {
			wrong = append(wrong, fmt.Sprintf("%d events like %v", n, want))
		}
	}
	if ours := clitest.Select(events, clitest.Event{"quoted_dport": 9998}); len(ours) > len(wants) || len(wrong) > 0 {
		wrong = append(wrong, fmt.Sprint(ours))
	}
	return wrong
}
