package tools_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// udpNeeds is what all tests here need.
func udpNeeds(t testing.TB) {
	t.Helper()
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF, testkernel.Symbol("udp_sendmsg"))
}

// check compares what was shown of the talk's process with what it noted, and
// the times with the order.
func (k *talk) check(got []clitest.Event) {
	k.t.Helper()
	var mine []clitest.Event
	last := ""
	for _, e := range got {
		if e["pid"] != k.pid {
			continue
		}
		now, _ := e["time"].(string)
		if _, err := time.Parse(time.RFC3339Nano, now); err != nil || now < last {
			k.t.Errorf("time %q after %q: %v", now, last, err)
		}
		last = now
		if _, ok := e["cpu"].(int); !ok {
			k.t.Errorf("no cpu in %v", e)
		}
		delete(e, "time")
		delete(e, "cpu")
		mine = append(mine, e)
	}
	for i := range max(len(mine), len(k.want)) {
		switch {
		case i >= len(mine):
			k.t.Errorf("%s: not shown", k.want[i].what)
		case i >= len(k.want):
			k.t.Errorf("shown although it was not done: %v", mine[i])
		default:
			if diff := cmp.Diff(k.want[i].event, mine[i]); diff != "" {
				k.t.Errorf("%s: (-want +got)\n%s", k.want[i].what, diff)
				if i > 0 {
					k.t.Logf("before that: %s", k.want[i-1].what)
				}
				if len(mine) != len(k.want) {
					return // what follows is but moved
				}
			}
		}
	}
}

// families are the sorts of sockets.
var families = []struct {
	name   string
	domain int
	any    string // all addresses of this host
	bind   string // one of them
}{
	{"inet", unix.AF_INET, "0.0.0.0:0", "127.0.0.1:0"},
	{"inet6", unix.AF_INET6, "[::]:0", "[::1]:0"},
	{"mapped", unix.AF_INET6, "[::]:0", "[::ffff:127.0.0.1]:0"},
}

// traced runs a conversation under skprobe udp and compares each line. The
// calling goroutine is in a network namespace of its own and stays on its
// thread and on one CPU, so that a stale value could only be of the event
// before.
func traced(t *testing.T, flags []string, converse func(k *talk)) {
	t.Helper()
	udpNeeds(t)
	testkernel.NetNS(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	k := newTalk(t)
	r := clitest.Start(t, append([]string{"udp", "--format", "json"}, flags...)...)
	oneCPU(t)
	converse(k)
	k.check(r.Stop().OK().Events())
}

// oneCPU keeps the thread on CPU 0 until the test ends.
func oneCPU(t *testing.T) {
	t.Helper()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	one.Set(0)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.SchedSetaffinity(0, &before) }) // the same thread: NetNS keeps the test on it
}

