package tools_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

func runIP(t *testing.T, commands ...string) {
	t.Helper()
	for _, args := range commands {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
}

// A route is a namespace that forwards between two others.
type route struct {
	from, through *testkernel.Namespace
	to            *testkernel.Namespace // the test's own
	addr4, addr6  string                // of to
}

// newRoute makes from → through → to.
func newRoute(t *testing.T) *route {
	t.Helper()
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("sysctl"), testkernel.Module("veth"))
	a, b := testkernel.NetNSPair(t)
	c := testkernel.NetNS(t)
	b.Do(func() {
		runIP(t, "link add veth2 type veth peer name veth3 netns "+c.Path(),
			"addr add 198.51.100.1/24 dev veth2", "addr add 2001:db8:1::1/64 dev veth2 nodad", "link set veth2 up")
		for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
			if out, err := exec.Command("sysctl", "-w", key+"=1").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	})
	runIP(t, "addr add 198.51.100.2/24 dev veth3", "addr add 2001:db8:1::2/64 dev veth3 nodad", "link set veth3 up",
		"route add default via 198.51.100.1", "route add default via 2001:db8:1::1")
	a.Do(func() { runIP(t, "route add default via "+b.Addr4.String(), "route add default via "+b.Addr6.String()) })
	return &route{a, b, c, "198.51.100.2", "2001:db8:1::2"}
}

// TestPacketPlaces follows echo requests over a router: each is at each place
// once, on the right device, with its sender where it is the sender's doing.
func TestPacketPlaces(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"))
	r := newRoute(t)
	attempts(t, func(t *attempt) { packetPlaces(t, r) })
}

func packetPlaces(t *attempt, r *route) {
	at := "all,ip_rcv,ipv6_rcv,ip6_output"
	if clitest.Calibrated() {
		at = "rx,tx,queue,forward,local-in" // the parameters of the others are not measured
	}
	run := clitest.Start(t, "packet", "--at", at, "--format", "json", "icmp[icmptype] = icmp-echo or icmp6[icmp6type] = icmp6-echo")
	r.from.Do(func() {
		for _, to := range []string{r.addr4, r.addr6} {
			if out, err := exec.Command("ping", "-c", "3", "-i", "0.2", "-W", "10", to).CombinedOutput(); err != nil {
				t.Fatalf("ping %s: %v: %s", to, err, out)
			}
		}
	})
	events := run.Stop().OK().Events()
	for _, family := range []struct {
		to, proto string
		typ       int
	}{{r.addr4, "icmp", 8}, {r.addr6, "icmp6", 128}} {
		for seq := 1; seq <= 3; seq++ {
			echo := clitest.Event{"proto": family.proto, "daddr": family.to, "icmp_type": family.typ, "icmp_seq": seq}
			for _, place := range []struct{ event, dev string }{
				{"packet.local-out", ""}, {"packet.queue", "veth0"}, {"packet.tx", "veth0"},
				{"packet.rx", "veth1"}, {"packet.forward", "veth1"}, {"packet.queue", "veth2"}, {"packet.tx", "veth2"},
				{"packet.rx", "veth3"}, {"packet.local-in", "veth3"},
			} {
				if clitest.Calibrated() && place.event == "packet.local-out" {
					continue
				}
				want := echo.With("event", place.event, "dev", any(place.dev))
				if place.dev == "" {
					want["dev"] = nil
				}
				found := clitest.Select(events, want)
				if len(found) != 1 {
					t.Errorf("%d events like %v", len(found), want)
					continue
				}
				sent := place.event == "packet.local-out" || place.event == "packet.queue" && place.dev == "veth0"
				if seq == 1 && place.event == "packet.queue" {
					continue // it waited for the neighbour's MAC, and goes on with the answer
				}
				if e := found[0]; sent != (e["comm"] == "ping") || sent != (e["pid"] != nil) {
					t.Errorf("whose is %v", e)
				}
			}
		}
	}
	if !clitest.Calibrated() {
		for event, n := range map[string]int{"ip_rcv": 6, "ipv6_rcv": 6, "ip6_output": 6} { // at the router and beyond it; before and at the router
			if found := clitest.Select(events, clitest.Event{"event": event}); len(found) != n {
				t.Errorf("%d events at %s, want %d", len(found), event, n)
			}
		}
	}
	logPackets(t, events)
}

// logPackets shows what there was, if the test has failed.
func logPackets(t *attempt, events []clitest.Event) {
	if !t.Failed() {
		return
	}
	for _, e := range events {
		t.Log(e["event"], e["dev"], e["pid"], e["proto"], e["saddr"], e["daddr"], e["dport"], e["flags"], e["icmp_type"], e["icmp_seq"])
	}
}

// TestPacketLocalOut: what this host makes is seen once, whichever way the
// kernel makes it.
func TestPacketLocalOut(t *testing.T) {
	needsKprobes(t)
	if clitest.Calibrated() {
		return // the parameters of its functions are not measured
	}
	attempts(t, packetLocalOut)
}

