package tools_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A connection has its result, when it is there: at once, in connect, or long
// after, of blocking and non-blocking sockets of either family.
func TestTCPConnectResults(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	run := clitest.Start(t, "tcpconnect", "--format", "json")
	d := newDialer(t)
	for _, f := range tcpFamilies {
		_, open := listen(t, netip.AddrPortFrom(f.addr, 0).String())
		closed := closedPort(t, f.addr)
		for name, flags := range map[string]int{"blocking": 0, "non-blocking": unix.SOCK_NONBLOCK} {
			what := f.name + ", " + name
			fd := d.socket(f, flags)
			if err := d.connect(what, fd, f, open); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			unix.Close(fd)
			fd = d.socket(f, flags)
			if err := d.connect(what+", refused", fd, f, closed); err != unix.ECONNREFUSED {
				t.Errorf("%s, refused: %v", what, err)
			}
			if flags != 0 {
				unix.Connect(fd, f.sockaddr(open)) // is told of the failure, and does nothing
			}
			if err := d.connect(what+", the same socket again", fd, f, open); err != nil {
				t.Errorf("%s, again: %v", what, err)
			}
			unix.Close(fd)
		}
	}
	f := tcpFamilies[0]

	// Both ends connect, and they are one socket.
	fd := d.socket(f, 0)
	self := closedPort(t, f.addr)
	if err := unix.Bind(fd, f.sockaddr(self)); err != nil {
		t.Fatal(err)
	}
	if err := d.connect("to itself", fd, f, self); err != nil {
		t.Errorf("to itself: %v", err)
	}
	unix.Close(fd)

	// An address of no host, and the address of none.
	fd = d.socket(f, 0)
	for what, to := range map[string]string{"a group": "224.0.0.5:80", "no route": "192.0.2.1:80"} {
		if err := d.connect(what, fd, f, netip.MustParseAddrPort(to)); err != unix.ENETUNREACH {
			t.Errorf("%s: %v", what, err)
		}
		d.want[len(d.want)-1].event["laddr"] = nil
	}
	_, open := listen(t, "127.0.0.1:0")
	if err := unix.Connect(fd, f.sockaddr(netip.AddrPortFrom(netip.IPv4Unspecified(), open.Port()))); err != nil {
		t.Fatal(err)
	}
	d.note("0.0.0.0", fd, f, open, nil)
	unix.Close(fd)

	// One port for all.
	setting(t, "ipv4/ip_local_port_range", "40000 40000")
	one, two := d.socket(f, 0), d.socket(f, 0)
	d.connect("the only port", one, f, open)
	if err := d.connect("no port", two, f, open); err != unix.EADDRNOTAVAIL {
		t.Errorf("no port: %v", err)
	}
	unix.Close(one)
	unix.Close(two)

	mine, again := d.check(run.Stop().OK().Events()), 0
	for _, e := range mine {
		between(t, "latency_us", e["latency_us"], 0, 60e6)
		n, ok := e["syn_retrans"].(int)
		if again += n; e["result"] == 0 && !ok && !e.Has(clitest.Event{"syn_retrans": 0}) {
			t.Errorf("without syn_retrans: %v", e)
		}
	}
	if n := counter(t, "TcpExt:TCPSynRetrans"); again > n { // where the guest stands still there are some
		t.Errorf("%d SYNs were sent again, and the kernel counts %d", again, n)
	}
}

