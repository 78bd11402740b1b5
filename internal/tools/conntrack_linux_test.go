package tools_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Rules that make connections tracked, and send one port to another.
const nftTracking = `
table inet track {
	chain early {
		type nat hook prerouting priority -100; policy accept;
		tcp dport 81 redirect to :5000
	}
	chain input {
		type filter hook input priority 0; policy accept;
		ct state invalid counter drop comment "invalid"
	}
}`

// Entries and windows are those of real connections: what is sent by both ends,
// in its order, tells them.
func TestConntrack(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("nft"), testkernel.Program("ping"), testkernel.Module("nf_tables"), testkernel.Module("nft_ct"),
		testkernel.Module("nf_conntrack"), testkernel.Module("nf_conntrack_netlink"), testkernel.Module("nft_chain_nat"), testkernel.Module("nft_redir"))
	_ = testkernel.Module("nft_counter")() // in nf_tables itself since 5.18
	a, b := testkernel.NetNSPair(t)
	a.Do(func() { setting(t, "ipv4/tcp_window_scaling", "0") })
	var servers []*tcpSocket
	b.Do(func() {
		nft(t, nftTracking)
		setting(t, "ipv4/tcp_window_scaling", "0")
		setting(t, "netfilter/nf_conntrack_udp_timeout", "1")
		setting(t, "netfilter/nf_conntrack_tcp_loose", "0")
		for _, addr := range []netip.Addr{b.Addr4, b.Addr6} {
			servers = append(servers, listenTCP(t, netip.AddrPortFrom(addr, 5000), 10))
		}
	})
	var wrong []string
	for n := range 3 { // the kernel can miss a hit in softirq
		if wrong = conntrackRound(t, a, b, servers, n); len(wrong) == 0 {
			return
		}
		t.Log("once more, after\n", strings.Join(wrong, "\n"))
	}
	t.Error(strings.Join(wrong, "\n"))
}

