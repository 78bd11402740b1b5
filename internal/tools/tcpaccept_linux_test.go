package tools_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// rawListener listens at an address of this host, and nobody accepts.
func (d *dialer) rawListener(f family, at netip.Addr) (fd int, addr netip.AddrPort) {
	d.t.Helper()
	fd = d.socket(f, 0)
	if err := unix.Bind(fd, f.sockaddr(netip.AddrPortFrom(at, 0))); err != nil {
		d.t.Fatal(err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		d.t.Fatal(err)
	}
	return fd, d.local(fd)
}

// client connects and returns its end; the connection lives as long as the test.
func (d *dialer) client(f family, to netip.AddrPort) netip.AddrPort {
	d.t.Helper()
	fd := d.socket(f, 0)
	d.t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, f.sockaddr(to)); err != nil {
		d.t.Fatal(err)
	}
	return d.local(fd)
}

// accept accepts, and notes it.
func (d *dialer) accept(what string, fd int, f family, at, from netip.AddrPort) {
	d.t.Helper()
	s, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		d.t.Fatal(err)
	}
	unix.Close(s)
	d.noteAccept(what, f, at, from)
}

func (d *dialer) noteAccept(what string, f family, at, from netip.AddrPort) {
	d.want = append(d.want, noted{what, clitest.Event{"pid": d.pid, "tid": d.tid, "comm": d.comm, "family": f.column(),
		"laddr": at.Addr().String(), "lport": int(at.Port()), "raddr": from.Addr().String(), "rport": int(from.Port())}})
}

// Connections are accepted at once and after a time, also those of before
// tracing, on sockets of either family; other things that are accepted are not
// TCP connections.
func TestTCPAccept(t *testing.T) {
	tcpNeeds(t)
	attempts(t, tcpAccepts)
}

func tcpAccepts(t *attempt) {
	testkernel.NetNS(t)
	d := newDialer(t)
	before, at := d.rawListener(tcpFamilies[0], tcpFamilies[0].addr)
	early := d.client(tcpFamilies[0], at)
	run := clitest.Start(t, "tcpaccept", "--format", "json")
	d.accept("connected before tracing", before, tcpFamilies[0], at, early)
	unix.Close(before)

	const waited = 150 * time.Millisecond
	for _, f := range tcpFamilies {
		bind := f.addr
		if f.name == "mapped" {
			bind = netip.IPv6Unspecified()
		}
		fd, at := d.rawListener(f, bind)
		to := netip.AddrPortFrom(f.addr, at.Port())
		first, second := d.client(f, to), d.client(f, to)
		testkernel.Delivered(t) // a client is connected before its last packet has come
		time.Sleep(waited)
		d.accept(f.name+", the first", fd, f, to, first)
		d.accept(f.name+", the second", fd, f, to, second)
		d.accept(f.name+", the third", fd, f, to, d.client(f, to))
		unix.Close(fd)
	}

	// A client that is gone when it is accepted, and none.
	f := tcpFamilies[0]
	fd, at := d.rawListener(f, f.addr)
	c := d.socket(f, 0)
	if err := unix.Connect(c, f.sockaddr(at)); err != nil {
		t.Fatal(err)
	}
	from := d.local(c)
	unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(c)
	d.accept("reset by the client", fd, f, at, from)
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := unix.Accept4(fd, 0); err != unix.EAGAIN {
		t.Errorf("nobody connects: %v", err)
	}
	unix.Close(fd)
	l, err := net.Listen("unix", t.TempDir()+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go net.Dial("unix", l.Addr().String())
	if c, err := l.Accept(); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}

	mine := d.check(run.Stop().OK().Events())
	for i, e := range mine {
		switch what := d.want[min(i, len(d.want)-1)].what; {
		case i == 0 && e["queue_us"] != nil:
			t.Errorf("%s: queue_us %v", what, e["queue_us"])
		case strings.HasSuffix(what, "first"), strings.HasSuffix(what, "second"):
			between(t, what, e["queue_us"], micros(waited), 60e6)
		case i > 0:
			between(t, what, e["queue_us"], 0, 60e6)
		}
	}
}

