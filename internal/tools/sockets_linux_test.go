package tools_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// opt is an option of a socket.
type opt struct{ level, name, value int }

// bind makes a socket with options, binds it, and notes that; err is the result
// that it must have.
func (d *dialer) bind(what string, f family, typ, protocol int, at netip.AddrPort, err error, want clitest.Event, opts ...opt) (fd int) {
	d.t.Helper()
	fd, serr := unix.Socket(f.domain, typ|unix.SOCK_CLOEXEC, protocol)
	if serr != nil {
		d.t.Fatal(what, serr)
	}
	d.t.Cleanup(func() { unix.Close(fd) })
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			d.t.Fatal(what, err)
		}
	}
	if got := unix.Bind(fd, f.sockaddr(at)); got != err {
		d.t.Errorf("%s: %v, want %v", what, got, err)
	}
	e := clitest.Event{"event": "sock.bind", "pid": d.pid, "tid": d.tid, "comm": d.comm, "family": f.column(), "laddr": at.Addr().String(), "lport": nil, "result": 0,
		"backlog": nil, "opts": nil, "ifindex": nil}
	if at.Port() != 0 {
		e["lport"] = int(at.Port())
	} else if testkernel.Since("6.9")() == nil && err == nil && typ != unix.SOCK_RAW {
		e["lport"] = int(d.local(fd).Port())
	}
	if err != nil {
		e["result"] = -int(err.(unix.Errno))
	}
	for k, v := range want {
		e[k] = v
	}
	d.want = append(d.want, noted{what, e})
	return fd
}

// listen listens, and notes that.
func (d *dialer) listen(what string, fd, backlog int, err error, want clitest.Event) {
	d.t.Helper()
	if got := unix.Listen(fd, backlog); got != err {
		d.t.Errorf("%s: %v, want %v", what, got, err)
	}
	e := clitest.Event{"event": "sock.listen", "pid": d.pid, "proto": "tcp", "type": "stream", "backlog": backlog, "result": 0}
	if err != nil {
		e["result"] = -int(err.(unix.Errno))
	}
	for k, v := range want {
		e[k] = v
	}
	d.want = append(d.want, noted{what, e})
}

