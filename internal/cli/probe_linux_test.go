package cli_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// mine are the events of this process with that name.
func mine(r *clitest.Result, name string) []clitest.Event {
	return slices.DeleteFunc(r.Events(), func(e clitest.Event) bool { return e["pid"] != os.Getpid() || e["event"] != name })
}

// udpSocket is a socket of family inet or inet6 that is closed at the end.
func udpSocket(t *testing.T, domain int) int {
	t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

var discard4 = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}

// TestProbeReturn pairs calls and returns of parallel threads.
func TestProbeReturn(t *testing.T) {
	needs(t)
	const threads, each = 6, 50
	r := clitest.Start(t, "probe", "--format", "json", "inet_sendmsg%return size ret=$retval:errno", "--pid", fmt.Sprint(os.Getpid()))
	var wg sync.WaitGroup
	for thread := range threads {
		wg.Go(func() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer unix.Close(fd)
			for i := range each {
				if err := unix.Sendto(fd, make([]byte, thread*each+i), 0, discard4); err != nil {
					t.Error(err)
				}
			}
			if err := unix.Send(fd, make([]byte, 5000+thread), 0); err != unix.EDESTADDRREQ {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[any]int{}
	for _, e := range mine(r.Stop().OK(), "inet_sendmsg%return") {
		seen[e["size"]]++
		if size := e["size"].(int); size >= 5000 && e["ret"] != -int(unix.EDESTADDRREQ) || size < 5000 && e["ret"] != e["size"] {
			t.Errorf("%v", e)
		}
	}
	if len(seen) != threads*(each+1) {
		t.Errorf("%d events, want %d", len(seen), threads*(each+1))
	}
}

// TestProbeRecursion returns from a function that was entered again before,
// as it is when a frame goes out through a bridge.
func TestProbeRecursion(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("ping"), testkernel.Module("bridge"), testkernel.Module("veth"))
	a, b := testkernel.NetNSPair(t)
	a.Do(func() {
		for _, args := range []string{"addr flush dev veth0", "link add br0 type bridge", "link set veth0 master br0", "link set br0 up", "addr add 192.0.2.1/24 dev br0"} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", args, err, out)
			}
		}
	})
	r := clitest.Start(t, "probe", "--format", "json", "__dev_queue_xmit%return skb:pointer dev=skb->dev->name ret=$retval", "--where", `dev in ["br0", "veth0"]`)
	a.Do(func() {
		if out, err := exec.Command("ping", "-c", "3", "-i", "0.2", b.Addr4.String()).CombinedOutput(); err != nil {
			t.Fatalf("ping: %v: %s", err, out)
		}
	})
	inner := map[any]bool{}
	nested := 0
	for _, e := range r.Stop().OK().Events() {
		switch e["dev"] {
		case "veth0":
			inner[e["skb"]] = true
		case "br0":
			if inner[e["skb"]] {
				nested++
			}
		}
		if e["ret"] != 0 {
			t.Errorf("%v", e)
		}
	}
	if nested < 3 {
		t.Errorf("%d calls of a call were paired, want 3 and more", nested)
	}
}