func packetLocalOut(t *attempt) {
	n := testkernel.NetNS(t)
	run := clitest.Start(t, "packet", "--at", "local-out", "--format", "json", "--netns", n.Path())
	k := newTalk(t)
	for _, s := range []struct {
		domain int
		addr   string
	}{{unix.AF_INET, "127.0.0.1:4000"}, {unix.AF_INET6, "[::1]:4000"}, {unix.AF_INET, "224.0.0.1:4000"}} {
		to := netip.MustParseAddrPort(s.addr)
		sock := k.socket(s.domain, "")
		if to.Addr().IsMulticast() {
			if err := unix.SetsockoptInet4Addr(sock.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Sendto(sock.fd, []byte("hello"), 0, sock.sockaddr(to)); err != nil {
			t.Fatalf("%s: %v", s.addr, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:5000", "[::1]:5000"} {
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Fatal("somebody listens")
		}
	}
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) // with its own IP header
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	header := append([]byte("\x45\x00\x00\x00\x12\x34\x00\x00\x40\xfd\x00\x00\x7f\x00\x00\x01\x7f\x00\x00\x02"), "data"...)
	if err := unix.Sendto(raw, header, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		t.Fatal(err)
	}
	events := run.Stop().OK().Events()
	pid := os.Getpid()
	for _, want := range []clitest.Event{
		{"proto": "udp", "daddr": "127.0.0.1", "dport": 4000, "pid": pid}, {"proto": "udp", "daddr": "::1", "dport": 4000, "pid": pid},
		{"proto": "udp", "daddr": "224.0.0.1", "dport": 4000, "pid": pid},
		{"proto": "tcp", "daddr": "127.0.0.1", "dport": 5000, "flags": "SYN", "pid": pid}, {"proto": "tcp", "daddr": "::1", "dport": 5000, "flags": "SYN", "pid": pid},
		{"proto": "tcp", "saddr": "127.0.0.1", "sport": 5000, "flags": "RST|ACK", "pid": nil}, {"proto": "tcp", "saddr": "::1", "sport": 5000, "flags": "RST|ACK", "pid": nil},
		{"proto": "253", "daddr": "127.0.0.2", "ip_len": 24, "pid": pid},
	} {
		if found := clitest.Select(events, want.With("event", "packet.local-out", "dev", nil)); len(found) != 1 {
			t.Errorf("%d events like %v", len(found), want)
		}
	}
	logPackets(t, events)
}

// TestPacketAt: what is no place, and what has no packet, is said.
func TestPacketAt(t *testing.T) {
	for _, c := range []struct{ at, want string }{
		{"rx,local in", `--at rx,local in: "local in" is no place: there are rx, tx, queue, forward, local-in, local-out, all, and functions`},
		{"", `"" is no place`},
	} {
		if r := clitest.Do(t, "packet", "--at", c.at).Is(2); !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%q: %s", c.at, r.Stderr)
		}
	}
	needsKprobes(t)
	if clitest.Calibrated() {
		return
	}
	for _, c := range []struct {
		at, want string
		status   int
	}{
		{"udp_recvmsg", "no parameter of udp_recvmsg is a struct sk_buff *; it has struct sock *sk, struct msghdr *msg,", 2},
		{"rx,no_such_function", "no_such_function", 3},
	} {
		if r := clitest.Do(t, "packet", "--duration", "1ns", "--at", c.at).Is(c.status); !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%q: %s", c.at, r.Stderr)
		}
	}
}

// TestPacketFilters: the filter flags of packets, and tcpdump's language.
func TestPacketFilters(t *testing.T) {
	needsKprobes(t)
	testkernel.NetNS(t)
	filters := map[string]struct {
		args []string
		want func(e clitest.Event) bool
	}{
		"--port":      {[]string{"--port", "4001"}, func(e clitest.Event) bool { return e["sport"] == 4001 || e["dport"] == 4001 }},
		"--addr":      {[]string{"--addr", "127.0.0.2/32"}, func(e clitest.Event) bool { return e["saddr"] == "127.0.0.2" || e["daddr"] == "127.0.0.2" }},
		"-4":          {[]string{"-4"}, func(e clitest.Event) bool { return e["ethertype"] == "0x0800" }},
		"-6":          {[]string{"-6"}, func(e clitest.Event) bool { return e["ethertype"] == "0x86dd" }},
		"pcap filter": {[]string{"udp", "dst", "port", "4000", "or", "4001"}, func(e clitest.Event) bool { return e["proto"] == "udp" && (e["dport"] == 4000 || e["dport"] == 4001) }},
		"both":        {[]string{"--port", "4001", "ip6 or icmp"}, func(e clitest.Event) bool { return e["ethertype"] == "0x86dd" && e["dport"] == 4001 }},
		"nothing":     {nil, func(clitest.Event) bool { return true }},
	}
	runs := map[string]*clitest.Run{}
	for name, f := range filters {
		runs[name] = clitest.Start(t, append([]string{"packet", "--at", "rx", "--format", "json", "--where", `dev == "lo"`}, f.args...)...)
	}
	k := newTalk(t)
	for _, to := range []string{"127.0.0.1:4000", "127.0.0.2:4001", "[::1]:4000", "[::1]:4001", "127.0.0.1:4002"} {
		addr := netip.MustParseAddrPort(to)
		domain := unix.AF_INET
		if addr.Addr().Is6() {
			domain = unix.AF_INET6
		}
		s := k.socket(domain, "")
		if err := unix.Sendto(s.fd, []byte("hello"), 0, s.sockaddr(addr)); err != nil {
			t.Fatal(err)
		}
	}
	all := runs["nothing"].Stop().OK().Events()
	if len(all) < 10 {
		t.Errorf("only %d events", len(all))
	}
	for name, f := range filters {
		if name == "nothing" {
			continue
		}
		want := 0
		for _, e := range all {
			if f.want(e) {
				want++
			}
		}
		got := runs[name].Stop().OK().Events()
		if len(got) != want || want == 0 || want == len(all) {
			t.Errorf("%s: %d events, want %d of %d", name, len(got), want, len(all))
		}
		for _, e := range got {
			if !f.want(e) {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
}
