package calibrate

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const udpHeader = 8

// A family is what differs between UDP over IPv4 and over IPv6.
type family struct {
	domain, header int
	sockaddr       int    // size of an address
	daddr, dport   string // keys of the cork
	any            netip.Addr
	unicast        func() netip.Addr
	multicast      func() netip.Addr
}

func (t *traffic) inet() family {
	return family{unix.AF_INET, 20, unix.SizeofSockaddrInet4, "sock.cork4_daddr", "sock.cork4_dport", netip.IPv4Unspecified(), loop4, multicast4}
}

func (t *traffic) inet6() family {
	return family{unix.AF_INET6, 40, unix.SizeofSockaddrInet6, "sock.cork6_daddr", "sock.cork6_dport", netip.IPv6Unspecified(),
		t.unicast6, func() netip.Addr { return random6(0xff, 0x0e) }}
}

// unicast6 gives the addresses of lo in turn, so that those of a socket differ.
func (t *traffic) unicast6() netip.Addr {
	t.turn++
	return t.six[t.turn%len(t.six)]
}

// udp sends a datagram in two parts from a connected socket to somebody else,
// and one from a socket that is not connected.
func (t *traffic) udp(f family) {
	rx := t.socket(f.domain, unix.SOCK_DGRAM, 0)
	rx.proto = unix.IPPROTO_UDP
	// The receiver may lie in memory behind the sender, so neither may its
	// address be that to which is sent, nor may it always be as far away.
	rx.bind(f.any)
	to := netip.AddrPortFrom(f.unicast(), rx.local.Port())
	for range rand.N(6) {
		t.socket(f.domain, unix.SOCK_DGRAM, 0)
	}
	tx := t.socket(f.domain, unix.SOCK_DGRAM, 0)
	tx.proto = unix.IPPROTO_UDP
	tx.bind(f.unicast())
	t.step(tx.fd, &Step{What: "udp: bound", Sock: tx.holds(closed)})
	tx.connect(netip.AddrPortFrom(f.unicast(), port()))

	// These are set after connect, which keeps them in the cork too.
	kept := map[string][]byte{
		"sock.mark": tx.setRandom(unix.SO_MARK, 1<<30), "sock.priority": tx.setRandom(unix.SO_PRIORITY, 1<<30),
		"sock.sndbuf": tx.setRandom(unix.SO_SNDBUF, 60000), "sock.rcvbuf": tx.setRandom(unix.SO_RCVBUF, 60000),
	}
	first, second := size(), size()
	t.step(tx.fd, &Step{What: "udp: corked by MSG_MORE, to an address", Sock: with(tx.holds(established), kept),
		Send: &Send{V6: f.domain == unix.AF_INET6, Len: first, Name: nameOf(to), NameLen: f.sockaddr}})
	tx.send(first, unix.MSG_MORE, to)

	sent := map[string]map[string]uint64{fnSendSkb4: nil}
	if f.domain == unix.AF_INET6 {
		sent = map[string]map[string]uint64{fnSendSkb6: nil}
	}
	// The second part goes into a page of its own, since lo can gather
	// (__ip_append_data in net/ipv4/ip_output.c).
	t.step(tx.fd, &Step{What: "udp: the rest of the datagram", Sock: with(tx.holds(established), map[string][]byte{
		"sock.pending": le32(f.domain), f.daddr: bytesOf(to.Addr()), f.dport: be16(to.Port())}),
		Send: &Send{V6: f.domain == unix.AF_INET6, Len: second}, Calls: sent,
		Packet: &Packet{V6: f.domain == unix.AF_INET6, Header: f.header, Len: f.header + udpHeader + first + second, DataLen: second, UDP: true}})
	tx.send(second, 0, netip.AddrPort{})
	rx.receive(first+second, true)

	alone := t.socket(f.domain, unix.SOCK_DGRAM, 0)
	alone.proto = unix.IPPROTO_UDP
	alone.bind(f.multicast())
	header := f.header
	if f.domain == unix.AF_INET {
		header += alone.options()
	}
	output := maps.Clone(sent)
	if f.domain == unix.AF_INET {
		output[fnIPOutput] = nil
	}
	n := size()
	t.step(alone.fd, &Step{What: "udp: not connected", Sock: alone.holds(closed),
		Send:   &Send{V6: f.domain == unix.AF_INET6, Len: n, Name: nameOf(to), NameLen: f.sockaddr},
		Packet: &Packet{V6: f.domain == unix.AF_INET6, Header: header, Len: header + udpHeader + n, UDP: true}, Calls: output})
	alone.send(n, 0, to)
	rx.receive(n, false)
}