// TestProbeFields reads all sorts of fields of sockets of which all is known.
func TestProbeFields(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	plain, reuse := udpSocket(t, unix.AF_INET), udpSocket(t, unix.AF_INET)
	for _, opt := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(reuse, unix.SOL_SOCKET, opt, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.SetsockoptInt(reuse, unix.SOL_SOCKET, unix.SO_MARK, 4711); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(reuse, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 6100}); err != nil {
		t.Fatal(err)
	}
	probe := strings.Join([]string{"udp_sendmsg",
		"len",
		"twice=sk->no_such_member??len", "alt=((struct no_such *)sk)->x??sk->__sk_common.skc_family",
		"s=sk:sock", "to=msg->msg_name:sockaddr",
		"port=((struct sockaddr_in *)msg->msg_name)->sin_port:port",
		"port2=*(u16*)((u8*)msg->msg_name+2):port",
		"third=((u8*)msg->msg_name)[6]", "bytes=((struct sockaddr_in *)msg->msg_name)->sin_addr:bytes",
		"inet=((struct inet_sock *)sk)->inet_sport:port",
		"reuse=sk->__sk_common.skc_reuse", "reuseport=sk->__sk_common.skc_reuseport",
		"protocol=sk->sk_protocol", "mark=sk->sk_mark",
		"send=sk->__sk_common.skc_prot->sendmsg", "prot=sk->__sk_common.skc_prot:symbol", "name=sk->__sk_common.skc_prot->name:char",
		"addr=&sk->__sk_common.skc_family", "sk:pointer", "next=sk+1:pointer",
		"sp=$stack:hex", "ret=$stack0:symbol", "arg=" + register(2), "comm2=$comm:string",
	}, " ")
	variables := testkernel.Symbol("jiffies")() == nil // not without CONFIG_KALLSYMS_ALL, as Debian's for arm64 in clouds
	if variables {
		probe += " jiffies=@jiffies lo=((struct net *)&@init_net)->loopback_dev->ifindex"
	}
	r := clitest.Start(t, "probe", "--format", "json", probe, "--pid", fmt.Sprint(os.Getpid()))
	for i := range 2 {
		if err := unix.Sendto(plain, make([]byte, 10+i), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 1, 2, 3}, Port: 5001}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Send(plain, make([]byte, 20+i), 0); err != unix.EDESTADDRREQ { // what hangs on msg_name is not there
			t.Fatal(err)
		}
		if err := unix.Sendto(reuse, make([]byte, 30+i), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	events := mine(r.Stop().OK(), "udp_sendmsg")
	if len(events) != 6 {
		t.Fatalf("%d events, want 6", len(events))
	}
	type want = clitest.Event
	always := want{"alt": 2, "s_family": "inet", "protocol": unix.IPPROTO_UDP, "send": "udp_sendmsg+0x0", "name": "UDP"}
	if variables {
		always["prot"] = "udp_prot+0x0"
		always["lo"] = 1
	}
	// A pointer that is NULL makes everything behind it absent, although the
	// kernel leaves the bytes of the event before there.
	behind := []string{"port", "port2", "third", "bytes", "to_addr", "to_port", "to_family"}
	last := 0
	for i, e := range events {
		expect := []want{
			{"len": 10 + i/3, "port": 5001, "port2": 5001, "third": 2, "bytes": "7f010203", "to_addr": "127.1.2.3", "to_port": 5001, "to_family": "inet",
				"reuse": 0, "reuseport": 0, "mark": 0, "s_laddr": "0.0.0.0", "s_raddr": "0.0.0.0"},
			{"len": 20 + i/3, "reuse": 0, "reuseport": 0, "mark": 0},
			{"len": 30 + i/3, "port": 9, "port2": 9, "third": 0, "to_addr": "127.0.0.1", "to_port": 9, "inet": 6100, "s_lport": 6100, "s_laddr": "127.0.0.1",
				"reuse": 1, "reuseport": 1, "mark": 4711},
		}[i%3]
		for _, w := range []want{always, expect, {"twice": expect["len"], "arg": expect["len"], "comm2": e["comm"]}} {
			for k, v := range w {
				if e[k] != v {
					t.Errorf("event %d: %s is %v, want %v", i, k, e[k], v)
				}
			}
		}
		if i%3 == 1 {
			for _, k := range behind {
				if v, ok := e[k]; ok {
					t.Errorf("event %d: %s is %v: msg_name is NULL: that was the event before", i, k, v)
				}
			}
		}
		for k, pattern := range map[string]string{"sk": `^0xff`, "addr": `^0xff`, "next": `^0xff`} {
			if s, _ := e[k].(string); !regexp.MustCompile(pattern).MatchString(s) {
				t.Errorf("event %d: %s is %v", i, k, e[k])
			}
		}
		if n, _ := e["jiffies"].(int); n < last && last > 0 {
			t.Errorf("jiffies went from %d to %d", last, n)
		} else {
			last = n
		}
		if s, _ := e["ret"].(string); runtime.GOARCH == "amd64" && !strings.Contains(s, "+0x") {
			t.Errorf("event %d: return address %v", i, e["ret"])
		}
	}
	if t.Failed() {
		t.Logf("%v", events)
	}

	// The kernel's filter knows bit fields too.
	r = clitest.Start(t, "probe", "-v", "--format", "json", "udp_sendmsg len reuseport=sk->__sk_common.skc_reuseport", "--where", "reuseport == 1")
	for _, fd := range []int{plain, reuse} {
		if err := unix.Sendto(fd, make([]byte, fd), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	res := r.Stop().OK()
	if events := mine(res, "udp_sendmsg"); len(events) != 1 || events[0]["len"] != reuse || !strings.Contains(res.Stderr, "filtered by the kernel") {
		t.Errorf("reuseport == 1 gives %v; %s", events, res.Stderr)
	}
}

// TestProbeIPv6 reads addresses of IPv6.
func TestProbeIPv6(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET6)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		t.Fatal(err)
	}
	r := clitest.Start(t, "probe", "--format", "json", "udpv6_sendmsg s=sk:sock to=msg->msg_name:sockaddr only=sk->__sk_common.skc_ipv6only "+
		"last=((struct sockaddr_in6 *)msg->msg_name)->sin6_addr.in6_u.u6_addr8[15] addr=((struct sockaddr_in6 *)msg->msg_name)->sin6_addr "+
		"word=((struct sockaddr_in6 *)msg->msg_name)->sin6_addr.in6_u.u6_addr16[7]:port")
	if err := unix.Connect(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16(), Port: 7000}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16(), Port: 9}); err != nil {
		t.Fatal(err)
	}
	events := mine(r.Stop().OK(), "udpv6_sendmsg")
	if len(events) != 1 {
		t.Fatalf("%v", events)
	}
	for k, v := range (clitest.Event{"s_family": "inet6", "s_raddr": "::1", "s_rport": 7000, "s_laddr": "::1", "s_state": "ESTABLISHED",
		"to_family": "inet6", "to_addr": "::1", "to_port": 9, "only": 1, "last": 1, "addr": "::1", "word": 1}) {
		if events[0][k] != v {
			t.Errorf("%s is %v, want %v", k, events[0][k], v)
		}
	}
}