// conntrackRound makes traffic from a to b, and returns what is wrong with what
// is shown of it.
func conntrackRound(t *testing.T, a, b *testkernel.Namespace, servers []*tcpSocket, n int) (wrong []string) {
	t.Helper()
	miss := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	run := clitest.Start(t, "conntrack", "--format", "json", "--netns", b.Path())
	udpPort, oddPort := 4000+n, 4100+n
	datagrams := func() {
		a.Do(func() {
			for _, from := range []netip.Addr{a.Addr4, a.Addr6} {
				sendDatagram(t, netip.AddrPortFrom(from, uint16(udpPort)), netip.AddrPortFrom(peerOf(b, from), 9))
			}
		})
	}
	datagrams()
	first := time.Now()

	var clients []*tcpSocket
	sent := map[*tcpSocket][]segment{}
	for _, server := range servers {
		client, segments := converse(t, a, b, server)
		clients = append(clients, client)
		sent[client] = segments
		a.Do(func() {
			if err := testkernel.Start(t, nil, "ping", "-c", "1", server.local.Addr().String()).Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	b.Do(func() {
		before := map[string]int{}
		nftCounters(t, before)
		a.Do(func() { sendInvalid(t, a, b, clients[0], sent[clients[0]], oddPort) })
		counters := map[string]int{}
		until(t, "the invalid packets are counted", func() bool {
			nftCounters(t, counters)
			return counters["invalid"] >= before["invalid"]+5
		})
	})
	time.Sleep(time.Until(first.Add(1500 * time.Millisecond))) // the entries' time is over then
	datagrams()
	b.Do(func() { flushConntrack(t) })
	events := run.Stop().OK().Events()

	want := []clitest.Event{
		{"event": "conntrack.tcp", "verdict": "invalid", "sport": oddPort, "dport": 5000, "saddr": "192.0.2.1", "flags": "ACK", "dir": "original"},
		{"event": "conntrack.tcp", "verdict": "invalid", "sport": oddPort, "dport": 5001, "flags": "SYN", "reason": "bad checksum"},
		{"event": "conntrack.tcp", "verdict": "invalid", "sport": int(clients[0].local.Port()), "flags": "ACK"},
		{"event": "conntrack.invalid", "verdict": "invalid", "proto": "udp", "saddr": "192.0.2.1", "sport": oddPort, "daddr": "192.0.2.2", "dport": 9, "reason": "bad checksum"},
		{"event": "conntrack.invalid", "verdict": "invalid", "proto": "udp", "saddr": "2001:db8::1", "sport": oddPort, "dport": 9, "reason": "bad checksum"},
	}
	for i := range want {
		want[i]["netns"] = int(b.Inode())
	}
	if !clitest.Calibrated() { // what is in an entry is not measured
		want = append(want, entriesOf(a, b, clients, udpPort)...)
	}
	for _, want := range want {
		if found := clitest.Select(events, want); len(found) != 1 {
			miss("shown %d times: %v", len(found), want)
		}
	}
	for _, e := range events {
		if e["verdict"] == "invalid" && e["dport"] == 81 && (!strings.Contains(fmt.Sprint(e["reason"]), "SEQ is over") || e["state"] != "ESTABLISHED" && !clitest.Calibrated()) {
			miss("a segment that is far ahead: %v", e)
		}
		if e["event"] == "conntrack.destroyed" && e["proto"] == "udp" && e["sport"] == udpPort {
			if d, ok := e["duration_ms"].(float64); !ok || d < 0 || d > 60_000 {
				miss("how long it was there: %v", e)
			}
		}
	}
	for _, client := range clients {
		if !clitest.Calibrated() {
			packets := clitest.Select(events, clitest.Event{"event": "conntrack.tcp", "verdict": "accept", "sport": int(client.local.Port())})
			wrong = append(wrong, checkWindows(packets, sent[client])...)
		}
	}
	if len(wrong) > 0 {
		for _, e := range events {
			t.Log(e)
		}
	}
	return wrong
}

// entriesOf are the events of entries that a round makes.
func entriesOf(a, b *testkernel.Namespace, clients []*tcpSocket, udpPort int) (want []clitest.Event) {
	for _, c := range clients {
		from, to := c.local.Addr().String(), peerOf(b, c.local.Addr()).String()
		entry := clitest.Event{"proto": "tcp", "saddr": from, "sport": int(c.local.Port()), "daddr": to, "dport": 81,
			"reply_saddr": to, "reply_sport": 5000, "reply_daddr": from, "reply_dport": int(c.local.Port()), "netns": int(b.Inode())}
		want = append(want, entry.With("event", "conntrack.new"), entry.With("event", "conntrack.destroyed", "state", "ESTABLISHED"))
		entry = clitest.Event{"event": "conntrack.new", "proto": "icmp", "family": "inet", "saddr": from, "daddr": to, "reply_saddr": to, "reply_daddr": from}
		if c.local.Addr().Is6() {
			entry = entry.With("proto", "icmp6", "family", "inet6")
		}
		want = append(want, entry, entry.With("event", "conntrack.destroyed"))
	}
	return want
}

// peerOf is the address of a namespace in the family of another.
func peerOf(n *testkernel.Namespace, of netip.Addr) netip.Addr {
	if of.Is4() {
		return n.Addr4
	}
	return n.Addr6
}

func sendDatagram(t testing.TB, from, to netip.AddrPort) {
	t.Helper()
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, sockaddrOf(from)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, []byte("x"), 0, sockaddrOf(to)); err != nil {
		t.Fatal(err)
	}
}

// converse opens a connection to a server by its other port, and lets both ends
// say something. It returns when all of that is acknowledged, with what was sent.
func converse(t *testing.T, a, b *testkernel.Namespace, server *tcpSocket) (client *tcpSocket, sent []segment) {
	t.Helper()
	var here, there *wire
	b.Do(func() { there = listenWire(t) })
	a.Do(func() {
		here = listenWire(t)
		client = dial(t, netip.AddrPortFrom(server.local.Addr(), 81))
		until(t, "there is a connection", client.isConnected)
	})
	accepted := server.accept()
	for _, s := range []*tcpSocket{client, accepted} {
		if _, err := unix.Write(s.fd, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		until(t, "it is acknowledged", func() bool { return s.unacked() == 0 })
	}
	for _, s := range append(here.segments(), there.segments()...) {
		if s.src == client.local || s.dst == client.local {
			sent = append(sent, s)
		}
	}
	return client, sent
}

// sendInvalid sends five packets that are invalid: a segment of a connection that
// is far beyond its window, one of no connection, and three with wrong checksums.
func sendInvalid(t *testing.T, a, b *testkernel.Namespace, client *tcpSocket, sent []segment, port int) {
	t.Helper()
	s := newSender(t, a.Dev)
	f := frame{smac: s.mac}
	b.Do(func() {
		i, err := net.InterfaceByName(b.Dev)
		if err != nil {
			t.Fatal(err)
		}
		f.dmac = i.HardwareAddr
	})
	send := func(v6 bool, l4 any, spoilt bool) {
		f, proto, at := f, layers.IPProtocolTCP, 16
		switch l4 := l4.(type) {
		case *layers.TCP:
			l4.Window, f.l4 = 1000, l4
		case *layers.UDP:
			proto, at, f.l4 = layers.IPProtocolUDP, 6, l4
		}
		if v6 {
			f.ip6 = &layers.IPv6{SrcIP: a.Addr6.AsSlice(), DstIP: b.Addr6.AsSlice(), NextHeader: proto}
			at += 40
		} else {
			f.ip = ip4(a.Addr4.String(), b.Addr4.String(), proto)
			at += 20
		}
		if spoilt {
			f.spoil = func(b []byte) { b[at]++ }
		}
		s.send(f.bytes(t))
	}
	var last segment
	for _, s := range sent {
		if s.src == client.local {
			last = s
		}
	}
	send(false, &layers.TCP{SrcPort: layers.TCPPort(client.local.Port()), DstPort: 81, Seq: last.seq + 1<<30, Ack: last.ack, ACK: true}, false)
	send(false, &layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 5000, Seq: 1, Ack: 1, ACK: true}, false)
	send(false, &layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 5001, Seq: 1, SYN: true}, true)
	send(false, udp(port, 9), true)
	send(true, udp(port, 9), true)
}

// A side is what an entry knows of one end of a connection.
type side struct{ end, maxend, maxwin uint32 }

// later is the later of two sequence numbers.
func later(a, b uint32) uint32 {
	if int32(a-b) > 0 {
		return a
	}
	return b
}

// checkWindows holds the packets that were tracked against those that were sent,
// and what the entry knew at each against those before it.
func checkWindows(events []clitest.Event, sent []segment) (wrong []string) {
	name := func(reply, push bool, seq, ack any) string { return fmt.Sprint(reply, push, seq, " ", ack) }
	payload := map[string]int{}
	var got, want []string
	for _, s := range sent {
		key := name(s.src.Port() == 81, s.payload > 0, s.seq, s.ack)
		want = append(want, key)
		payload[key] = s.payload
	}
	number := func(e clitest.Event, column string) uint32 { n, _ := e[column].(int); return uint32(n) }
	sides := map[bool]*side{false: {}, true: {}}
	states := []any{nil, "SYN_SENT", "SYN_RECV"}
	for i, e := range events {
		reply, seq, ack, win, flags := e["dir"] == "reply", number(e, "seq"), number(e, "ack_seq"), number(e, "win"), fmt.Sprint(e["flags"])
		key := name(reply, strings.Contains(flags, "PSH"), seq, ack)
		got = append(got, key)
		state := any("ESTABLISHED")
		if i < len(states) {
			state = states[i]
		}
		if e["state"] != state {
			wrong = append(wrong, fmt.Sprintf("state of the entry, in truth %v: %v", state, e))
		}
		for prefix, s := range map[string]*side{"orig_": sides[false], "reply_": sides[true]} {
			if shown := (side{number(e, prefix+"td_end"), number(e, prefix+"td_maxend"), number(e, prefix+"td_maxwin")}); i > 1 && shown != *s {
				wrong = append(wrong, fmt.Sprintf("%s%v, in truth %v: %v", prefix, shown, *s, e))
			}
		}
		s, other := sides[reply], sides[!reply]
		end := seq + uint32(payload[key])
		if strings.Contains(flags, "SYN") {
			end++
			*s = side{end, end, win}
		}
		s.end, s.maxwin = later(s.end, end), max(s.maxwin, win)
		if strings.Contains(flags, "ACK") {
			other.maxend = later(other.maxend, ack+win)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		wrong = append(wrong, "sent (-), tracked (+)\n"+diff)
	}
	return wrong
}

// flushConntrack removes all entries of the calling thread's namespace.
func flushConntrack(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// struct nlmsghdr with IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK, and a struct nfgenmsg.
	b := make([]byte, 20)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.NFNL_SUBSYS_CTNETLINK<<8|2)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64)
	if n, _, err := unix.Recvfrom(fd, answer, 0); err != nil || n < 20 || int32(binary.NativeEndian.Uint32(answer[16:])) != 0 {
		t.Fatalf("flush of the connection table: %v, %x", err, answer[:n])
	}
}