// options gives the socket's packets IP options that say nothing, so that their
// headers have another length, which is returned.
func (s *sock) options() int {
	n := 4 * (1 + rand.N(9))
	nops := make([]byte, n)
	for i := range nops {
		nops[i] = 1 // IPOPT_NOOP
	}
	s.t.must("IP_OPTIONS", unix.SetsockoptString(s.fd, unix.SOL_IP, unix.IP_OPTIONS, string(nops)))
	return n
}

// receive takes a datagram, after a look at it if peek is set.
func (s *sock) receive(n int, peek bool) {
	step := s.t.step(s.fd, &Step{What: "udp: receive", Sock: s.holds(closed), Buffer: n + 1})
	buf := make([]byte, n+1)
	if peek {
		got, _, err := unix.Recvfrom(s.fd, buf, unix.MSG_PEEK)
		s.t.must("receive", err)
		step.Received = append(step.Received, -got)
	}
	got, _, err := unix.Recvfrom(s.fd, buf, 0)
	s.t.must("receive", err)
	step.Received = append(step.Received, got)
}

// raw sends a packet of a random protocol: it has no checksum whose start would
// be where its transport header is.
func (t *traffic) raw() {
	proto := rand.N(100) + 150 // unassigned
	s := t.socket(unix.AF_INET, unix.SOCK_RAW, proto)
	n := size()
	hold := s.holds(closed)
	hold["sock.num"] = le16(proto) // inet_create
	t.step(s.fd, &Step{What: "raw", Sock: hold, Packet: &Packet{Header: 20, Len: 20 + n}, Calls: map[string]map[string]uint64{fnIPOutput: nil}})
	s.send(n, 0, netip.AddrPortFrom(loop4(), 0))
}

// packet sends a packet of a random EtherType. Where packet sockets are not
// there already, to try would load them.
func (t *traffic) packet() {
	protocols, err := os.ReadFile("/proc/net/protocols")
	if err != nil || !strings.Contains(string(protocols), "PACKET") {
		return
	}
	s := t.socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	mark := t.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	n, ethertype := size(), uint16(rand.N(0x1000)+0xa000) // unassigned
	t.step(mark.fd, &Step{What: "packet", Packet: &Packet{EtherType: ethertype, Len: n}})
	to := unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(be16(ethertype)), Ifindex: 1, Halen: 6}
	t.must("send", unix.Sendto(s.fd, make([]byte, n), 0, &to))
}

// flags sets options that are bits of a socket's flags, in eight of their
// combinations, of which some are the others' opposites, and gives the sockets
// to users.
func (t *traffic) flags() {
	options := []struct {
		name int
		bit  uint64
	}{{unix.SO_OOBINLINE, 1 << 2}, {unix.SO_KEEPALIVE, 1 << 3}, {unix.SO_LINGER, 1 << 4}, {unix.SO_BROADCAST, 1 << 6}}
	for _, n := range rand.Perm(16)[:4] {
		for _, combination := range []int{n, 15 ^ n} {
			s := t.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			var set uint64
			for i, o := range options {
				switch on := combination >> i & 1; {
				case o.name == unix.SO_LINGER:
					t.must("linger", unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, o.name, &unix.Linger{Onoff: int32(on), Linger: 1}))
					set |= uint64(on) * o.bit
				default:
					t.must("option", unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o.name, on))
					set |= uint64(on) * o.bit
				}
			}
			holds := map[string][]byte{"sock.flags": le64(set)}
			if uid := rand.N(1 << 30); unix.Fchown(s.fd, uid, -1) == nil {
				holds["sock.uid"] = le32(uid)
			}
			t.step(s.fd, &Step{What: "flags and owner", Sock: holds})
		}
	}
}

// families makes sockets of families that every system has.
func (t *traffic) families() {
	for _, family := range []int{unix.AF_UNIX, unix.AF_NETLINK, unix.AF_INET} {
		mark := t.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		t.step(mark.fd, &Step{What: "new socket", Family: uint16(family)})
		t.socket(family, unix.SOCK_DGRAM, 0)
	}
}