// TestProbeTCP shows an enum by name, and the state of sockets.
func TestProbeTCP(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := clitest.Start(t, "probe", "--format", "json", "inet_sendmsg size state=sock->state type=sock->type sk=sock->sk:sock",
		"tcp_sendmsg%return size ret=$retval", "--where", `size == 4321 && (state == nil || state == "SS_CONNECTED")`)
	// The socket of a connect that did not block would stay SS_CONNECTING.
	port := l.Addr().(*net.TCPAddr).Port
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	if err := unix.Connect(c, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := unix.Write(c, make([]byte, 4321)); err != nil {
		t.Fatal(err)
	}
	res := r.Stop().OK()
	got := mine(res, "inet_sendmsg")
	if len(got) != 1 || got[0]["state"] != "SS_CONNECTED" || got[0]["type"] != 1 || got[0]["sk_state"] != "ESTABLISHED" || got[0]["sk_rport"] != port {
		t.Errorf("inet_sendmsg: %v", got)
	}
	got = mine(res, "tcp_sendmsg%return")
	if len(got) != 1 || got[0]["ret"] != 4321 {
		t.Errorf("tcp_sendmsg: %v", got)
	}
}

// TestProbeOffset probes inside a function, where only registers can be named.
func TestProbeOffset(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	// After the call of ftrace, which is 5 bytes, and maybe endbr64, which is 4;
	// or on arm64 two instructions and maybe bti.
	for _, off := range map[string][]int{"amd64": {5, 9}, "arm64": {8, 12}}[runtime.GOARCH] {
		r := clitest.Begin(t, "probe", "--format", "json", "--duration", "2s", fmt.Sprintf("udp_sendmsg+%d len=%s family=((struct sock *)%s)->__sk_common.skc_family:family", off, register(2), register(0)))
		r.Until("it is armed or refused", func() bool { return r.Ended() || r.IsArmed() })
		if r.Ended() {
			r.Wait().Is(3)
			continue
		}
		if err := unix.Sendto(fd, make([]byte, 1234), 0, discard4); err != nil {
			t.Fatal(err)
		}
		events := mine(r.Stop().OK(), fmt.Sprintf("udp_sendmsg+%d", off))
		if len(events) != 1 || events[0]["len"] != 1234 || events[0]["family"] != "inet" {
			t.Errorf("+%d: %v", off, events)
		}
		return
	}
	t.Error("neither +5 nor +9 is the start of an instruction")
}

// TestProbeString reads texts of the kernel and of programs.
func TestProbeString(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Symbol("do_sys_openat2"))
	file := filepath.Join(t.TempDir(), "file with ünusual name")
	r := clitest.Start(t, "probe", "--format", "json", "do_sys_openat2 filename user=filename:ustring flags=how->flags:hex", "--where", `filename contains "usual name"`)
	if f, err := os.Open(file); err == nil {
		f.Close()
	}
	if f, err := os.Create(file); err == nil {
		f.Close()
	}
	events := mine(r.Stop().OK(), "do_sys_openat2")
	if len(events) != 2 {
		t.Fatalf("%v", events)
	}
	for _, e := range events {
		if e["filename"] != file || e["user"] != file {
			t.Errorf("%v, want %q", e, file)
		}
	}
	if flags, _ := events[1]["flags"].(int); flags&unix.O_CREAT == 0 {
		t.Errorf("flags %#x", flags)
	}
}

