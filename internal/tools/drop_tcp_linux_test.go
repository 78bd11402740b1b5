package tools_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A tap sees the frames that a device sends.
type tap struct {
	t  testing.TB
	fd int
}

func newTap(t testing.TB, w *sender) *tap {
	t.Helper()
	const all = 0x0300 // ETH_P_ALL, big-endian
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: w.ifindex}); err != nil {
		t.Fatal(err)
	}
	return &tap{t, fd}
}

// segment waits for a TCP segment to a port that is wanted.
func (p *tap) segment(port int, wanted func(*layers.TCP) bool) (*layers.IPv4, *layers.TCP) {
	p.t.Helper()
	b := make([]byte, 4096)
	for {
		arrived(p.t, p.fd)
		n, _, err := unix.Recvfrom(p.fd, b, 0)
		if err != nil {
			p.t.Fatalf("no segment to %d: %v", port, err)
		}
		packet := gopacket.NewPacket(append([]byte(nil), b[:n]...), layers.LayerTypeEthernet, gopacket.Default)
		ip, _ := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tcp, _ := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ip != nil && tcp != nil && int(tcp.DstPort) == port && wanted(tcp) {
			return ip, tcp
		}
	}
}

// A flow is a connection over which "hello" went, to a port of the loser's.
type flow struct {
	l       *loser
	server  net.Conn
	ip      layers.IPv4
	segment layers.TCP // that with the data
	payload []byte
}

// dialTapped connects to a listener, and listens to the frames of that.
func dialTapped(l *loser, to net.Listener) (*tap, net.Conn) {
	l.Helper()
	frames := newTap(l, l.sender)
	client, err := net.Dial("tcp4", to.Addr().String())
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { client.Close() })
	return frames, client
}

func connect(l *loser, port int) *flow {
	l.Helper()
	listener, err := net.Listen("tcp4", net.JoinHostPort(l.dst, strconv.Itoa(port)))
	if err != nil {
		l.Fatal(err)
	}
	defer listener.Close()
	c := &flow{l: l}
	l.from.Do(func() {
		frames, client := dialTapped(l, listener)
		if c.server, err = listener.Accept(); err != nil {
			l.Fatal(err)
		}
		l.Cleanup(func() { c.server.Close() })
		if _, err := client.Write([]byte("hello")); err != nil {
			l.Fatal(err)
		}
		if _, err := c.server.Read(make([]byte, 10)); err != nil {
			l.Fatal(err)
		}
		ip, segment := frames.segment(port, func(s *layers.TCP) bool { return len(s.Payload) > 0 })
		c.ip, c.segment, c.payload = *ip, *segment, segment.Payload
	})
	return c
}

// again sends the segment once more, with changes.
func (c *flow) again(change func(s *layers.TCP)) {
	ip, segment := c.ip, c.segment
	segment.Options = nil
	for _, o := range c.segment.Options {
		o.OptionData = append([]byte(nil), o.OptionData...)
		segment.Options = append(segment.Options, o)
	}
	change(&segment)
	f := c.l.frame()
	f.ip, f.l4, f.payload = &ip, &segment, c.payload
	c.l.out(f)
}

// connected is a way in which a segment of a connection is sent again.
func connected(port int, change func(s *layers.TCP)) func(l *loser) {
	return func(l *loser) { connect(l, port).again(change) }
}

