package tools_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// pathTimes are what stands between the places of a path.
var pathTimes = regexp.MustCompile(` [0-9]+\.[0-9]µs `)

// pathPlaces are the places from one end of a route to the other, as far as
// their parameters are known.
func pathPlaces() (at, there, router string) {
	at, there = "all", "local-out queue(veth0) tx(veth0) rx(veth1) forward(veth1) queue(veth2) tx(veth2) rx(veth3) local-in(veth3)"
	if clitest.Calibrated() {
		at, there = "rx,tx,queue,forward,local-in", strings.TrimPrefix(there, "local-out ")
	}
	router, _, _ = strings.Cut(there, " queue(veth2)")
	return at, there, router
}

// TestPacketPath follows packets over a router: delivered, dropped by its
// firewall, dropped for want of a socket, and used by TCP.
func TestPacketPath(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"), testkernel.Program("nft"), testkernel.Module("nf_tables"))
	r := newRoute(t)
	r.through.Do(func() {
		nft(t, "table inet f {\n chain forward {\n type filter hook forward priority 0;\n udp dport 9999 drop\n }\n}\n")
	})
	r.ping(t, r.addr4) // so that all neighbours are known
	r.ping(t, r.addr6)
	var wrong []string
	for range 3 { // the kernel can miss a hit in softirq
		if wrong = pathRound(t, r); len(wrong) == 0 {
			return
		}
		t.Log("once more, after ", wrong)
	}
	t.Error(strings.Join(wrong, "\n"))
}

func (r *route) ping(t *testing.T, to string) {
	t.Helper()
	r.from.Do(func() {
		if out, err := exec.Command("ping", "-c", "1", "-W", "10", to).CombinedOutput(); err != nil {
			t.Fatalf("ping %s: %v: %s", to, err, out)
		}
	})
}

// pathRound sends packets over the router, and returns what is wrong with what
// is shown of them.
func pathRound(t *testing.T, r *route) (wrong []string) {
	t.Helper()
	at, there, router := pathPlaces()
	wants := []struct {
		what, path, fate, reason string
		event                    clitest.Event
	}{
		{"an echo request", there, "delivered", "", clitest.Event{"daddr": r.addr4, "icmp_type": 8}},
		{"a datagram", there, "delivered", "", clitest.Event{"daddr": r.addr4, "dport": 7777, "proto": "udp"}},
		{"one of IPv6", there, "delivered", "", clitest.Event{"daddr": r.addr6, "dport": 7777, "proto": "udp"}},
		{"what the router's firewall drops", router, "dropped", "NETFILTER_DROP", clitest.Event{"daddr": r.addr4, "dport": 9999}},
		{"what nobody listens to", there, "dropped", "NO_SOCKET", clitest.Event{"daddr": r.addr4, "dport": 4444}},
		{"a SYN", there, "delivered", "", clitest.Event{"daddr": r.addr4, "dport": 7777, "flags": "SYN"}},
		{"a segment with data", there, "delivered", "", clitest.Event{"daddr": r.addr4, "dport": 7777, "flags": "PSH|ACK"}},
		{"a FIN", there, "delivered", "", clitest.Event{"daddr": r.addr4, "dport": 7777, "flags": "FIN|ACK"}},
	}
	run := clitest.Start(t, "packet", "--path", "--at", at, "--format", "json")
	r.ping(t, r.addr4)
	r.say(t)
	r.talk(t)
	events := make([]clitest.Event, len(wants))
	for i, want := range wants {
		events[i] = want.event
	}
	soon(run, events)
	events = run.Stop().OK().Events()
	for _, want := range wants {
		found := clitest.Select(events, want.event.With("event", "packet.path"))
		if len(found) != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d events", want.what, len(found)))
			continue
		}
		e := found[0]
		path, _ := e["path"].(string)
		if got := pathTimes.ReplaceAllString(path, " "); got != want.path || e["fate"] != want.fate {
			wrong = append(wrong, fmt.Sprintf("%s: %v, %v, want %s, %s", want.what, path, e["fate"], want.path, want.fate))
			continue
		}
		if us, _ := e["duration_us"].(float64); us <= 0 {
			t.Errorf("%s: after %v", want.what, e["duration_us"])
		}
		if want.reason == "" && (e["location"] != nil || e["reason"] != nil) || want.reason != "" && (e["location"] == nil || hasReasons(t) && e["reason"] != want.reason) {
			t.Errorf("%s: dropped at %v for %v", want.what, e["location"], e["reason"])
		}
	}
	for _, e := range events {
		if e["event"] != "packet.path" {
			t.Fatalf("%v", e)
		}
	}
	return wrong
}

