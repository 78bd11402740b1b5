package tools_test

import (
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Echoes and their answers at both ends, with the process that pings, and the
// error about a port where nobody listens, with the packet that met it.
func TestICMP(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"))
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
	time.Sleep(200 * time.Millisecond)
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
			out := one("asks", asks.With("event", "icmp.out"), 1)
			in := one("is asked", asks.With("event", "icmp.in", "dev", b.Dev), 1)
			if !clitest.Calibrated() && (out["pid"] != pids[f.to] || out["comm"] != "ping" || in["icmp_id"] != out["icmp_id"]) {
				t.Errorf("not ping's: %v comes in as %v", out, in)
			}
			if in["icmp_id"] == nil || in["pid"] != nil {
				t.Errorf("%v", in)
			}
			answers := clitest.Event{"proto": f.proto, "saddr": f.to, "daddr": f.from, "icmp_type": f.reply, "icmp_seq": seq, "icmp_id": in["icmp_id"]}
			if e := one("answers", answers.With("event", "icmp.out"), 1); e["pid"] != nil {
				t.Errorf("a bystander: %v", e)
			}
			one("is answered", answers.With("event", "icmp.in", "dev", a.Dev), 1)
		}
		quoted := clitest.Event{"event": "icmp.in", "dev": a.Dev, "proto": f.proto, "icmp_type": f.unreachable, "icmp_code": f.port, "quoted_proto": "udp",
			"quoted_saddr": f.from, "quoted_daddr": f.to, "quoted_sport": int(f.socket.local.Port()), "quoted_dport": 9999}
		one("the error", quoted, 1)
		one("the error goes out", quoted.With("event", "icmp.out", "dev", nil), 1)
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}