// Threads and programs that sleep in accept when tracing begins are seen, and
// whose they are.
func TestTCPAcceptBlocked(t *testing.T) {
	tcpNeeds(t)
	testkernel.Needs(t, testkernel.Program("nc"))
	a, b := testkernel.NetNSPair(t)
	type blocked struct {
		d    *dialer
		at   netip.AddrPort
		done chan bool
	}
	sleeper := make(chan blocked)
	f := tcpFamilies[0]
	go b.Do(func() {
		d := newDialer(t)
		fd, at := d.rawListener(f, b.Addr4)
		s := blocked{d, at, make(chan bool)}
		sleeper <- s
		c, from, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Error(err)
		} else {
			from := from.(*unix.SockaddrInet4)
			d.noteAccept("a thread that slept", f, at, netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port)))
			unix.Close(c)
		}
		unix.Close(fd)
		close(s.done)
	})
	s := <-sleeper
	var nc *testkernel.Process
	b.Do(func() { nc = testkernel.Start(t, testkernel.Listens("tcp", 7777), "nc", "-6", "-l", "7777") })
	time.Sleep(200 * time.Millisecond) // until both sleep

	run := clitest.Start(t, "tcpaccept", "--format", "json", "--netns", b.Path())
	a.Do(func() {
		newDialer(t).client(f, s.at)
		newDialer(t).client(tcpFamilies[1], netip.AddrPortFrom(b.Addr6, 7777))
	})
	<-s.done
	run.Until("nc is seen", func() bool { return strings.Contains(run.Stdout(), `"nc"`) })
	events := run.Stop().OK().Events()
	for _, e := range s.d.check(events) {
		between(t, "a thread that slept", e["queue_us"], 0, 60e6)
	}
	got := ""
	for _, e := range events {
		if e["pid"] == nc.Pid {
			got += fmt.Sprint(e["event"], " ", e["comm"], " ", e["family"], " ", e["laddr"], " ", e["lport"], " ", e["raddr"], " ", e["netns"])
			between(t, "nc", e["queue_us"], 0, 60e6)
		}
	}
	if want := fmt.Sprint("tcp.accept nc inet6 ", b.Addr6, " 7777 ", a.Addr6, " ", b.Inode()); got != want {
		t.Errorf("nc: %q, want %q", got, want)
	}
}

// A thousand short connections to one port of two, accepted by many threads, are
// all shown, and no others.
func TestTCPAcceptMany(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	d := newDialer(t)
	f := tcpFamilies[0]
	fd, at := d.rawListener(f, f.addr)
	other, _ := listen(t, "127.0.0.1:0")
	t.Cleanup(func() { unix.Close(fd) })
	run := clitest.Start(t, "tcpaccept", "--format", "json", "-P", fmt.Sprint(at.Port()))
	const threads, each = 4, 250
	done := make(chan bool)
	for range threads {
		go func() {
			runtime.LockOSThread()
			for range each {
				if c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC); err != nil {
					t.Error(err)
				} else {
					unix.Close(c)
				}
			}
			done <- true
		}()
	}
	clients := map[any]int{} // how often a client had the port
	for i := range threads * each {
		c := d.socket(f, 0)
		if err := unix.Connect(c, f.sockaddr(at)); err != nil {
			t.Fatal(err)
		}
		clients[int(d.local(c).Port())]++
		unix.Close(c)
		if i%100 == 0 {
			d.client(f, other.Addr().(*net.TCPAddr).AddrPort())
			if c, err := other.Accept(); err == nil {
				c.Close()
			}
		}
	}
	for range threads {
		<-done
	}
	result := run.Stop().OK()
	if !strings.Contains(result.Stderr, "\n1000 events") {
		t.Errorf("%s", result.Stderr)
	}
	missed := 0
	for _, e := range result.Events() {
		if clients[e["rport"]] == 0 || e["lport"] != int(at.Port()) || e["pid"] != os.Getpid() {
			t.Fatalf("%v", e)
		}
		clients[e["rport"]]--
		if e["queue_us"] == nil {
			missed++ // by the kernel, in softirq
			continue
		}
		between(t, "queue_us", e["queue_us"], 0, 60e6)
	}
	if missed > threads*each/10 {
		t.Errorf("%d without queue_us", missed)
	}
}