// say sends datagrams: to sockets that read them, to nobody, and to a port that
// the router does not let through.
func (r *route) say(t *testing.T) {
	t.Helper()
	k := newTalk(t)
	for _, addr := range []string{r.addr4, r.addr6} {
		to := netip.AddrPortFrom(netip.MustParseAddr(addr), 7777)
		domain := unix.AF_INET
		if to.Addr().Is6() {
			domain = unix.AF_INET6
		}
		server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		r.from.Do(func() {
			s := k.socket(domain, "")
			if err := unix.Sendto(s.fd, []byte("hello"), 0, s.sockaddr(to)); err != nil {
				t.Fatal(err)
			}
		})
		_ = server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, _, err := server.ReadFrom(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		server.Close()
	}
	for _, port := range []uint16{9999, 4444} {
		r.from.Do(func() {
			s := k.socket(unix.AF_INET, "")
			if err := unix.Sendto(s.fd, []byte("hello"), 0, s.sockaddr(netip.AddrPortFrom(netip.MustParseAddr(r.addr4), port))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// talk has a connection over which there is one segment of data.
func (r *route) talk(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(r.addr4, strconv.Itoa(7777)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		for buf := make([]byte, 100); err == nil; {
			_, err = conn.Read(buf)
		}
		if conn != nil {
			conn.Close()
		}
	}()
	var conn net.Conn
	r.from.Do(func() {
		if conn, err = net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
	})
	defer conn.Close()
	if _, err := conn.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = conn.Read(make([]byte, 1)) // until the other end has closed
}

// TestPacketPathProgram: of the packets of one program the whole way is shown,
// though most of it is in interrupts.
func TestPacketPathProgram(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"))
	if clitest.Calibrated() {
		return // of what this host makes only local-out and queue tell whose it is
	}
	r := newRoute(t)
	r.ping(t, r.addr4)
	_, there, _ := pathPlaces()
	var got []clitest.Event
	for range 3 { // the kernel can miss a hit in softirq
		r.from.Do(func() {
			got = clitest.Do(t, "packet", "--path", "--format", "json", "--", "sh", "-c", "exec ping -c 1 -W 10 "+r.addr4+" >/dev/null").OK().Events()
		})
		got = clitest.Select(got, clitest.Event{"proto": "icmp"})
		if len(got) == 1 && pathTimes.ReplaceAllString(fmt.Sprint(got[0]["path"]), " ") == there && got[0]["comm"] == "ping" {
			return
		}
	}
	t.Error(got)
}

// TestPacketPathLists: packets that a device hands on in lists (GRO) are not
// hidden by that.
func TestPacketPathLists(t *testing.T) {
	needsKprobes(t)
	a, b := testkernel.NetNSPair(t)
	b.Do(func() { setGRO(t, b.Dev) }) // before 5.13 a veth device does without all the same
	const n = 40
	var from *socket
	a.Do(func() { from = newTalk(t).socket(unix.AF_INET, "") })
	to := netip.AddrPortFrom(b.Addr4, 4321)
	complete := 0
	for range 3 { // the kernel can miss a hit in softirq
		run := clitest.Start(t, "packet", "--path", "--at", "queue,tx,rx,local-in", "--format", "json", "udp port 4321")
		for range n {
			if err := unix.Sendto(from.fd, []byte("hello"), 0, from.sockaddr(to)); err != nil {
				t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(10 * time.Second); strings.Count(run.Stdout(), "\n") < n && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
		complete = 0
		for _, e := range run.Stop().OK().Events() {
			if pathTimes.ReplaceAllString(fmt.Sprint(e["path"]), " ") == "queue(veth0) tx(veth0) rx(veth1) local-in(veth1)" && e["fate"] == "dropped" {
				complete++
			}
		}
		if complete == n {
			return
		}
	}
	t.Errorf("the whole way of %d of %d is shown", complete, n)
}

// setGRO lets a device put packets together, and hand them on in lists, where it
// can.
func setGRO(t *testing.T, dev string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	value := [2]uint32{unix.ETHTOOL_SGRO, 1} // struct ethtool_value
	request := struct {                      // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], dev)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		t.Log("no GRO: ", errno)
	}
}
