package tools_test

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Calls of every sort are shown with what they asked for and what came of it, in either family.
func TestTCPSend(t *testing.T) {
	tcpNeeds(t)
	for _, family := range pairFamilies {
		t.Run(family.name, func(t *testing.T) {
			tcpCalls(t, "tcpsend", family, func(p *tcpPair) {
				b := make([]byte, 4<<20)
				p.call("send", p.send(p.a, b[:10], 0), clitest.Event{"size": 10, "done": 10, "flags": "0"})
				p.call("send with flags", p.send(p.a, b[:20], unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT|unix.MSG_MORE), clitest.Event{"size": 20, "done": 20, "flags": "DONTWAIT|NOSIGNAL|MORE"})
				n, err := unix.Write(p.a.fd, b[:30])
				p.call("write", n, clitest.Event{"size": 30, "done": 30, "flags": "0"})
				if err != nil {
					t.Fatal(err)
				}
				n, err = unix.Writev(p.a.fd, [][]byte{b[:3], b[:4]})
				p.call("writev", n, clitest.Event{"size": 7, "done": 7, "flags": "0"})
				if err != nil {
					t.Fatal(err)
				}
				n = p.send(p.b, b[:5], 0)
				p.callAt(p.b, "send of the other end", n, clitest.Event{"size": 5, "done": 5, "flags": "0"})
				// Fill the buffer: what is taken is less than what was asked for, and then nothing.
				n = p.send(p.a, b, unix.MSG_DONTWAIT)
				p.call("more than there is room for", n, clitest.Event{"size": len(b), "done": n, "flags": "DONTWAIT"})
				if n <= 0 || n >= len(b) {
					t.Fatalf("%d of %d bytes were taken", n, len(b))
				}
				n = p.send(p.a, b[:100], unix.MSG_DONTWAIT)
				for n > 0 { // what was on its way is taken by now
					p.call("some more", n, clitest.Event{"size": 100, "done": n, "flags": "DONTWAIT"})
					n = p.send(p.a, b[:100], unix.MSG_DONTWAIT)
				}
				p.call("no room", n, clitest.Event{"size": 100, "error": -int(unix.EAGAIN), "flags": "DONTWAIT"})
				unix.Shutdown(p.b.fd, unix.SHUT_WR)
				unix.Shutdown(p.a.fd, unix.SHUT_WR)
				n = p.send(p.a, b[:8], unix.MSG_NOSIGNAL)
				p.call("after the end", n, clitest.Event{"size": 8, "error": -int(unix.EPIPE), "flags": "NOSIGNAL"})
			})
		})
	}
}

// A file that is sent is seen, as one call or several.
func TestTCPSendFile(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 40000
	if _, err := f.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	p := newTCPPair(t, pairFamilies[0])
	run := clitest.Start(t, "tcpsend", "--format", "json", "--pid", fmt.Sprint(os.Getpid()))
	var off int64
	for off < size {
		if _, err := unix.Sendfile(p.a.fd, int(f.Fd()), &off, size-int(off)); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	for _, e := range run.Stop().OK().Events() {
		n, _ := e["done"].(int)
		sum += n
		if e["rport"] != int(p.b.local.Port()) || n == 0 {
			t.Errorf("%v", e)
		}
	}
	if sum != size {
		t.Errorf("%d bytes were sent, %d are shown", size, sum)
	}
}

func TestTCPRecv(t *testing.T) {
	tcpNeeds(t)
	for _, family := range pairFamilies {
		t.Run(family.name, func(t *testing.T) {
			tcpCalls(t, "tcprecv", family, func(p *tcpPair) {
				b := make([]byte, 100)
				recv := func(size, flags int) int {
					n, _, err := unix.Recvfrom(p.b.fd, b[:size], flags)
					if err != nil {
						return -int(err.(unix.Errno))
					}
					return n
				}
				p.send(p.a, b[:60], 0)
				p.callAt(p.b, "peek", recv(10, unix.MSG_PEEK), clitest.Event{"size": 10, "done": 10, "flags": "PEEK"})
				p.callAt(p.b, "recv", recv(20, 0), clitest.Event{"size": 20, "done": 20, "flags": "0"})
				n, err := unix.Read(p.b.fd, b[:100])
				if err != nil {
					t.Fatal(err)
				}
				p.callAt(p.b, "read", n, clitest.Event{"size": 100, "done": 40, "flags": "0"})
				n = recv(10, unix.MSG_DONTWAIT)
				p.callAt(p.b, "nothing there", n, clitest.Event{"size": 10, "error": -int(unix.EAGAIN), "flags": "DONTWAIT"})
				go func() {
					for range 3 {
						time.Sleep(20 * time.Millisecond)
						unix.Send(p.a.fd, make([]byte, 10), 0)
					}
				}()
				p.callAt(p.b, "all of it", recv(30, unix.MSG_WAITALL), clitest.Event{"size": 30, "done": 30, "flags": "WAITALL"})
				p.send(p.a, b[:50], 0)
				var pipe [2]int
				if err := unix.Pipe(pipe[:]); err != nil {
					t.Fatal(err)
				}
				defer unix.Close(pipe[0])
				defer unix.Close(pipe[1])
				moved, err := unix.Splice(p.b.fd, nil, pipe[1], nil, 100, 0)
				if err != nil {
					t.Fatal(err)
				}
				p.callAt(p.b, "splice", int(moved), clitest.Event{"event": "tcp.splice_read", "size": 100, "done": 50})
				unix.Shutdown(p.a.fd, unix.SHUT_WR)
				p.callAt(p.b, "the end", recv(10, 0), clitest.Event{"size": 10, "done": 0, "flags": "0"})
				// When both have closed, the socket has let go of its port, and still has bytes.
				p.send(p.b, b[:5], 0)
				unix.Shutdown(p.b.fd, unix.SHUT_WR)
				p.a.waitClosed()
				n, err = unix.Read(p.a.fd, b[:10])
				if err != nil {
					t.Fatal(err)
				}
				p.callAt(p.a, "what is left of a closed connection", n, clitest.Event{"size": 10, "done": 5, "flags": "0"})
			})
		})
	}
}

type pairFamily struct {
	name, bind string
	domain     int
}

var pairFamilies = []pairFamily{{"inet", "127.0.0.1:0", unix.AF_INET}, {"inet6", "[::1]:0", unix.AF_INET6}, {"mapped", "[::ffff:127.0.0.1]:0", unix.AF_INET6}}

// A tcpPair is a connection, both of whose ends the calling thread has.
type tcpPair struct {
	t    *testing.T
	a, b *socket
	name string // of the event
	want []noted
}

func newTCPPair(t *testing.T, f pairFamily) *tcpPair {
	t.Helper()
	k := newTalk(t)
	stream := func() *socket {
		fd, err := unix.Socket(f.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return &socket{k: k, fd: fd, v6: f.domain == unix.AF_INET6}
	}
	l, p := stream(), &tcpPair{t: t, a: stream()}
	if err := unix.Bind(l.fd, l.sockaddr(netip.MustParseAddrPort(f.bind))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l.fd, 1); err != nil {
		t.Fatal(err)
	}
	l.look()
	at := l.local
	if f.name == "mapped" {
		at = netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), at.Port())
	}
	p.a.connect(at)
	fd, sa, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	p.b = &socket{k: k, fd: fd, v6: l.v6, peer: addrPort(sa)}
	p.b.look()
	return p
}

