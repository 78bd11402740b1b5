package tools_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// shell runs commands, one a line, in the calling thread's network namespace.
func shell(t testing.TB, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", strings.TrimSpace(line), err, out)
		}
	}
}

// say sends a datagram with a socket.
func (l *loser) say(to string, port, size int) {
	l.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		l.Fatal(err)
	}
	defer unix.Close(fd)
	addr := &unix.SockaddrInet4{Port: port}
	copy(addr.Addr[:], net.ParseIP(to).To4())
	_ = unix.Sendto(fd, make([]byte, size), 0, addr) // it may say that the packet was lost
}

// forward is a frame with a datagram for somebody behind the router.
func (l *loser) forward(to string, port int) frame {
	f := l.udp(port)
	f.ip.DstIP = net.ParseIP(to).To4()
	return f
}

// A router is in the namespace b of a pair, with a dummy device behind it.
const router = `
	ip link add behind type dummy
	ip link set behind mtu 1280 up
	ip addr add 198.51.100.1/24 dev behind
	sysctl -q -w net.ipv4.ip_forward=1
	sysctl -q -w net.ipv4.conf.all.rp_filter=0
	sysctl -q -w net.ipv4.ipfrag_time=1
	sysctl -q -w net.ipv4.neigh.veth1.mcast_solicit=1
	sysctl -q -w net.ipv4.neigh.veth1.retrans_time_ms=1000
	sysctl -q -w net.ipv4.neigh.veth1.unres_qlen_bytes=1
	nft add table inet t
	nft add chain inet t in { type filter hook input priority 0 ; }
	nft add rule inet t in udp dport 3005 drop
`

// forwarded are packets that come to a router, or that it sends.
var forwarded = []way{
	{name: "TTL", lose: func(l *loser) {
		f := l.forward("198.51.100.7", 3001)
		f.ip.TTL = 1
		l.out(f)
	}, want: clitest.Event{"dport": 3001, "ttl": 1, "dev": "veth1"}, reason: map[string]string{"": "IP_INHDR"}, places: []string{"ip_forward"}},
	{name: "MTU", lose: func(l *loser) {
		f := l.forward("198.51.100.7", 3002)
		f.ip.Flags, f.payload = layers.IPv4DontFragment, make([]byte, 1400)
		l.out(f)
	}, want: clitest.Event{"dport": 3002, "len": 1428}, reason: map[string]string{"": "PKT_TOO_BIG"}, places: []string{"ip_forward"}},
	{name: "no route", lose: func(l *loser) { l.out(l.forward("203.0.113.200", 3003)) },
		want: clitest.Event{"dport": 3003}, reason: map[string]string{"": "IP_INNOROUTES"}, places: []string{"ip_error"}},
	{name: "nft", lose: func(l *loser) { l.out(l.udp(3005)) },
		want: clitest.Event{"dport": 3005}, reason: map[string]string{"": "NETFILTER_DROP"}, places: []string{"nf_hook_slow", "nft_do_chain"}},
	{name: "neighbour", lose: func(l *loser) { l.say("192.0.2.77", 3006, 5) },
		want: clitest.Event{"smac": nil, "dport": 3006, "dev": "veth1"}, reason: map[string]string{"": "NEIGH_FAILED"}, places: []string{"arp_error_report", "neigh_invalidate"}},
	{name: "neighbour's queue is full", many: true, task: true, lose: func(l *loser) {
		for range 3 {
			l.say("192.0.2.78", 3007, 1000)
		}
	}, want: clitest.Event{"smac": nil, "dport": 3007}, reason: map[string]string{"": "NEIGH_QUEUEFULL"}, places: []string{"__neigh_event_send"}},
	{name: "fragment", lose: func(l *loser) {
		f := l.udp(3008)
		f.ip.Flags, f.payload = layers.IPv4MoreFragments, make([]byte, 32)
		l.out(f)
	}, want: clitest.Event{"proto": "udp"}, reason: map[string]string{"6.1": "NOT_SPECIFIED", "": "FRAG_REASM_TIMEOUT"}, places: []string{"ip_expire", "inet_frag_rbtree_purge"}},
	{name: "IPv6 disabled", lose: func(l *loser) {
		sysctl(l, "net.ipv6.conf.veth1.disable_ipv6", "1")
		f := l.frame()
		f.ip6 = &layers.IPv6{SrcIP: net.ParseIP("2001:db8::9"), DstIP: net.ParseIP("2001:db8::2"), NextHeader: layers.IPProtocolUDP}
		f.l4 = udp(1000, 3009)
		l.out(f)
	}, want: clitest.Event{"dport": 3009}, reason: map[string]string{"": "IPV6DISABLED"}, places: []string{"ip6_rcv_core", "ipv6_rcv"}},
	{name: "full qdisc", many: true, task: true, lose: func(l *loser) {
		shell(l, `
			tc qdisc add dev behind root tbf rate 8kbit burst 1600 limit 3000
			ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:99 dev behind
		`)
		for range 6 {
			l.say("198.51.100.9", 3010, 1000)
		}
	}, want: clitest.Event{"smac": nil, "dport": 3010, "dmac": "02:00:00:00:00:99", "dev": "behind"}, reason: map[string]string{"": "QDISC_DROP"},
		places: []string{"__dev_queue_xmit"}},
	{name: "full qdisc, VLAN", many: true, task: true, lose: func(l *loser) {
		shell(l, `
			ip link add v0 type veth peer name v1
			ip link add link v0 name tagged type vlan id 42
			tc qdisc add dev v0 root tbf rate 8kbit burst 1600 limit 3000
			ip addr add 198.51.101.1/24 dev tagged
			ip link set v0 up
			ip link set v1 up
			ip link set tagged up
			ip neigh add 198.51.101.9 lladdr 02:00:00:00:00:98 dev tagged
		`)
		for range 6 {
			l.say("198.51.101.9", 3011, 1000)
		}
	}, want: clitest.Event{"smac": nil, "dport": 3011, "vlan": 42, "dev": "v0", "ethertype": "0x0800"}, reason: map[string]string{"": "QDISC_DROP"},
		places: []string{"__dev_queue_xmit"}},
}

// TestDropForwarded loses packets that are sent to a router, and that it sends.
func TestDropForwarded(t *testing.T) {
	dropNeeds(t)
	testkernel.Needs(t, testkernel.Program("sysctl"), testkernel.Program("nft"), testkernel.Program("tc"), testkernel.Module("nf_tables"),
		testkernel.Module("dummy"), testkernel.Module("sch_tbf"), testkernel.Module("8021q"))
	a, b := testkernel.NetNSPair(t)
	var out *sender
	a.Do(func() { out = newSender(t, a.Dev) })
	b.Do(func() {
		shell(t, router)
		i, err := net.InterfaceByName(b.Dev)
		if err != nil {
			t.Fatal(err)
		}
		lose(t, forwarded, func(n int) *loser {
			return &loser{TB: t, sender: out, smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x54, byte(n)}, dmac: i.HardwareAddr, src: a.Addr4.String(), dst: b.Addr4.String()}
		})
	})
}