// TestProbePackets follows a ping through the stack.
func TestProbePackets(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("ping"), testkernel.Module("veth"))
	a, b := testkernel.NetNSPair(t)
	mac := func(n *testkernel.Namespace) (mac string) {
		n.Do(func() {
			i, err := net.InterfaceByName(n.Dev)
			if err != nil {
				t.Fatal(err)
			}
			mac = i.HardwareAddr.String()
		})
		return mac
	}
	macA, macB := mac(a), mac(b)
	r := clitest.Start(t, "probe", "--format", "json",
		"ip_rcv skb:packet in=dev->name in_mac=dev->dev_addr:mac type=skb->pkt_type proto2=skb->protocol:ethertype",
		"ip_output skb:packet", "ipv6_rcv skb:packet",
		"neigh_resolve_output skb:packet out=neigh->dev->name")
	for _, to := range []string{b.Addr4.String(), b.Addr6.String()} {
		a.Do(func() {
			if out, err := exec.Command("ping", "-c", "2", "-i", "0.2", "-s", "100", to).CombinedOutput(); err != nil {
				t.Fatalf("ping: %v: %s", err, out)
			}
		})
	}
	events := r.Stop().OK().Events()
	find := func(what string, n int, want clitest.Event) {
		t.Helper()
		got := 0
		for _, e := range events {
			ok := true
			for k, v := range want {
				ok = ok && e[k] == v
			}
			if ok {
				got++
			}
		}
		if got != n {
			t.Errorf("%s: %d events like %v, want %d", what, got, want, n)
		}
	}
	p4, q4, p6, q6 := a.Addr4.String(), b.Addr4.String(), a.Addr6.String(), b.Addr6.String()
	find("request sent", 2, clitest.Event{"event": "ip_output", "saddr": p4, "daddr": q4, "proto": "icmp", "icmp_type": 8, "len": 128})
	find("request received", 2, clitest.Event{"event": "ip_rcv", "saddr": p4, "daddr": q4, "proto": "icmp", "icmp_type": 8, "in": b.Dev, "in_mac": macB,
		"smac": macA, "dmac": macB, "ethertype": "0x0800", "proto2": "0x0800", "type": 0, "len": 128})
	find("reply sent", 2, clitest.Event{"event": "ip_output", "saddr": q4, "daddr": p4, "proto": "icmp", "icmp_type": 0})
	find("reply received", 2, clitest.Event{"event": "ip_rcv", "saddr": q4, "daddr": p4, "in": a.Dev, "smac": macB, "dmac": macA, "icmp_type": 0})
	find("IPv6 request received", 2, clitest.Event{"event": "ipv6_rcv", "saddr": p6, "daddr": q6, "proto": "icmp6", "icmp_type": 128})
	find("IPv6 reply received", 2, clitest.Event{"event": "ipv6_rcv", "saddr": q6, "daddr": p6, "icmp_type": 129})
	resolved := false
	for _, e := range events {
		if e["event"] == "neigh_resolve_output" && e["saddr"] == p4 && e["daddr"] == q4 && e["out"] == a.Dev && e["proto"] == "icmp" {
			resolved = true
		}
	}
	if !resolved {
		t.Errorf("neigh_resolve_output did not show the first packet")
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}

// TestProbeStack looks at symbolised stacks.
func TestProbeStack(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	formats := map[string]*clitest.Run{}
	for _, format := range []string{"json", "csv", "table"} {
		formats[format] = clitest.Begin(t, "probe", "--stack", "--format", format, "udp_sendmsg len", "--where", "len == 321")
	}
	for _, r := range formats {
		r.Armed()
	}
	if err := send("127.0.0.1:9", 321); err != nil {
		t.Fatal(err)
	}
	for format, r := range formats {
		res := r.Stop().OK()
		for _, function := range []string{"udp_sendmsg+0x", "__sys_sendto+0x"} {
			if !strings.Contains(res.Stdout, function) {
				t.Errorf("%s: no %s in\n%s", format, function, res.Stdout)
			}
		}
		if format == "json" {
			events := res.Events()
			if len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			stack, _ := events[0]["stack"].([]any)
			if len(stack) < 4 || !strings.HasPrefix(fmt.Sprint(stack[0]), "udp_sendmsg+0x") {
				t.Errorf("stack %v", stack)
			}
		}
	}
}

// TestProbeSeveral has events with different columns in one table.
func TestProbeSeveral(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	r := clitest.Start(t, "probe", "--format", "json", "udp_sendmsg len", "inet_sendmsg bytes=size", "udp_sendmsg%return ret=$retval", "udp_sendmsg%return len ret=$retval",
		"--pid", fmt.Sprint(os.Getpid()))
	if err := unix.Sendto(udpSocket(t, unix.AF_INET), make([]byte, 17), 0, discard4); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range r.Stop().OK().Events() {
		got = append(got, fmt.Sprint(e["event"], " ", e["len"], " ", e["bytes"], " ", e["ret"]))
	}
	slices.Sort(got)
	want := []string{"inet_sendmsg <nil> 17 <nil>", "udp_sendmsg 17 <nil> <nil>", "udp_sendmsg%return 17 <nil> 17", "udp_sendmsg%return <nil> <nil> 17"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
