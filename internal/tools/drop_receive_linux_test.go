package tools_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// sysctl sets a setting of the calling thread's network namespace.
func sysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// listenUDP is a socket that receives for the way.
func (l *loser) listenUDP(port int) int {
	l.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		l.Fatal(err)
	}
	return fd
}

// udp is a frame with a datagram to a port.
func (l *loser) udp(port int) frame {
	f := l.frame()
	f.ip, f.l4, f.payload = ip4(l.src, l.dst, layers.IPProtocolUDP), udp(1000, port), []byte("hello")
	return f
}

// tcp is a frame with a segment to a port.
func (l *loser) tcp(port int, flags func(*layers.TCP)) frame {
	s := &layers.TCP{SrcPort: 1000, DstPort: layers.TCPPort(port), Seq: 1, Window: 1000}
	flags(s)
	f := l.frame()
	f.ip, f.l4 = ip4(l.src, l.dst, layers.IPProtocolTCP), s
	return f
}

func isSYN(s *layers.TCP) { s.SYN = true }

func spoilt(f frame, at int, with byte) frame {
	f.spoil = func(b []byte) { b[at] ^= with }
	return f
}

func (l *loser) out(f frame) { l.Helper(); l.send(f.bytes(l)) }

// received are packets that come in, and that no one wants.
var received = []way{
	{name: "no socket", lose: func(l *loser) { l.out(l.udp(2001)) }, want: clitest.Event{"proto": "udp", "sport": 1000, "dport": 2001, "len": 13},
		reason: map[string]string{"": "NO_SOCKET"}, places: []string{"__udp4_lib_rcv", "udp_rcv"}},
	{name: "no socket, IPv6", lose: func(l *loser) {
		f := l.frame()
		f.ip6 = &layers.IPv6{SrcIP: net.ParseIP("2001:db8::9"), DstIP: net.ParseIP(l.dst6), NextHeader: layers.IPProtocolUDP}
		f.l4, f.payload = udp(1000, 2002), []byte("hello")
		l.out(f)
	}, want: clitest.Event{"saddr": "2001:db8::9", "dport": 2002}, reason: map[string]string{"": "NO_SOCKET"}, places: []string{"__udp6_lib_rcv", "udpv6_rcv"}},
	{name: "full receive buffer", many: true, lose: func(l *loser) {
		fd := l.listenUDP(2003)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
			l.Fatal(err)
		}
		f := l.udp(2003)
		f.payload = make([]byte, 1000)
		for range 8 {
			l.out(f)
		}
	}, want: clitest.Event{"dport": 2003}, reason: map[string]string{"": "SOCKET_RCVBUFF"}, places: []string{"udp_queue_rcv_one_skb"}},
	{name: "UDP checksum", lose: func(l *loser) { l.out(spoilt(l.udp(2004), 27, 1)) }, want: clitest.Event{"dport": 2004},
		reason: map[string]string{"": "UDP_CSUM"}, places: []string{"__udp4_lib_rcv", "udp_rcv"}},
	{name: "UDP checksum, found by a task", task: true, lose: func(l *loser) {
		fd := l.listenUDP(2005)
		f := spoilt(l.udp(2005), 27, 1)
		f.payload = make([]byte, 200) // a short one is summed up when it comes
		l.out(f)
		arrived(l, fd)
		if _, _, err := unix.Recvfrom(fd, make([]byte, 10), 0); err != unix.EAGAIN {
			l.Errorf("a datagram with a wrong checksum was received, or not looked at: %v", err)
		}
	}, want: clitest.Event{"dport": 2005, "pid": os.Getpid()}, reason: map[string]string{"6.1": "NOT_SPECIFIED", "6.12": "NOT_SPECIFIED", "": "UDP_CSUM"}, places: []string{"udp_recvmsg"}},
	{name: "UDP length", lose: func(l *loser) {
		l.out(spoilt(l.udp(2006), 24, 0x7f))
	}, want: clitest.Event{"dport": 2006}, reason: map[string]string{"": "PKT_TOO_SMALL"}, places: []string{"__udp4_lib_rcv", "udp_rcv"}},
	{name: "socket filter", lose: func(l *loser) {
		fd := l.listenUDP(2007)
		drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}} // accepts no byte
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]}); err != nil {
			l.Fatal(err)
		}
		l.out(l.udp(2007))
	}, want: clitest.Event{"dport": 2007}, reason: map[string]string{"": "SOCKET_FILTER"}, places: []string{"udp_queue_rcv_one_skb"}},
	{name: "TCP, no socket", lose: func(l *loser) { l.out(l.tcp(2008, isSYN)) }, want: clitest.Event{"proto": "tcp", "dport": 2008, "flags": "SYN", "seq": 1},
		reason: map[string]string{"": "NO_SOCKET"}, places: []string{"tcp_v4_rcv"}},
	{name: "TCP checksum", lose: func(l *loser) { l.out(spoilt(l.tcp(2009, isSYN), 36, 1)) }, want: clitest.Event{"dport": 2009},
		reason: map[string]string{"": "TCP_CSUM"}, places: []string{"tcp_v4_rcv"}},
	{name: "TCP flags", needs: tcpDrops, lose: func(l *loser) {
		s, err := net.Listen("tcp4", ":2010")
		if err != nil {
			l.Fatal(err)
		}
		l.Cleanup(func() { s.Close() })
		l.out(l.tcp(2010, func(s *layers.TCP) { s.SYN, s.FIN = true, true }))
	}, want: clitest.Event{"dport": 2010, "flags": "FIN|SYN"}, reason: map[string]string{"": "TCP_FLAGS"}, places: []string{"tcp_v4_do_rcv", "tcp_rcv_state_process"}},
	{name: "IP checksum", lose: func(l *loser) { l.out(spoilt(l.udp(2011), 10, 1)) }, want: clitest.Event{"dport": 2011},
		reason: map[string]string{"": "IP_CSUM"}, places: []string{"ip_rcv_core"}},
	{name: "IP header", lose: func(l *loser) { l.out(spoilt(l.udp(2012), 0, 1)) }, want: clitest.Event{"ethertype": "0x0800"},
		reason: map[string]string{"": "IP_INHDR"}, places: []string{"ip_rcv_core"}},
	{name: "unknown EtherType", lose: func(l *loser) {
		f := l.frame()
		f.ethertype, f.payload = 0x88b5, make([]byte, 46)
		l.out(f)
	}, want: clitest.Event{"ethertype": "0x88b5", "len": 46}, reason: map[string]string{"": "UNHANDLED_PROTO"}, places: []string{"__netif_receive_skb_core"}},
	{name: "other host", lose: func(l *loser) {
		f := l.udp(2014)
		f.dmac = net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
		l.out(f)
	}, want: clitest.Event{"dmac": "02:00:00:00:00:99", "dport": 2014}, reason: map[string]string{"": "OTHERHOST"}, places: []string{"ip_rcv_core"}},
	{name: "unknown protocol", lose: func(l *loser) {
		f := l.frame()
		f.ip, f.payload = ip4(l.src, l.dst, 253), make([]byte, 20)
		l.out(f)
	}, want: clitest.Event{"proto": "253"}, reason: map[string]string{"": "IP_NOPROTO"}, places: []string{"ip_protocol_deliver_rcu", "ip_local_deliver_finish"}},
	{name: "ICMP checksum", lose: func(l *loser) {
		f := l.frame()
		f.ip, f.l4 = ip4(l.src, l.dst, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: 16}
		l.out(spoilt(f, 22, 1))
	}, want: clitest.Event{"proto": "icmp", "icmp_seq": 16}, reason: map[string]string{"": "ICMP_CSUM"}, places: []string{"icmp_rcv"}},
	{name: "rp_filter", lose: func(l *loser) {
		sysctl(l, "net.ipv4.conf.lo.rp_filter", "1")
		l.out(l.udp(2017))
		testkernel.Delivered(l)
		sysctl(l, "net.ipv4.conf.lo.rp_filter", "0")
	}, want: clitest.Event{"dport": 2017}, reason: map[string]string{"": "IP_RPFILTER"}, places: []string{"ip_rcv_finish_core"}},
	{name: "local source", lose: func(l *loser) {
		f := l.udp(2018)
		f.ip.SrcIP = net.ParseIP(l.dst).To4()
		l.out(f)
	}, want: clitest.Event{"dport": 2018}, reason: map[string]string{"6.1": "NOT_SPECIFIED", "6.12": "NOT_SPECIFIED", "": "IP_LOCAL_SOURCE"}, places: []string{"ip_rcv_finish_core"}},
	{name: "unicast to all", lose: func(l *loser) {
		sysctl(l, "net.ipv4.conf.lo.drop_unicast_in_l2_multicast", "1")
		f := l.udp(2019)
		f.dmac = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		l.out(f)
		testkernel.Delivered(l)
		sysctl(l, "net.ipv4.conf.lo.drop_unicast_in_l2_multicast", "0")
	}, want: clitest.Event{"dport": 2019}, reason: map[string]string{"": "UNICAST_IN_L2_MULTICAST"}, places: []string{"ip_rcv_finish_core"}},
}

// TestDropReceived loses packets on lo, so that it needs no program.
func TestDropReceived(t *testing.T) {
	dropNeeds(t)
	testkernel.NetNS(t)
	sysctl(t, "net.ipv4.conf.lo.route_localnet", "1")
	sysctl(t, "net.ipv4.conf.all.rp_filter", "0")
	sysctl(t, "net.ipv4.conf.lo.rp_filter", "0")
	lo := newSender(t, "lo")
	lose(t, received, func(n int) *loser {
		return &loser{TB: t, sender: lo, smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x53, byte(n)}, dmac: make(net.HardwareAddr, 6), src: "10.9.9.9", dst: "127.0.0.1", dst6: "::1"}
	})
}
