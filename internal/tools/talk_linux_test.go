package tools_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
)

// A talk is a thread that sends and receives datagrams and notes what skprobe
// must show of each.
type talk struct {
	t        testing.TB
	pid, tid int
	comm     string
	want     []noted
}

// A noted event is what must be shown, and what it was.
type noted struct {
	what  string
	event clitest.Event
}

// newTalk is a talk by the calling thread, to which the caller is locked.
func newTalk(t testing.TB) *talk {
	comm, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return &talk{t: t, pid: os.Getpid(), tid: unix.Gettid(), comm: strings.TrimSpace(string(comm))}
}

// A socket is a UDP socket and what is known of it.
type socket struct {
	k     *talk
	fd    int
	v6    bool
	local netip.AddrPort // as the socket has it, IPv4-mapped shown as IPv4
	peer  netip.AddrPort
}

// socket makes a socket bound to an address; port 0 is any.
func (k *talk) socket(domain int, bind string) *socket {
	k.t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { unix.Close(fd) })
	s := &socket{k: k, fd: fd, v6: domain == unix.AF_INET6}
	zero := netip.IPv4Unspecified()
	if s.v6 {
		zero = netip.IPv6Unspecified()
	}
	s.local, s.peer = netip.AddrPortFrom(zero, 0), netip.AddrPortFrom(zero, 0)
	if bind != "" {
		if err := unix.Bind(fd, s.sockaddr(netip.MustParseAddrPort(bind))); err != nil {
			k.t.Fatalf("bind %s: %v", bind, err)
		}
		s.look()
	}
	return s
}

// look asks for the socket's address.
func (s *socket) look() {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		s.k.t.Fatal(err)
	}
	s.local = addrPort(sa)
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// sockaddr is an address in the form that the socket's family has.
func (s *socket) sockaddr(a netip.AddrPort) unix.Sockaddr {
	if s.v6 {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

func (s *socket) connect(to netip.AddrPort) *socket {
	s.k.t.Helper()
	if err := unix.Connect(s.fd, s.sockaddr(to)); err != nil {
		s.k.t.Fatalf("connect %s: %v", to, err)
	}
	s.peer = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s.look()
	return s
}

func (s *socket) setInt(level, opt, value int) {
	s.k.t.Helper()
	if err := unix.SetsockoptInt(s.fd, level, opt, value); err != nil {
		s.k.t.Fatal(err)
	}
}

// event is what all events of the socket have.
func (s *socket) event(name string, size int) clitest.Event {
	family := "inet"
	if s.v6 {
		family = "inet6"
	}
	return clitest.Event{"event": name, "pid": s.k.pid, "tid": s.k.tid, "comm": s.k.comm, "family": family,
		"laddr": s.local.Addr().String(), "lport": int(s.local.Port()), "size": size,
		"sock_raddr": s.peer.Addr().String(), "sock_rport": int(s.peer.Port())}
}

// sent notes a send; dest "" is one without a destination. It is called after
// the send, when the socket has a port.
func (s *socket) sent(what string, size int, dest string, to netip.AddrPort) {
	if s.local.Port() == 0 {
		s.look()
	}
	e := s.event("udp.sendmsg", size)
	if dest != "" {
		e["dest"], e["raddr"], e["rport"] = dest, to.Addr().Unmap().String(), int(to.Port())
	}
	s.k.want = append(s.k.want, noted{what, e})
}

// got notes a receive.
func (s *socket) got(what string, size int, from netip.AddrPort) {
	e := s.event("udp.recvmsg", size)
	e["raddr"], e["rport"] = from.Addr().Unmap().String(), int(from.Port())
	s.k.want = append(s.k.want, noted{what, e})
}

// sendto sends, and notes it.
func (s *socket) sendto(what string, size int, to netip.AddrPort) {
	s.k.t.Helper()
	if err := unix.Sendto(s.fd, make([]byte, size), 0, s.sockaddr(to)); err != nil {
		s.k.t.Fatalf("%s: %v", what, err)
	}
	s.sent(what, size, "address", to)
}

// send sends to the peer, and notes it.
func (s *socket) send(what string, size int) {
	s.k.t.Helper()
	if err := unix.Send(s.fd, make([]byte, size), 0); err != nil {
		s.k.t.Fatalf("%s: %v", what, err)
	}
	s.sent(what, size, "connected", s.peer)
}

// sendmsg sends with sendmsg, which the caller notes; to may be invalid.
func (s *socket) sendmsg(size, flags int, to netip.AddrPort) error {
	var sa unix.Sockaddr
	if to.IsValid() {
		sa = s.sockaddr(to)
	}
	_, err := unix.SendmsgN(s.fd, make([]byte, size), nil, sa, flags)
	return err
}

// recv receives into a buffer of that size, returns what the call returned,
// and notes it; from is whom it must come from.
func (s *socket) recv(what string, buffer, flags int, from netip.AddrPort) int {
	s.k.t.Helper()
	n, _, err := unix.Recvfrom(s.fd, make([]byte, buffer), flags)
	if err != nil {
		s.k.t.Fatalf("%s: %v", what, err)
	}
	s.got(what, n, from)
	return n
}

// An mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// mmsg calls sendmmsg or recvmmsg with messages of these sizes, and returns
// what each has afterwards.
func (s *socket) mmsg(call uintptr, sizes []int, to []netip.AddrPort) []int {
	s.k.t.Helper()
	msgs := make([]mmsghdr, len(sizes))
	iovs := make([]unix.Iovec, len(sizes))
	names := make([]unix.RawSockaddrInet6, len(sizes))
	for i, size := range sizes {
		b := make([]byte, size+1)
		iovs[i].Base = &b[0]
		iovs[i].SetLen(size)
		msgs[i].hdr.Iov = &iovs[i]
		msgs[i].hdr.SetIovlen(1)
		if i < len(to) && to[i].IsValid() {
			port := to[i].Port()<<8 | to[i].Port()>>8
			if s.v6 {
				names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: to[i].Addr().As16()}
				msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			} else {
				*(*unix.RawSockaddrInet4)(unsafe.Pointer(&names[i])) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: to[i].Addr().As4()}
				msgs[i].hdr.Namelen = unix.SizeofSockaddrInet4
			}
			msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&names[i]))
		}
	}
	n, _, errno := unix.Syscall6(call, uintptr(s.fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), 0, 0, 0)
	if errno != 0 || int(n) != len(msgs) {
		s.k.t.Fatalf("system call %d: %d messages, %v", call, n, errno)
	}
	var lens []int
	for i := range msgs {
		lens = append(lens, int(msgs[i].len))
	}
	return lens
}

// rawSendto sends to an address that package unix would not write.
func rawSendto(fd int, b []byte, sa *unix.RawSockaddrInet4) error {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0,
		uintptr(unsafe.Pointer(sa)), unix.SizeofSockaddrInet4)
	if errno != 0 {
		return errno
	}
	return nil
}
