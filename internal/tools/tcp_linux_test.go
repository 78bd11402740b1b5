package tools_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A tcpSocket is a TCP socket of this process, made by the calling thread.
type tcpSocket struct {
	t     testing.TB
	fd    int
	local netip.AddrPort
}

// listenTCP makes a socket that listens, with room for backlog+1 connections.
func listenTCP(t testing.TB, addr netip.AddrPort, backlog int) *tcpSocket {
	t.Helper()
	s := newTCP(t, addr.Addr())
	if err := unix.Bind(s.fd, sockaddrOf(addr)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(s.fd, backlog); err != nil {
		t.Fatal(err)
	}
	return s.look()
}

func newTCP(t testing.TB, addr netip.Addr) *tcpSocket {
	t.Helper()
	domain := unix.AF_INET
	if addr.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &tcpSocket{t: t, fd: fd}
	t.Cleanup(s.close)
	return s
}

func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// look asks for the socket's address.
func (s *tcpSocket) look() *tcpSocket {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	s.local = addrPort(sa)
	return s
}

// dial begins to connect, without waiting.
func dial(t testing.TB, to netip.AddrPort) *tcpSocket {
	t.Helper()
	s := newTCP(t, to.Addr())
	if err := unix.SetNonblock(s.fd, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(s.fd, sockaddrOf(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		t.Fatal(err)
	}
	return s.look()
}

// isConnected tells whether what dial began has come to its end.
func (s *tcpSocket) isConnected() bool {
	_, err := unix.Getpeername(s.fd)
	return err == nil
}

// unacked is how many segments the peer has not acknowledged; of a listening
// socket it is how many connections wait to be accepted (tcp_get_info).
func (s *tcpSocket) unacked() uint32 {
	s.t.Helper()
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Unacked
}

func (s *tcpSocket) accept() *tcpSocket {
	s.t.Helper()
	fd, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
	if err != nil {
		s.t.Fatal(err)
	}
	a := &tcpSocket{t: s.t, fd: fd}
	s.t.Cleanup(a.close)
	return a.look()
}

// close closes the socket, once.
func (s *tcpSocket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
	s.fd = -1
}

// deaf makes the kernel drop all packets for the socket, or no longer.
func (s *tcpSocket) deaf(on bool) {
	s.t.Helper()
	var err error
	if on {
		drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
		err = unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	} else {
		err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// counter reads one of the network counters of the calling thread's namespace:
// "Tcp:RetransSegs" of /proc/net/snmp, "TcpExt:TCPLossProbes" of /proc/net/netstat.
func counter(t testing.TB, name string) int {
	t.Helper()
	for _, file := range []string{"snmp", "netstat"} {
		text, err := os.ReadFile("/proc/thread-self/net/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := counterIn(string(text), name); ok {
			return n
		}
	}
	t.Fatalf("this kernel has no counter %s", name)
	return 0
}

// counterIn finds a counter in lines of names that are each followed by one of values.
func counterIn(text, name string) (int, bool) {
	group, name, _ := strings.Cut(name, ":")
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] != group+":":
		case names == nil:
			names = f
		default:
			for i := range f {
				if names[i] == name {
					n, err := strconv.Atoi(f[i])
					return n, err == nil
				}
			}
		}
	}
	return 0, false
}

// loopback are an address of each family on lo.
var loopback = map[string]netip.AddrPort{"inet": netip.MustParseAddrPort("127.0.0.1:0"), "inet6": netip.MustParseAddrPort("[::1]:0")}

// flowOf is a flow as an event of its left end's host has it.
func flowOf(e map[string]any) string {
	return fmt.Sprint(e["laddr"], " ", e["lport"], " > ", e["raddr"], " ", e["rport"])
}