func TestUDP(t *testing.T) {
	traced(t, nil, func(k *talk) {
		for _, f := range families {
			receiver := k.socket(f.domain, f.bind)
			other := k.socket(f.domain, f.bind)
			at := receiver.local
			what := func(s string) string { return f.name + ": " + s }

			unconnected := k.socket(f.domain, "")
			unconnected.sendto(what("sendto of a socket without a port"), 1, at)
			from := netip.AddrPortFrom(at.Addr(), unconnected.local.Port())
			receiver.recv(what("recvfrom"), 100, 0, from)

			connected := k.socket(f.domain, "").connect(at)
			connected.send(what("send, connected"), 2)
			receiver.recv(what("recvfrom of a connected socket's datagram"), 100, 0, connected.local)

			if err := unconnected.sendmsg(3, 0, at); err != nil {
				t.Fatal(err)
			}
			unconnected.sent(what("sendmsg"), 3, "address", at)
			buf := make([]byte, 100)
			n, _, _, _, err := unix.Recvmsg(receiver.fd, buf, nil, 0)
			if err != nil || n != 3 {
				t.Fatalf("%d, %v", n, err)
			}
			receiver.got(what("recvmsg"), 3, from)

			if err := connected.sendmsg(4, 0, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			connected.sent(what("sendmsg, connected"), 4, "connected", at)
			if n, err := unix.Read(receiver.fd, buf); err != nil || n != 4 {
				t.Fatalf("%d, %v", n, err)
			}
			receiver.got(what("read"), 4, connected.local)

			if _, err := unix.Write(connected.fd, buf[:5]); err != nil {
				t.Fatal(err)
			}
			connected.sent(what("write"), 5, "connected", at)
			receiver.recv(what("recvfrom after write"), 100, 0, connected.local)

			connected.sendto(what("sendto elsewhere, connected"), 6, other.local)
			other.recv(what("recvfrom of a socket that is connected elsewhere"), 100, 0, connected.local)
			connected.send(what("send, connected, after one elsewhere"), 7)
			receiver.recv(what("recvfrom again"), 100, 0, connected.local)

			unconnected.mmsg(unix.SYS_SENDMMSG, []int{8, 9}, []netip.AddrPort{at, other.local})
			unconnected.sent(what("sendmmsg, first"), 8, "address", at)
			unconnected.sent(what("sendmmsg, second"), 9, "address", other.local)
			other.recv(what("recvfrom after sendmmsg"), 100, 0, from)
			connected.mmsg(unix.SYS_SENDMMSG, []int{10, 11}, nil)
			connected.sent(what("sendmmsg, connected, first"), 10, "connected", at)
			connected.sent(what("sendmmsg, connected, second"), 11, "connected", at)
			testkernel.Delivered(t)
			for i, n := range receiver.mmsg(unix.SYS_RECVMMSG, []int{100, 100, 100}, nil) {
				sender := connected.local
				if i == 0 {
					sender = from
				}
				receiver.got(what(fmt.Sprintf("recvmmsg, %d", i+1)), n, sender)
			}
		}
	})
}

// TestUDPNoName alternates sends with and without an address on one CPU: what
// a send does not have must never be that of the send before.
func TestUDPNoName(t *testing.T) {
	traced(t, []string{"--send"}, func(k *talk) {
		for _, f := range families {
			receiver := k.socket(f.domain, f.bind)
			at := receiver.local
			unconnected, connected := k.socket(f.domain, f.any), k.socket(f.domain, "").connect(at)
			for i := range 5 {
				unconnected.sendto(f.name+": with an address", 10+i, at)
				if err := unconnected.sendmsg(20+i, 0, netip.AddrPort{}); !errors.Is(err, unix.EDESTADDRREQ) {
					t.Fatal(err)
				}
				unconnected.sent(f.name+": without any destination", 20+i, "", netip.AddrPort{})
				unconnected.sendto(f.name+": with an address again", 30+i, at)
				connected.send(f.name+": connected", 40+i)
			}
		}
	})
}

// TestUDPFamilies gives sockets addresses of another family than their own.
func TestUDPFamilies(t *testing.T) {
	traced(t, []string{"--send"}, func(k *talk) {
		four := netip.MustParseAddrPort("127.0.0.1:5001")
		six := netip.MustParseAddrPort("[::1]:5002")
		s := k.socket(unix.AF_INET6, "[::]:0")
		s.sendto("IPv6", 1, six)
		if err := unix.Sendto(s.fd, []byte("ab"), 0, &unix.SockaddrInet4{Addr: four.Addr().As4(), Port: 5001}); err != nil {
			t.Fatal(err)
		}
		s.sent("a sockaddr_in on an IPv6 socket", 2, "address", four)
		// AF_UNSPEC means the peer to IPv6, and AF_INET to IPv4.
		c := k.socket(unix.AF_INET6, "").connect(six)
		if err := c.unspec(3, four); err != nil {
			t.Fatal(err)
		}
		c.sent("AF_UNSPEC on a connected IPv6 socket", 3, "connected", six)
		if err := s.unspec(4, four); !errors.Is(err, unix.EDESTADDRREQ) {
			t.Fatal(err)
		}
		s.sent("AF_UNSPEC on an IPv6 socket", 4, "", netip.AddrPort{})
		d := k.socket(unix.AF_INET, "0.0.0.0:0")
		if err := d.unspec(5, four); err != nil {
			t.Fatal(err)
		}
		d.sent("AF_UNSPEC on an IPv4 socket", 5, "address", four)
		s.sendto("IPv6 again", 6, six)
	})
}

// unspec sends to a sockaddr_in whose family is AF_UNSPEC.
func (s *socket) unspec(size int, to netip.AddrPort) error {
	return rawSendto(s.fd, make([]byte, size), &unix.RawSockaddrInet4{Port: to.Port()<<8 | to.Port()>>8, Addr: to.Addr().As4()})
}

// TestUDPCorked sends datagrams in parts.
func TestUDPCorked(t *testing.T) {
	traced(t, nil, func(k *talk) {
		for _, f := range families {
			receiver := k.socket(f.domain, f.bind)
			at := receiver.local
			what := func(s string) string { return f.name + ": " + s }
			s := k.socket(f.domain, f.any)
			from := netip.AddrPortFrom(at.Addr(), s.local.Port())
			for i := range 2 {
				if err := s.sendmsg(10, unix.MSG_MORE, at); err != nil {
					t.Fatal(err)
				}
				s.sent(what("MSG_MORE with an address"), 10, "address", at)
				if err := s.sendmsg(20, unix.MSG_MORE, netip.AddrPort{}); err != nil {
					t.Fatal(err)
				}
				s.sent(what("MSG_MORE, second part"), 20, "corked", at)
				if err := s.sendmsg(30+i, 0, netip.AddrPort{}); err != nil {
					t.Fatal(err)
				}
				s.sent(what("the last part"), 30+i, "corked", at)
				receiver.recv(what("recvfrom of three parts"), 100, 0, from)
			}

			s.setInt(unix.IPPROTO_UDP, unix.UDP_CORK, 1)
			s.sendto(what("UDP_CORK, first part"), 40, at)
			if err := s.sendmsg(50, 0, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			s.sent(what("UDP_CORK, second part"), 50, "corked", at)
			s.setInt(unix.IPPROTO_UDP, unix.UDP_CORK, 0)
			receiver.recv(what("recvfrom of two corked parts"), 100, 0, from)
			if err := s.sendmsg(60, 0, netip.AddrPort{}); !errors.Is(err, unix.EDESTADDRREQ) {
				t.Fatal(err)
			}
			s.sent(what("without a destination after a cork"), 60, "", netip.AddrPort{})

			c := k.socket(f.domain, "").connect(at)
			if err := c.sendmsg(5, unix.MSG_MORE, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			c.sent(what("MSG_MORE, connected"), 5, "connected", at)
			if err := c.sendmsg(6, 0, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			c.sent(what("the rest, connected"), 6, "corked", at)
			receiver.recv(what("recvfrom of a connected socket's parts"), 100, 0, c.local)
		}
	})
}

// TestUDPReceive receives in all ways.
func TestUDPReceive(t *testing.T) {
	traced(t, []string{"--recv"}, func(k *talk) {
		for _, f := range families {
			what := func(s string) string { return f.name + ": " + s }
			r := k.socket(f.domain, f.bind)
			s := k.socket(f.domain, f.any)
			s.setInt(unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
			from := netip.AddrPortFrom(r.local.Addr(), s.local.Port())
			give := func(size int) {
				t.Helper()
				if err := unix.Sendto(s.fd, make([]byte, size), 0, s.sockaddr(r.local)); err != nil {
					t.Fatal(err)
				}
			}
			peek := func(size, flags, want int) {
				t.Helper()
				n, _, err := unix.Recvfrom(r.fd, make([]byte, size), unix.MSG_PEEK|flags)
				if err != nil || n != want {
					t.Fatalf("peek: %d, %v", n, err)
				}
			}
			give(100)
			peek(100, 0, 100)
			peek(10, 0, 10)
			peek(10, unix.MSG_TRUNC, 100)
			peek(0, 0, 0)
			r.recv(what("after peeks"), 100, 0, from)

			give(200)
			if n := r.recv(what("truncated"), 50, 0, from); n != 50 {
				t.Fatal(n)
			}
			give(300)
			if n := r.recv(what("MSG_TRUNC"), 50, unix.MSG_TRUNC, from); n != 300 {
				t.Fatal(n)
			}
			give(0)
			peek(10, 0, 0)
			r.recv(what("a datagram without data"), 50, 0, from)
			give(70)
			if n := r.recv(what("into no buffer"), 0, 0, from); n != 0 {
				t.Fatal(n)
			}
			for _, size := range []int{1500, 9000, 32000, 65507} {
				give(size)
				if n := r.recv(what(strconv.Itoa(size)+" bytes"), 1<<16, 0, from); n != size {
					t.Fatalf("%d of %d", n, size)
				}
			}
			unix.SetNonblock(r.fd, true)
			if _, _, err := unix.Recvfrom(r.fd, make([]byte, 10), 0); !errors.Is(err, unix.EAGAIN) {
				t.Fatal(err)
			}
			unix.SetNonblock(r.fd, false)

			// One send becomes three datagrams (udp(7), UDP_SEGMENT).
			s.setInt(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000)
			give(2500)
			s.setInt(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0)
			for i, size := range []int{1000, 1000, 500} {
				if n := r.recv(what(fmt.Sprintf("segment %d", i+1)), 1<<16, 0, from); n != size {
					t.Fatal(n)
				}
			}
		}
		// IPv4 packets on a socket of IPv6 that takes all, and an answer.
		all := k.socket(unix.AF_INET6, "[::]:0")
		c := k.socket(unix.AF_INET, "").connect(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), all.local.Port()))
		if err := unix.Send(c.fd, []byte("four"), 0); err != nil {
			t.Fatal(err)
		}
		all.recv("IPv4 on an IPv6 socket", 10, 0, c.local)
		if err := unix.Sendto(all.fd, []byte("answer"), 0, all.sockaddr(c.local)); err != nil {
			t.Fatal(err)
		}
		c.recv("its answer", 10, 0, c.peer)
	})
}

// TestUDPFragments makes lo as narrow as Ethernet.
func TestUDPFragments(t *testing.T) {
	testkernel.Needs(t, testkernel.Program("ip"))
	traced(t, nil, func(k *talk) {
		if out, err := exec.Command("ip", "link", "set", "lo", "mtu", "1500").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, f := range families {
			r := k.socket(f.domain, f.bind)
			s := k.socket(f.domain, f.any)
			s.setInt(unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
			for _, size := range []int{1472, 1473, 4000, 65507} {
				s.sendto(f.name+": "+strconv.Itoa(size)+" bytes in fragments", size, r.local)
				r.recv(f.name+": "+strconv.Itoa(size)+" bytes of fragments", 1<<16, 0, netip.AddrPortFrom(r.local.Addr(), s.local.Port()))
			}
		}
	})
}

// TestUDPBlocked receives in a thread that has slept since before the probes.
func TestUDPBlocked(t *testing.T) {
	udpNeeds(t)
	testkernel.NetNS(t)
	k := newTalk(t)
	r := k.socket(unix.AF_INET, "127.0.0.1:0")
	tid, done := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		_, _, err := unix.Recvfrom(r.fd, make([]byte, 10), 0)
		done <- err
	}()
	receiver := <-tid
	time.Sleep(100 * time.Millisecond) // it must have come to sleep
	run := clitest.Start(t, "udp", "--recv", "--format", "json")
	s := k.socket(unix.AF_INET, "127.0.0.1:0")
	if err := unix.Sendto(s.fd, []byte("hello"), 0, s.sockaddr(r.local)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := os.Getenv("SKPROBE_DIALECT"); d != "3.10" && d != "4.4" { // where it takes the return of a call that was not seen
		k.tid = receiver
		r.got("a receive that began before the probe", 5, s.local)
	}
	k.check(run.Stop().OK().Events())
}

// TestUDPNetNS shows one namespace of two.
func TestUDPNetNS(t *testing.T) {
	udpNeeds(t)
	a, b := testkernel.NetNSPair(t)
	run := clitest.Start(t, "udp", "--format", "json", "--netns", a.Path())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	k := newTalk(t)
	for i, addr := range []netip.Addr{b.Addr4, b.Addr6} {
		domain := []int{unix.AF_INET, unix.AF_INET6}[i]
		var client, server *socket
		b.Do(func() { server = k.socket(domain, netip.AddrPortFrom(addr, 5353).String()) })
		a.Do(func() { client = k.socket(domain, "").connect(server.local) })
		client.send("from the namespace", 10)
		if _, _, err := unix.Recvfrom(server.fd, make([]byte, 100), 0); err != nil { // in b: not shown
			t.Fatal(err)
		}
		if err := unix.Sendto(server.fd, []byte("answer"), 0, server.sockaddr(client.local)); err != nil {
			t.Fatal(err)
		}
		client.recv("in the namespace", 100, 0, server.local)
	}
	for _, w := range k.want {
		w.event["netns"] = int(a.Inode())
	}
	k.check(run.Stop().OK().Events())
}

// TestUDPPrograms looks at real programs that ask a real name server.
func TestUDPPrograms(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("dnsmasq"), testkernel.Program("dig"), testkernel.Program("drill"), testkernel.Program("getent"),
		testkernel.Program("nc"), testkernel.Program("unshare"), testkernel.Program("mount"))
	testkernel.NetNS(t)
	server := testkernel.Start(t, testkernel.Listens("udp", 53), "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--bind-interfaces", "--interface=lo", "--address=/example.test/192.0.2.7", "--log-queries", "--user=root")
	run := clitest.Start(t, "udp", "--format", "json")
	clients := map[string]*testkernel.Process{
		"dig":    testkernel.Start(t, testkernel.Prints("192.0.2.7"), "dig", "+time=60", "+short", "@127.0.0.1", "example.test"),
		"dig -6": testkernel.Start(t, testkernel.Prints("192.0.2.7"), "dig", "+time=60", "+short", "@::1", "example.test"),
		"drill":  testkernel.Start(t, testkernel.Prints("192.0.2.7"), "drill", "-Q", "@127.0.0.1", "example.test"),
		"getent": getent(t, "example.test"),
	}
	// nc -u sends what it reads: a query would need bytes on its input, so it
	// sends none, and speaks with a socket of ours.
	k := newTalk(t)
	echo := k.socket(unix.AF_INET, "127.0.0.1:5555")
	sh := testkernel.Start(t, nil, "sh", "-c", "echo hello | nc -u -w 1 127.0.0.1 5555")
	if _, _, err := unix.Recvfrom(echo.fd, make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	for name, c := range clients {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = sh.Wait() // the status of nc says nothing here
	events := run.Stop().OK().Events()

	find := func(what string, want clitest.Event) clitest.Event {
		t.Helper()
		for _, e := range events {
			if e.Has(want) {
				return e
			}
		}
		t.Errorf("%s: no event like %v among %d", what, want, len(events))
		return clitest.Event{}
	}
	for name, c := range clients {
		addr, family := "127.0.0.1", "inet"
		if name == "dig -6" {
			addr, family = "::1", "inet6"
		}
		query := find(name+" asks", clitest.Event{"event": "udp.sendmsg", "pid": c.Pid, "family": family, "raddr": addr, "rport": 53})
		switch query["dest"] {
		case "connected":
			if query["sock_raddr"] != addr || query["sock_rport"] != 53 {
				t.Errorf("%s: connected, but %v", name, query)
			}
		case "address":
			if query["sock_rport"] != 0 {
				t.Errorf("%s: not connected, but %v", name, query)
			}
		default:
			t.Errorf("%s: %v", name, query)
		}
		size, port := query["size"], query["lport"]
		find("the server hears "+name, clitest.Event{"event": "udp.recvmsg", "pid": server.Pid, "comm": "dnsmasq", "raddr": addr, "rport": port, "lport": 53, "size": size})
		answer := find("the server answers "+name, clitest.Event{"event": "udp.sendmsg", "pid": server.Pid, "comm": "dnsmasq", "raddr": addr, "rport": port, "lport": 53, "dest": "address"})
		find(name+" hears", clitest.Event{"event": "udp.recvmsg", "pid": c.Pid, "lport": port, "raddr": addr, "rport": 53, "size": answer["size"]})
	}
	find("drill is not connected", clitest.Event{"comm": "drill", "event": "udp.sendmsg", "dest": "address", "sock_raddr": "0.0.0.0", "sock_rport": 0})
	find("getent is connected", clitest.Event{"comm": "getent", "event": "udp.sendmsg", "dest": "connected"})
	find("nc sends", clitest.Event{"comm": "nc", "event": "udp.sendmsg", "raddr": "127.0.0.1", "rport": 5555, "size": 6, "dest": "connected"})
	find("nc is heard", clitest.Event{"event": "udp.recvmsg", "pid": k.pid, "comm": k.comm, "lport": 5555, "size": 6})
}

// getent looks a name up with the name server at 127.0.0.1.
func getent(t *testing.T, name string) *testkernel.Process {
	command := asking(t, "127.0.0.1", "getent", "ahosts", name)
	return testkernel.Start(t, testkernel.Prints("192.0.2.7"), command[0], command[1:]...)
}

// asking is a command that runs another one, for which a server is the only
// name server.
func asking(t *testing.T, server string, command ...string) []string {
	t.Helper()
	const file = "/etc/resolv.conf"
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+server+"\noptions timeout:30\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil && testkernel.InVM() {
		if err := os.WriteFile(file, nil, 0o644); err != nil { // something to mount on
			t.Fatal(err)
		}
	}
	return append([]string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" ` + file + ` && exec "$@"`, conf}, command...)
}