// Sockets of several protocols are bound and listen, with options and without,
// and some may not.
func TestSockets(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	setting(t, "core/somaxconn", "100")
	run := clitest.Start(t, "sockets", "--format", "json")
	d := newDialer(t)
	type want = clitest.Event
	addr := netip.AddrPortFrom
	for _, f := range tcpFamilies {
		tcp := d.bind(f.name+", TCP", f, unix.SOCK_STREAM, 0, addr(f.addr, 7001), nil, want{"proto": "tcp", "type": "stream"})
		d.listen(f.name+", listen", tcp, 5, nil, want{"laddr": f.addr.String(), "lport": 7001, "family": f.column()})
		d.listen(f.name+", listen again", tcp, 1000, nil, want{"lport": 7001, "backlog": 100})
		d.bind(f.name+", a port that is taken", f, unix.SOCK_STREAM, 0, addr(f.addr, 7001), unix.EADDRINUSE, want{"proto": "tcp"})
		udp := d.bind(f.name+", UDP", f, unix.SOCK_DGRAM, 0, addr(f.addr, 7001), nil, want{"proto": "udp", "type": "dgram"})
		d.bind(f.name+", any port", f, unix.SOCK_DGRAM, 0, addr(f.addr, 0), nil, nil)
		any := d.bind(f.name+", TCP, any port", f, unix.SOCK_STREAM, 0, addr(f.addr, 0), nil, nil)
		d.listen(f.name+", listen on that", any, 1, nil, want{"lport": int(d.local(any).Port())})
		for _, fd := range []int{tcp, udp, any} {
			unix.Close(fd)
		}
	}
	f, f6 := tcpFamilies[0], tcpFamilies[1]
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()

	on := func(level, name int) opt { return opt{level, name, 1} }
	reuse, port := on(unix.SOL_SOCKET, unix.SO_REUSEADDR), on(unix.SOL_SOCKET, unix.SO_REUSEPORT)
	d.bind("reuse", f, unix.SOCK_STREAM, 0, addr(any4, 7002), nil, want{"opts": "reuseaddr,reuseport"}, reuse, port)
	d.bind("reuse too", f, unix.SOCK_STREAM, 0, addr(any4, 7002), nil, want{"opts": "reuseport"}, port)
	far := netip.MustParseAddr("198.51.100.1")
	d.bind("not ours", f, unix.SOCK_DGRAM, 0, addr(far, 7003), unix.EADDRNOTAVAIL, nil)
	d.bind("free", f, unix.SOCK_DGRAM, 0, addr(far, 7003), nil, want{"opts": "freebind"}, on(unix.SOL_IP, unix.IP_FREEBIND))
	d.bind("transparent", f, unix.SOCK_STREAM, 0, addr(far, 7003), nil, want{"opts": "transparent"}, on(unix.SOL_IP, unix.IP_TRANSPARENT))
	d.bind("the port later", f, unix.SOCK_STREAM, 0, addr(f.addr, 0), nil, want{"opts": "no_port", "lport": nil}, on(unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT))
	d.bind("only IPv6", f6, unix.SOCK_STREAM, 0, addr(any6, 7004), nil, want{"opts": "v6only"}, on(unix.SOL_IPV6, unix.IPV6_V6ONLY))
	d.bind("IPv4 beside it", f, unix.SOCK_STREAM, 0, addr(any4, 7004), nil, nil)
	d.bind("raw", f, unix.SOCK_RAW, unix.IPPROTO_ICMP, addr(f.addr, 0), nil, want{"proto": "icmp", "type": "raw", "opts": "reuseaddr"})
	fd := d.bind("of an interface", f, unix.SOCK_DGRAM, 0, addr(any4, 7005), nil, want{"ifindex": 1},
		opt{unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, 1})
	if err := unix.Bind(fd, f.sockaddr(addr(any4, 7006))); err != unix.EINVAL {
		t.Errorf("bound again: %v", err)
	}
	d.want = append(d.want, noted{"bound again", want{"event": "sock.bind", "lport": 7005 + boundAgain(), "result": -int(unix.EINVAL)}})
	fd = d.socket(f, 0)
	d.listen("without an address", fd, 1, nil, want{"laddr": "0.0.0.0"})
	if testkernel.Since("6.9")() == nil {
		d.want[len(d.want)-1].event["lport"] = int(d.local(fd).Port())
	}
	unix.Close(fd)
	open := addr(f.addr, 7008)
	d.listen("a server", d.bind("a server", f, unix.SOCK_STREAM, 0, open, nil, nil), 1, nil, nil)
	fd = d.socket(f, 0)
	if err := unix.Connect(fd, f.sockaddr(open)); err != nil {
		t.Fatal(err)
	}
	d.listen("of a connection", fd, 1, unix.EINVAL, nil)
	unix.Close(fd)
	d.check(run.Stop().OK().Events())
}

// boundAgain is the difference to the port that is asked for of a socket that is
// bound: from 6.9 on the one that it has is shown.
func boundAgain() int {
	if testkernel.Since("6.9")() == nil {
		return 0
	}
	return 1
}

// Whose sockets they are; the other names of the tool; filters.
func TestSocketsPrograms(t *testing.T) {
	tcpNeeds(t)
	testkernel.Needs(t, testkernel.Program("nc"))
	ns := testkernel.NetNS(t)
	listens := clitest.Start(t, "solisten", "--format", "json", "--netns", ns.Path())
	binds := clitest.Start(t, "bindsnoop", "--format", "json", "-P", "7010", "-U", "-u", "0")
	for _, port := range []uint16{7010, 7011} {
		testkernel.Start(t, testkernel.Listens("tcp", port), "nc", "-4", "-l", fmt.Sprint(port))
	}
	for name, r := range map[string]*clitest.Run{"sock.listen": listens, "sock.bind": binds} {
		var got []string
		for _, e := range r.Stop().OK().Events() {
			got = append(got, fmt.Sprint(e["event"], e["comm"], e["proto"], e["laddr"], e["lport"], e["backlog"], e["uid"], e["netns"], e["result"]))
		}
		want := []string{fmt.Sprint("sock.bind", "nc", "tcp", "0.0.0.0", 7010, nil, 0, nil, 0)}
		if name == "sock.listen" {
			want = []string{fmt.Sprint(name, "nc", "tcp", "0.0.0.0", 7010, 1, nil, ns.Inode(), 0), fmt.Sprint(name, "nc", "tcp", "0.0.0.0", 7011, 1, nil, ns.Inode(), 0)}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