// A SYN that nobody answers: the kernel gives up, the process does, the process
// dies, or tracing ends. What began before tracing is not shown.
func TestTCPConnectUnanswered(t *testing.T) {
	tcpNeeds(t)
	a, b := testkernel.NetNSPair(t)
	f, f6 := tcpFamilies[0], tcpFamilies[1]
	to, to6 := netip.AddrPortFrom(b.Addr4, 80), netip.AddrPortFrom(b.Addr6, 80)
	b.Do(func() { // what b receives from a it does not answer
		ip(t, "route add blackhole "+a.Addr4.String()+"/32")
		ip(t, "route add blackhole "+a.Addr6.String()+"/128")
	})
	a.Do(func() {
		d := newDialer(t)
		before := d.socket(f, unix.SOCK_NONBLOCK)
		if err := unix.Connect(before, f.sockaddr(to)); err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		run := clitest.Start(t, "tcpconnect", "--format", "json")
		unix.Close(before)

		begin := time.Now()
		start := func(f family, to netip.AddrPort) int {
			fd := d.socket(f, unix.SOCK_NONBLOCK)
			if err := unix.Connect(fd, f.sockaddr(to)); err != unix.EINPROGRESS {
				t.Fatal(err)
			}
			return fd
		}
		givesUp := func(fd int) int { // after one more SYN
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1); err != nil {
				t.Fatal(err)
			}
			return fd
		}
		// One never gives up, the other does after two seconds.
		killed := testkernel.Start(t, connectsTo(b.Addr4, 1), "nc", b.Addr4.String(), "80")
		nc := testkernel.Start(t, nil, "nc", "-w", "2", b.Addr4.String(), "80")
		closed, timed := start(f, to), givesUp(start(f, to))
		time.Sleep(200 * time.Millisecond)
		timed6 := givesUp(start(f6, to6))
		e := d.note("closed", closed, f, to, nil)
		e["event"] = "tcp.connect_aborted"
		delete(e, "result")
		unix.Close(closed)
		killed.Signal(unix.SIGKILL)
		killed.Wait()
		nc.Wait()
		for _, s := range []struct {
			fd int
			f  family
			to netip.AddrPort
		}{{timed, f, to}, {timed6, f6, to6}} {
			local := d.local(s.fd)
			if err := d.wait(s.fd); err != unix.ETIMEDOUT {
				t.Errorf("%s: %v", s.f.name, err)
			}
			e := d.note("timed out", s.fd, s.f, s.to, unix.ETIMEDOUT)
			e["laddr"], e["lport"] = local.Addr().String(), int(local.Port())
			unix.Close(s.fd)
		}
		timeout := time.Since(begin)
		waiting := start(f6, to6)
		e = d.note("waiting", waiting, f6, to6, nil)
		e["event"] = "tcp.connect_pending"
		delete(e, "result")
		time.Sleep(100 * time.Millisecond)
		events := run.Stop().OK().Events()
		unix.Close(waiting)

		// The timers of two CPUs may come in either order.
		failed := func(e clitest.Event, family string) bool {
			return e["pid"] == d.pid && e["event"] == "tcp.connect_failed" && e["family"] == family
		}
		four, six := slices.IndexFunc(events, func(e clitest.Event) bool { return failed(e, "inet") }), slices.IndexFunc(events, func(e clitest.Event) bool { return failed(e, "inet6") })
		if six >= 0 && six < four {
			events[four], events[six] = events[six], events[four]
		}
		mine := d.check(events)
		if t.Failed() {
			return
		}
		between(t, "closed", mine[0]["latency_us"], micros(200*time.Millisecond), micros(timeout))
		between(t, "timed out", mine[1]["latency_us"], micros(2*time.Second), micros(timeout))
		between(t, "timed out", mine[2]["latency_us"], micros(2*time.Second), micros(timeout))
		between(t, "waiting", mine[3]["latency_us"], micros(100*time.Millisecond), micros(20*time.Second))
		between(t, "timed out", mine[1]["syn_retrans"], 1, 9)
		between(t, "timed out", mine[2]["syn_retrans"], 1, 9)
		for _, e := range mine {
			if _, has := e["result"]; has != (e["event"] == "tcp.connect_failed") {
				t.Errorf("%v", e)
			}
		}
		for _, p := range []struct {
			what string
			pid  int
			low  time.Duration
		}{{"nc -w 2", nc.Pid, 1900 * time.Millisecond}, {"nc, killed", killed.Pid, 100 * time.Millisecond}} {
			n := 0
			for _, e := range events {
				if e["pid"] != p.pid {
					continue
				}
				n++
				if e["event"] != "tcp.connect_aborted" || e["comm"] != "nc" || e["raddr"] != b.Addr4.String() || e["laddr"] != a.Addr4.String() {
					t.Errorf("%s: %v", p.what, e)
				}
				between(t, p.what, e["latency_us"], micros(p.low), micros(timeout))
			}
			if n != 1 {
				t.Errorf("%s: %d events", p.what, n)
			}
		}
	})
}

