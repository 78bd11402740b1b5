package calibrate

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tcp lets connections wait at a listening socket, accepts one, and speaks over
// it. Packets of TCP have other room in front of them than those of UDP.
func (t *traffic) tcp(f family) {
	server := t.socket(f.domain, unix.SOCK_STREAM, unix.IPPROTO_TCP).bind(f.unicast())
	limit := rand.N(60) + 20
	t.step(server.fd, &Step{What: "tcp: listen", Sock: server.holds(closed), Listen: true})
	t.must("listen", unix.Listen(server.fd, limit))
	waiting, begun := 0, 0
	listen := func(calls map[string]map[string]uint64) {
		t.settled(server.fd, waiting)
		t.step(server.fd, &Step{What: "tcp: listening", Calls: calls, Sock: with(server.holds(listening), map[string][]byte{
			"sock.max_ack_backlog": le16(limit), "sock.ack_backlog": le16(waiting), "sock.qlen": le32(begun)})})
	}
	listen(nil)
	packets := func() *Packet { return &Packet{V6: f.domain == unix.AF_INET6, Header: f.header, TCP: true} }
	var clients []*sock
	for range 2 + rand.N(2) {
		c := t.socket(f.domain, unix.SOCK_STREAM, unix.IPPROTO_TCP).bind(f.unicast())
		t.step(c.fd, &Step{What: "tcp: connect", Sock: c.holds(closed), Packet: packets(),
			Calls: map[string]map[string]uint64{fnConnect: nil, fnSetState: {"state": synSent}}})
		c.connect(server.local)
		waiting++
		clients = append(clients, c)
		listen(nil)
	}
	for range 2 + rand.N(3) {
		t.begin(f, server.local)
		begun++
		listen(nil)
	}
	t.refused(f)
	listen(map[string]map[string]uint64{fnAccept: nil})
	fd, _, err := unix.Accept4(server.fd, unix.SOCK_CLOEXEC)
	t.must("accept", err)
	t.fds = append(t.fds, fd)
	waiting--
	listen(nil)
	child := &sock{t: t, fd: fd, domain: f.domain, typ: unix.SOCK_STREAM, proto: unix.IPPROTO_TCP, local: server.local}
	from, err := unix.Getpeername(fd)
	t.must("getpeername", err)
	child.remote = addrPort(from)
	i := slices.IndexFunc(clients, func(c *sock) bool { return c.local == child.remote })
	if i < 0 {
		return
	}
	t.talk(clients[i], child, packets)
	t.step(clients[i].fd, &Step{What: "tcp: shutdown", Sock: clients[i].holdsTCP(),
		Calls: map[string]map[string]uint64{fnSetState: {"state": finWait1}}})
	t.must("shutdown", unix.Shutdown(clients[i].fd, unix.SHUT_WR))
	for _, s := range []*sock{clients[i], child} {
		t.step(s.fd, &Step{What: "tcp: half closed", Sock: s.holdsTCP()})
	}
}

// settled waits until so many connections wait at a listening socket: on a busy
// system another thread takes the packets that make them.
func (t *traffic) settled(fd, waiting int) {
	for range 100 {
		info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
		// For a listening socket these are the backlog and its limit
		// (tcp_get_info in net/ipv4/tcp.c).
		if err != nil || int(info.Unacked) == waiting {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// begin begins a connection that never comes about: the client takes no
// packets, so the server has it in its queue of requests. It has once the client
// has refused the answer.
func (t *traffic) begin(f family, to netip.AddrPort) {
	c := t.socket(f.domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP).bind(f.unicast())
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	t.must("filter", unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none}))
	if err := unix.Connect(c.fd, sockaddr(to)); err != unix.EINPROGRESS {
		t.must("connect", err)
	}
	for range 100 {
		if n, ok := drops(c.fd); n > 0 || !ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// drops is how many packets for a socket were dropped, which it tells since 4.12.
func drops(fd int) (n uint32, ok bool) {
	var info [9]uint32 // SK_MEMINFO_DROPS is the last one, in include/uapi/linux/sock_diag.h
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[8], errno == 0 && size == uint32(unsafe.Sizeof(info))
}

// refused is a connection that fails while nobody waits for it, so that its error
// stays in the socket.
func (t *traffic) refused(f family) {
	nobody := t.socket(f.domain, unix.SOCK_STREAM, unix.IPPROTO_TCP).bind(f.unicast())
	c := t.socket(f.domain, unix.SOCK_STREAM, unix.IPPROTO_TCP).bind(f.unicast())
	t.must("nonblock", unix.SetNonblock(c.fd, true))
	if err := unix.Connect(c.fd, sockaddr(nobody.local)); err != unix.EINPROGRESS {
		t.must("connect", err)
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, 1000)
	t.step(c.fd, &Step{What: "tcp: refused", Sock: map[string][]byte{"sock.err": le32(int(unix.ECONNREFUSED))}})
}

// talk sends some bytes to and fro.
func (t *traffic) talk(a, b *sock, packets func() *Packet) {
	for _, s := range []*sock{a, b} {
		t.step(s.fd, &Step{What: "tcp: connected", Sock: s.holdsTCP()})
	}
	// As many sends as one way are not made the other, so that segments in and
	// out, with and without data, differ.
	for i, ends := range [][2]*sock{{a, b}, {b, a}} {
		flags := [2]int{unix.MSG_WAITALL, unix.MSG_WAITALL | unix.MSG_NOSIGNAL}[i]
		for range 1 + rand.N(4) {
			n := size()
			t.step(ends[0].fd, &Step{What: "tcp: send", Sock: ends[0].holdsTCP(), Packet: packets(),
				Calls: map[string]map[string]uint64{fnSendTCP: {"size": uint64(n)}}})
			ends[0].send(n, 0, netip.AddrPort{})
			// The bytes are there, unless the system is so busy that another
			// thread delivers them.
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(ends[1].fd), Events: unix.POLLIN}}, 1000)
			t.step(ends[1].fd, &Step{What: "tcp: receive", Sock: ends[1].holdsTCP(),
				Calls: map[string]map[string]uint64{fnCleanup: {"copied": uint64(n)}, fnRecvTCP: {"len": uint64(n), "flags": uint64(flags)}}})
			_, _, err := unix.Recvfrom(ends[1].fd, make([]byte, n), flags)
			t.must("receive", err)
		}
	}
	for _, s := range []*sock{a, b} {
		t.step(s.fd, &Step{What: "tcp: after some bytes", Sock: s.holdsTCP()})
	}
}

// holdsTCP is what a connected socket holds, with its counters as it tells them
// itself. Those that it does not tell yet are 0, which is no evidence.
func (s *sock) holdsTCP() map[string][]byte {
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.SOL_TCP, unix.TCP_INFO)
	s.t.must("TCP_INFO", err)
	return with(s.holds(int(info.State)), map[string][]byte{
		"sock.bytes_received": le64(info.Bytes_received), "sock.bytes_acked": le64(info.Bytes_acked), "sock.bytes_sent": le64(info.Bytes_sent),
		"sock.err": le32(0), "sock.segs_in": le32(int(info.Segs_in)), "sock.segs_out": le32(int(info.Segs_out)),
		"sock.data_segs_in": le32(int(info.Data_segs_in)), "sock.data_segs_out": le32(int(info.Data_segs_out)),
	})
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
