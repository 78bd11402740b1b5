package calibrate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A traffic makes steps. All of it happens on one thread.
type traffic struct {
	rec   *Recording
	netns uint32
	own   bool // the namespace is ours
	fds   []int
	six   []netip.Addr // addresses of IPv6 on lo, nil where there is none
	turn  int          // in them

	notes []string
}

// A piece is some traffic of one kind. A failure ends it, and is a note: other
// pieces go on.
func (t *traffic) piece(name string, f func()) {
	defer func() {
		t.closeAll()
		switch p := recover().(type) {
		case nil:
		case failure:
			t.notes = append(t.notes, fmt.Sprintf("%s: %v", name, p.error))
		default:
			panic(p)
		}
	}()
	f()
}

type failure struct{ error }

func (t *traffic) must(what string, err error) {
	if err != nil {
		panic(failure{fmt.Errorf("%s: %w", what, err)})
	}
}

func (t *traffic) closeAll() {
	for _, fd := range t.fds {
		unix.Close(fd)
	}
	t.fds = nil
}

// step begins a step with a socket, which is known to hold the values.
func (t *traffic) step(fd int, s *Step) *Step {
	s.NetNS = t.netns
	optname := t.rec.Tag + uint32(len(t.rec.Steps))
	t.rec.Steps = append(t.rec.Steps, s)
	_, err := unix.GetsockoptInt(fd, unix.SOL_IP, int(optname))
	if !errors.Is(err, unix.ENOPROTOOPT) && !errors.Is(err, unix.EOPNOTSUPP) {
		t.must("getsockopt of no option", fmt.Errorf("unexpected answer: %v", err))
	}
	return s
}

// A sock is a socket of the traffic.
type sock struct {
	t             *traffic
	fd            int
	domain, typ   int
	proto         int
	local, remote netip.AddrPort
}

// timeout is how long a call may take that should take no time.
var timeout = unix.Timeval{Sec: 1}

func (t *traffic) socket(domain, typ, proto int) *sock {
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
	t.must("socket", err)
	t.fds = append(t.fds, fd)
	t.must("timeout", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	t.must("timeout", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout))
	return &sock{t: t, fd: fd, domain: domain, typ: typ, proto: proto}
}

// port is a random one whose two bytes differ, so that its byte order shows.
func port() uint16 {
	for {
		if p := uint16(rand.N(30000) + 2000); p>>8 != p&0xff {
			return p
		}
	}
}

// loop4 is a random address of lo.
func loop4() netip.Addr {
	b := func() byte { return byte(rand.N(250) + 2) }
	return netip.AddrFrom4([4]byte{127, b(), b(), b()})
}

// multicast4 and multicast6 are addresses that a socket can be bound to and not
// send from: the two places of its own address then differ.
func multicast4() netip.Addr {
	b := func() byte { return byte(rand.N(250) + 2) }
	return netip.AddrFrom4([4]byte{239, b(), b(), b()})
}

func random6(first ...byte) netip.Addr {
	var a [16]byte
	for i := range a {
		a[i] = byte(rand.N(255) + 1)
	}
	copy(a[:], first)
	return netip.AddrFrom16(a)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func (s *sock) bind(a netip.Addr) *sock {
	at := netip.AddrPortFrom(a, port())
	s.t.must("bind to "+at.String(), unix.Bind(s.fd, sockaddr(at)))
	s.local = at
	return s
}

func (s *sock) connect(to netip.AddrPort) *sock {
	s.t.must("connect to "+to.String(), unix.Connect(s.fd, sockaddr(to)))
	s.remote = to
	return s
}

// bytesOf is an address as the kernel keeps it.
func bytesOf(a netip.Addr) []byte { return a.AsSlice() }

// nameOf is what is certain of a sockaddr in the kernel: all of sockaddr_in but
// its padding, all of sockaddr_in6.
func nameOf(a netip.AddrPort) []byte {
	if a.Addr().Is4() {
		return append(append(le16(unix.AF_INET), be16(a.Port())...), a.Addr().AsSlice()...)
	}
	b := append(append(le16(unix.AF_INET6), be16(a.Port())...), 0, 0, 0, 0)
	return append(append(b, a.Addr().AsSlice()...), 0, 0, 0, 0)
}

// state numbers of include/net/tcp_states.h.
const (
	established = 1
	synSent     = 2
	finWait1    = 4
	closed      = 7
	listening   = 10
)

// holds is what the kernel must have of the socket now.
func (s *sock) holds(state int) map[string][]byte {
	w := map[string][]byte{
		"sock.family": le16(s.domain), "sock.type": le16(s.typ), "sock.protocol": {byte(s.proto)}, "sock.state": {byte(state)},
		"sock.dport": be16(s.remote.Port()),
	}
	if s.local.IsValid() {
		w["sock.num"], w["sock.sport"] = le16(int(s.local.Port())), be16(s.local.Port())
	}
	if s.domain == unix.AF_INET {
		s.holds4(w)
	} else {
		s.holds6(w)
	}
	if s.typ == unix.SOCK_DGRAM {
		w["sock.pending"] = le32(0)
	}
	return w
}

func (s *sock) holds4(w map[string][]byte) {
	w["sock.daddr"] = make([]byte, 4)
	if s.remote.IsValid() {
		w["sock.daddr"] = bytesOf(s.remote.Addr())
	}
	if a := s.local.Addr(); a.IsValid() {
		w["sock.rcv_saddr"], w["sock.saddr"] = bytesOf(a), bytesOf(a)
		if a.IsMulticast() {
			w["sock.saddr"] = make([]byte, 4) // inet_bind in net/ipv4/af_inet.c
		}
	}
}

func (s *sock) holds6(w map[string][]byte) {
	w["sock.v6_daddr"] = make([]byte, 16)
	if s.remote.IsValid() {
		w["sock.v6_daddr"] = bytesOf(s.remote.Addr())
	}
	if a := s.local.Addr(); a.IsValid() {
		w["sock.v6_rcv_saddr"], w["sock.v6_saddr"] = bytesOf(a), bytesOf(a)
		if a.IsMulticast() {
			w["sock.v6_saddr"] = make([]byte, 16) // inet6_bind in net/ipv6/af_inet6.c
		}
	}
}

// with adds values.
func with(w map[string][]byte, more map[string][]byte) map[string][]byte {
	for k, v := range more {
		w[k] = v
	}
	return w
}

// setRandom sets an option to a random value and returns what is then kept.
func (s *sock) setRandom(opt, limit int) []byte {
	s.t.must("setsockopt", unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, opt, rand.N(limit)+limit/2))
	v, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, opt)
	s.t.must("getsockopt", err)
	return le32(v)
}

// send sends n bytes in a step, and to an address if one is given.
func (s *sock) send(n, flags int, to netip.AddrPort) {
	payload := make([]byte, n)
	for i := range payload {
		payload[i] = byte(rand.N(256))
	}
	var err error
	if to.IsValid() {
		err = unix.Sendto(s.fd, payload, flags, sockaddr(to))
	} else {
		err = unix.Send(s.fd, payload, flags)
	}
	s.t.must("send", err)
}

// size is a random number of bytes, more than any header has.
func size() int { return rand.N(900) + 200 }