// What routes forbid fails in connect; what a router forbids fails later, by an
// ICMP error.
func TestTCPConnectUnreachable(t *testing.T) {
	tcpNeeds(t)
	a, b := testkernel.NetNSPair(t)
	b.Do(func() {
		setting(t, "ipv4/ip_forward", "1")
		setting(t, "ipv6/conf/all/forwarding", "1")
		ip(t, "route add unreachable 198.51.100.0/25")
		ip(t, "route add prohibit 198.51.100.128/25")
		ip(t, "-6 route add unreachable 2001:db8:1::/64")
	})
	a.Do(func() {
		for _, route := range []string{"prohibit 203.0.113.1/32", "blackhole 203.0.113.2/32", "unreachable 203.0.113.3/32",
			"198.51.100.0/24 via " + b.Addr4.String()} {
			ip(t, "route add "+route)
		}
		ip(t, "-6 route add prohibit 2001:db8:2::1/128")
		ip(t, "-6 route add 2001:db8:1::/64 via "+b.Addr6.String())
		run := clitest.Start(t, "tcpconnect", "--format", "json", "--failed")
		d := newDialer(t)
		for _, c := range []struct {
			f    family
			to   string
			errs []unix.Errno
		}{
			{tcpFamilies[0], "203.0.113.1:80", []unix.Errno{unix.EACCES}},
			{tcpFamilies[0], "203.0.113.2:80", []unix.Errno{unix.EINVAL}},
			{tcpFamilies[0], "203.0.113.3:80", []unix.Errno{unix.EHOSTUNREACH}},
			{tcpFamilies[2], "203.0.113.3:80", []unix.Errno{unix.EHOSTUNREACH}},
			{tcpFamilies[1], "[2001:db8:2::1]:80", []unix.Errno{unix.EACCES}},
			{tcpFamilies[0], "198.51.100.1:80", []unix.Errno{unix.EHOSTUNREACH}},
			{tcpFamilies[0], "198.51.100.129:80", []unix.Errno{unix.EHOSTUNREACH}},
			{tcpFamilies[1], "[2001:db8:1::1]:80", []unix.Errno{unix.EHOSTUNREACH, unix.ENETUNREACH}},
		} {
			fd := d.socket(c.f, 0)
			if err, _ := d.connect(c.to, fd, c.f, netip.MustParseAddrPort(c.to)).(unix.Errno); !slices.Contains(c.errs, err) {
				t.Errorf("%s: %v, want %v", c.to, err, c.errs)
			}
			unix.Close(fd)
		}
		d.check(run.Stop().OK().Events())
	})
}

// Programs: whose connections they are, with -- PROGRAM, and in another network
// namespace.
func TestTCPConnectPrograms(t *testing.T) {
	tcpNeeds(t)
	testkernel.Needs(t, testkernel.Program("curl"), testkernel.Program("nc"))
	a, b := testkernel.NetNSPair(t)
	var open netip.AddrPort
	b.Do(func() { open = serveHTTP(t, "[::]:0") })
	a.Do(func() {
		closed := netip.AddrPortFrom(b.Addr4, 1)
		urls := []string{"http://" + netip.AddrPortFrom(b.Addr4, open.Port()).String(), "http://" + netip.AddrPortFrom(b.Addr6, open.Port()).String()}
		r := clitest.Do(t, "tcpconnect", "--netns", a.Path(), "--format", "json", "--print-uid", "--", "curl", "--silent", "--no-keepalive", "-o", "/dev/null", "-o", "/dev/null", urls[0], urls[1])
		var got []string
		for _, e := range r.OK().Events() {
			got = append(got, fmt.Sprint(e["event"], e["comm"], e["uid"], e["netns"], e["family"], e["raddr"], e["rport"], e["result"]))
		}
		var want []string
		for _, to := range [][2]any{{"inet", b.Addr4}, {"inet6", b.Addr6}} {
			want = append(want, fmt.Sprint("tcp.connected", "curl", 0, a.Inode(), to[0], to[1].(netip.Addr).String(), int(open.Port()), 0))
		}
		if !slices.Equal(got, want) {
			t.Errorf("curl: %q, want %q", got, want)
		}

		r = clitest.Do(t, "tcpconnect", "--netns", b.Path(), "--format", "json", "--", "curl", "--silent", "-o", "/dev/null", urls[0])
		if r.OK(); len(r.Events()) > 0 {
			t.Errorf("in another namespace: %v", r.Events())
		}

		run := clitest.Start(t, "tcpconnect", "--format", "json", "--comm", "nc", "-P", "1")
		clitest.Do(t, "tcpconnect", "-o", "/dev/null", "--", "nc", "-z", closed.Addr().String(), "1", "2") // both are refused
		events := run.Stop().OK().Events()
		if len(events) != 1 || events[0]["comm"] != "nc" || events[0]["rport"] != 1 || events[0]["result"] != -int(unix.ECONNREFUSED) {
			t.Errorf("nc: %v", events)
		}
	})
}

// A thousand short connections are all shown, in the order of time.
func TestTCPConnectMany(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	f := tcpFamilies[0]
	l, at := listen(t, "127.0.0.1:0")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	run := clitest.Start(t, "tcpconnect", "--format", "json", "--pid", fmt.Sprint(os.Getpid()))
	d := newDialer(t)
	for range 1000 {
		fd := d.socket(f, 0)
		if err := d.connect("one of many", fd, f, at); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	result := run.Stop()
	// What the kernel missed is not needed to see a connection.
	if result.OK(); !strings.Contains(result.Stderr, "\n1000 events") {
		t.Errorf("%s", result.Stderr)
	}

	last := ""
	for _, e := range d.check(result.Events()) {
		if now := e["time"].(string); now < last {
			t.Fatalf("%s after %s", now, last)
		} else {
			last = now
		}
	}
}