// lostByTCP are segments for a socket that has no use for them.
var lostByTCP = []way{
	{name: "data again", needs: tcpDrops, lose: connected(4001, func(*layers.TCP) {}), want: clitest.Event{"dport": 4001, "state": "ESTABLISHED"},
		reason: map[string]string{"": "TCP_OLD_DATA"}, places: []string{"tcp_data_queue", "tcp_rcv_established", "tcp_validate_incoming"}},
	{name: "beyond the window", needs: tcpDrops, lose: connected(4002, func(s *layers.TCP) { s.Seq += 1 << 30 }), want: clitest.Event{"dport": 4002, "state": "ESTABLISHED"},
		reason: map[string]string{"": "TCP_INVALID_SEQUENCE"}, places: []string{"tcp_validate_incoming"}},
	{name: "old acknowledgement", needs: tcpDrops, lose: connected(4003, func(s *layers.TCP) { s.Seq += 5; s.Ack -= 1 << 30 }), want: clitest.Event{"dport": 4003, "state": "ESTABLISHED"},
		reason: map[string]string{"": "TCP_TOO_OLD_ACK"}, places: []string{"tcp_rcv_established", "tcp_v4_do_rcv"}},
	{name: "acknowledges the unsent", needs: tcpDrops, lose: connected(4004, func(s *layers.TCP) { s.Seq += 5; s.Ack += 1 << 20 }), want: clitest.Event{"dport": 4004, "state": "ESTABLISHED"},
		reason: map[string]string{"": "TCP_ACK_UNSENT_DATA"}, places: []string{"tcp_rcv_established", "tcp_v4_do_rcv"}},
	{name: "old timestamp", needs: tcpDrops, lose: connected(4005, func(s *layers.TCP) {
		s.Seq += 5
		for i := range s.Options {
			if o := &s.Options[i]; o.OptionType == layers.TCPOptionKindTimestamps {
				binary.BigEndian.PutUint32(o.OptionData, binary.BigEndian.Uint32(o.OptionData)-1000)
			}
		}
	}), want: clitest.Event{"dport": 4005, "state": "ESTABLISHED"}, reason: map[string]string{"": "TCP_RFC7323_PAWS"}, places: []string{"tcp_validate_incoming"}},
	{name: "zero window", needs: tcpDrops, lose: fillWindow, want: clitest.Event{"dport": 4007, "state": "ESTABLISHED"},
		reason: map[string]string{"7.3": "TCP_INVALID_END_SEQUENCE", "": "TCP_ZEROWINDOW"}, places: []string{"tcp_data_queue", "tcp_validate_incoming"}},
	{name: "full accept queue", lose: fillAcceptQueue, want: clitest.Event{"dport": 4006, "sport": 1004, "flags": "ACK"},
		reason: map[string]string{"7.3": "TCP_LISTEN_OVERFLOW", "": "NOT_SPECIFIED"}, places: []string{"tcp_v4_rcv"}},
}

// fillWindow sends a byte to a socket that has said that it takes no more.
func fillWindow(l *loser) {
	const port = 4007
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) }), err)
	}}
	listener, err := small.Listen(context.Background(), "tcp4", net.JoinHostPort(l.dst, strconv.Itoa(port)))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { listener.Close() }) // and the connection with it
	l.from.Do(func() {
		frames, client := dialTapped(l, listener)
		go client.Write(make([]byte, 64<<10)) // which waits until it is closed
		ip, full := frames.segment(client.LocalAddr().(*net.TCPAddr).Port, func(s *layers.TCP) bool { return s.ACK && !s.SYN && s.Window == 0 })
		f := l.frame()
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		f.ip, f.payload = ip, []byte("x")
		f.l4 = &layers.TCP{SrcPort: full.DstPort, DstPort: full.SrcPort, ACK: true, Seq: full.Ack, Ack: full.Seq, Window: 1000}
		l.out(f)
	})
}

// fillAcceptQueue has two handshakes under way when there is space for one
// connection more: the last segment of the second is lost.
func fillAcceptQueue(l *loser) {
	const port = 4006
	server, err := net.Listen("tcp4", net.JoinHostPort(l.dst, strconv.Itoa(port)))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { server.Close() })
	raw, err := server.(*net.TCPListener).SyscallConn()
	if err != nil {
		l.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _ = unix.Listen(int(fd), 2) }); err != nil {
		l.Fatal(err)
	}
	shell(l, "ip neigh add 192.0.2.91 lladdr "+l.mac.String()+" dev veth1")
	segment := func(client int, change func(*layers.TCP)) {
		f := l.tcp(port, change)
		f.ip.SrcIP = net.ParseIP("192.0.2.91").To4()
		f.l4.(*layers.TCP).SrcPort = layers.TCPPort(client)
		l.out(f)
	}
	acks := map[int]uint32{}
	begin := func(client int) {
		l.from.Do(func() {
			frames := newTap(l, l.sender)
			segment(client, isSYN)
			_, s := frames.segment(client, func(s *layers.TCP) bool { return s.SYN && s.ACK })
			acks[client] = s.Seq + 1
		})
	}
	end := func(client int) {
		segment(client, func(s *layers.TCP) { s.ACK, s.Seq, s.Ack = true, 2, acks[client] })
		testkernel.Delivered(l) // the next may be sent on another CPU
	}
	for _, c := range []int{1001, 1002} {
		begin(c)
		end(c)
	}
	begin(1003)
	begin(1004)
	end(1003)
	end(1004)
}

// TestDropTCP loses segments of connections between two namespaces, and sees in
// which state their sockets were.
func TestDropTCP(t *testing.T) {
	dropNeeds(t)
	a, b := testkernel.NetNSPair(t)
	var out *sender
	a.Do(func() { out = newSender(t, a.Dev) })
	b.Do(func() {
		i, err := net.InterfaceByName(b.Dev)
		if err != nil {
			t.Fatal(err)
		}
		lose(t, lostByTCP, func(n int) *loser {
			return &loser{TB: t, sender: out, smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x55, byte(n)}, dmac: i.HardwareAddr, src: a.Addr4.String(), dst: b.Addr4.String(), from: a}
		}, "--tcp")
	})
}