// waitClosed waits until the socket's state is CLOSE.
func (s *socket) waitClosed() {
	s.k.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(s.fd, unix.SOL_TCP, unix.TCP_INFO)
		if err != nil {
			s.k.t.Fatal(err)
		}
		if info.State == unix.BPF_TCP_CLOSE {
			return
		}
		if time.Now().After(end) {
			s.k.t.Fatalf("the connection is not closed after 20 s, but in state %d", info.State)
		}
	}
}

// send returns what the call did, or the negative number of its error.
func (p *tcpPair) send(s *socket, b []byte, flags int) int {
	n, err := unix.SendmsgN(s.fd, b, nil, nil, flags)
	if err != nil {
		return -int(err.(unix.Errno))
	}
	return n
}

// call notes a call of end a, and what it did.
func (p *tcpPair) call(what string, did int, e clitest.Event) {
	p.t.Helper()
	p.callAt(p.a, what, did, e)
}

func (p *tcpPair) callAt(s *socket, what string, did int, e clitest.Event) {
	p.t.Helper()
	if done, ok := e["done"]; ok && done != did || !ok && e["error"] != did {
		p.t.Errorf("%s: it did %d, and is to be shown as %v", what, did, e)
	}
	base := s.event(p.name, 0)
	delete(base, "sock_raddr")
	delete(base, "sock_rport")
	base["raddr"], base["rport"] = s.peer.Addr().String(), int(s.peer.Port())
	for k, v := range e {
		base[k] = v
	}
	if os.Getenv("SKPROBE_LAYOUT") == "calibrate" { // msg_flags and tcp_splice_read are not measured
		if base["event"] == "tcp.sendmsg" {
			base["flags"] = clitest.Unknown
		}
		if base["event"] == "tcp.splice_read" {
			for _, key := range []string{"family", "laddr", "lport", "raddr", "rport", "size"} {
				base[key] = clitest.Unknown
			}
		}
	}
	p.want = append(p.want, noted{what, base})
}

// tcpCalls runs calls under a tool and compares each line.
func tcpCalls(t *testing.T, tool string, f pairFamily, calls func(p *tcpPair)) {
	testkernel.NetNS(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := newTCPPair(t, f)
	p.name = map[string]string{"tcpsend": "tcp.sendmsg", "tcprecv": "tcp.recvmsg"}[tool]
	run := clitest.Start(t, tool, "--format", "json", "--strict")
	testkernel.Uninterrupted(t, func() { calls(p) })
	var got []clitest.Event
	for _, e := range run.Stop().OK().Events() {
		if e["tid"] == p.a.k.tid {
			delete(e, "time")
			delete(e, "cpu")
			got = append(got, e)
		}
	}
	for i := range max(len(got), len(p.want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: not shown", p.want[i].what)
		case i >= len(p.want):
			t.Errorf("shown although it was not done: %v", got[i])
		default:
			if diff := cmp.Diff(p.want[i].event, got[i]); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", p.want[i].what, diff)
			}
		}
	}
}
