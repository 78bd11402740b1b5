package tools_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// tcpNeeds is what all tests of connections need.
func tcpNeeds(t testing.TB) {
	t.Helper()
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF, testkernel.Symbol("tcp_set_state"))
}

// A dialer is a thread that opens TCP connections with the bare system calls,
// so that it knows what each of them is told, and notes what must be shown.
type dialer struct {
	t    testing.TB
	pid  int
	tid  int
	comm string
	want []noted

	missed map[string]bool // what of connections was not shown, because the kernel missed it; nil where that is an error
}

// newDialer is a dialer in the calling thread, to which the caller is locked.
func newDialer(t testing.TB) *dialer {
	comm, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return &dialer{t: t, pid: os.Getpid(), tid: unix.Gettid(), comm: strings.TrimSpace(string(comm))}
}

// family is how a test names the sort of a socket: inet, inet6, or inet6 with
// IPv4 addresses.
type family struct {
	name   string
	domain int
	addr   netip.Addr // of this host
}

var tcpFamilies = []family{
	{"inet", unix.AF_INET, netip.MustParseAddr("127.0.0.1")},
	{"inet6", unix.AF_INET6, netip.MustParseAddr("::1")},
	{"mapped", unix.AF_INET6, netip.MustParseAddr("127.0.0.1")},
}

// column is what the column family shows.
func (f family) column() string {
	return map[int]string{unix.AF_INET: "inet", unix.AF_INET6: "inet6"}[f.domain]
}

// sockaddr is an address for a socket of the family.
func (f family) sockaddr(a netip.AddrPort) unix.Sockaddr {
	if f.domain == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// socket makes a socket that is closed at the end of the test, if it is open
// then.
func (d *dialer) socket(f family, flags int) int {
	d.t.Helper()
	fd, err := unix.Socket(f.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return fd
}

// connect connects and notes the event that must be shown, which depends on what
// the kernel answers: err, or EINPROGRESS and later answer.
func (d *dialer) connect(what string, fd int, f family, to netip.AddrPort) error {
	d.t.Helper()
	err := unix.Connect(fd, f.sockaddr(to))
	if err == unix.EINPROGRESS {
		err = d.wait(fd)
	}
	d.note(what, fd, f, to, err)
	return err
}

// wait returns the result of a connect that is under way.
func (d *dialer) wait(fd int) error {
	d.t.Helper()
	poll(d.t, fd, unix.POLLOUT)
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		d.t.Fatal(err)
	case n != 0:
		return unix.Errno(n)
	}
	return nil
}

// note notes what must be shown of a connect with this result.
func (d *dialer) note(what string, fd int, f family, to netip.AddrPort, err error) clitest.Event {
	d.t.Helper()
	e := clitest.Event{"event": "tcp.connected", "pid": d.pid, "tid": d.tid, "comm": d.comm, "family": f.column(),
		"raddr": to.Addr().String(), "rport": int(to.Port()), "result": 0}
	if errno, ok := err.(unix.Errno); ok {
		e["event"], e["result"] = "tcp.connect_failed", -int(errno)
	} else {
		l := d.local(fd)
		e["laddr"], e["lport"] = l.Addr().String(), int(l.Port())
	}
	d.want = append(d.want, noted{what, e})
	return e
}

// local is the socket's own end.
func (d *dialer) local(fd int) netip.AddrPort {
	d.t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		d.t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	d.t.Fatalf("%T", sa)
	return netip.AddrPort{}
}

// check compares what was shown of the process with what was noted, and returns
// it. Columns that a note does not have are looked at by the caller; those that
// are nil in it must be absent.
func (d *dialer) check(events []clitest.Event) []clitest.Event {
	d.t.Helper()
	var mine []clitest.Event
	for _, e := range events {
		if e["pid"] == d.pid {
			mine = append(mine, e)
		}
	}
	for i := range max(len(mine), len(d.want)) {
		switch {
		case i >= len(mine):
			d.t.Errorf("%s: not shown", d.want[i].what)
		case i >= len(d.want):
			d.t.Errorf("shown although it was not done: %v", mine[i])
		default:
			got := clitest.Event{}
			for k, v := range d.want[i].event {
				if got[k] = mine[i][k]; got[k] == clitest.Unknown {
					got[k] = v
				}
			}
			if diff := cmp.Diff(d.want[i].event, got); diff != "" {
				d.t.Errorf("%s: (-want +got)\n%s%v", d.want[i].what, diff, mine[i])
			}
		}
	}
	return mine
}

// listen makes a listening socket at an address of this host, which accepts and
// keeps what it accepts until the test ends.
func listen(t testing.TB, addr string) (*net.TCPListener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at := l.Addr().(*net.TCPAddr).AddrPort()
	return l.(*net.TCPListener), netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// closedPort is an address of this host at which nobody listens.
func closedPort(t testing.TB, addr netip.Addr) netip.AddrPort {
	t.Helper()
	l, at := listen(t, netip.AddrPortFrom(addr, 0).String())
	l.Close()
	return at
}

// between fails the test where a number is not in a range.
func between(t testing.TB, what string, got any, low, high float64) {
	t.Helper()
	n, ok := got.(float64)
	if i, is := got.(int); is {
		n, ok = float64(i), true
	}
	if got != clitest.Unknown && (!ok || n < low || n > high) {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}

// setting writes a setting of the calling thread's network namespace.
func setting(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

// micros is a time as columns in microseconds have it.
func micros(d time.Duration) float64 { return float64(d.Microseconds()) }

// ip runs the program in the calling thread's network namespace.
func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// serveHTTP serves a page at an address of the calling thread's namespace.
func serveHTTP(t testing.TB, addr string) netip.AddrPort {
	t.Helper()
	l, at := listen(t, addr)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") }))
	return at
}

// connectsTo is ready when so many sockets of the calling thread's namespace have
// sent a SYN to an IPv4 address and wait for the answer.
func connectsTo(to netip.Addr, n int) testkernel.Ready {
	a := to.As4()
	remote := fmt.Sprintf("%02X%02X%02X%02X:", a[3], a[2], a[1], a[0])
	return func(string) bool {
		table, _ := os.ReadFile("/proc/thread-self/net/tcp")
		waiting := 0
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 3 && strings.HasPrefix(f[2], remote) && f[3] == "02" {
				waiting++
			}
		}
		return waiting >= n
	}
}
