package pcapfilter_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/packet"
	"github.com/skprobe/skprobe/internal/pcapfilter"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// build serializes a frame.
func build(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

// frames are without VLAN tags and IPv6 extension headers, of which tcpdump has
// another view.
func frames(t testing.TB) [][]byte {
	const v4, v6 = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6
	mac := func(s string) net.HardwareAddr { m, _ := net.ParseMAC(s); return m }
	eth := func(src, dst string, typ layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: mac(src), DstMAC: mac(dst), EthernetType: typ}
	}
	const a, b, bcast, mcast = "00:00:5e:00:53:01", "00:00:5e:00:53:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"
	ip4 := func(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, SrcIP: net.ParseIP(src).To4(), DstIP: net.ParseIP(dst).To4(), Protocol: proto}
	}
	ip6 := func(src, dst string, proto layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, HopLimit: 64, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst), NextHeader: proto}
	}
	icmp4 := func(typ, code uint8) *layers.ICMPv4 {
		return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: 7, Seq: 9}
	}
	arp := func(op uint16, from, to string) *layers.ARP {
		return &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: v4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
			SourceHwAddress: mac(a), SourceProtAddress: net.ParseIP(from).To4(), DstHwAddress: make([]byte, 6), DstProtAddress: net.ParseIP(to).To4()}
	}
	const tcp, udp = layers.IPProtocolTCP, layers.IPProtocolUDP
	data := func(n int) gopacket.Payload { return make([]byte, n) }
	first, later := ip4("10.0.0.1", "10.0.0.2", udp), ip4("10.0.0.1", "10.0.0.2", udp)
	first.Flags, later.FragOffset = layers.IPv4MoreFragments, 100
	df := ip4("192.168.4.1", "10.0.0.1", tcp)
	df.Flags, df.TTL = layers.IPv4DontFragment, 3
	var all [][]byte
	for _, f := range []layers.TCP{{SYN: true}, {SYN: true, ACK: true}, {ACK: true}, {ACK: true, PSH: true}, {FIN: true, ACK: true}, {RST: true}, {}, {URG: true, ECE: true, CWR: true}} {
		f.SrcPort, f.DstPort, f.Seq, f.Window = 40000, 443, 1000, 512
		all = append(all, build(t, eth(a, b, v4), ip4("10.0.0.1", "10.0.0.2", tcp), &f, data(len(all)*100)))
	}
	return append(all,
		build(t, eth(b, a, v4), ip4("10.0.0.2", "10.0.0.1", tcp), &layers.TCP{SrcPort: 443, DstPort: 40000, ACK: true}),
		build(t, eth(b, a, v4), ip4("10.0.0.2", "10.0.0.1", tcp), &layers.TCP{SrcPort: 22, DstPort: 80}),
		build(t, eth(a, b, v4), df, &layers.TCP{SrcPort: 1023, DstPort: 22, SYN: true}, data(1200)),
		build(t, eth(a, b, v6), ip6("2001:db8::1", "2001:db8::2", udp), &layers.UDP{SrcPort: 53, DstPort: 5353}, data(20)),
		build(t, eth(a, "33:33:00:00:00:fb", v6), ip6("fe80::1", "ff02::fb", udp), &layers.UDP{SrcPort: 5353, DstPort: 5353}),
		build(t, eth(a, b, v6), ip6("2001:db8::1", "fd00::1", layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)},
			&layers.ICMPv6Echo{Identifier: 1}, data(9)),
		build(t, eth(a, b, v4), ip4("10.0.0.1", "172.16.0.1", udp), &layers.UDP{SrcPort: 53, DstPort: 53}, data(60)),
		build(t, eth(a, bcast, v4), ip4("10.0.0.1", "255.255.255.255", udp), &layers.UDP{SrcPort: 68, DstPort: 67}, data(300)),
		build(t, eth(a, mcast, v4), ip4("10.0.0.1", "224.0.0.1", layers.IPProtocolIGMP), data(8)),
		build(t, eth(a, b, v4), first, &layers.UDP{SrcPort: 80, DstPort: 80}, data(800)),
		build(t, eth(a, b, v4), later, data(100)),
		build(t, eth(a, b, v4), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolSCTP), &layers.SCTP{SrcPort: 80, DstPort: 9}, data(12)),
		build(t, eth(a, b, v4), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolUDPLite), data(12)),
		build(t, eth(a, b, v4), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolICMPv4), icmp4(8, 0), data(56)),
		build(t, eth(b, a, v4), ip4("10.0.0.2", "10.0.0.1", layers.IPProtocolICMPv4), icmp4(0, 0), data(56)),
		build(t, eth(b, a, v4), ip4("10.0.0.2", "10.0.0.1", layers.IPProtocolICMPv4), icmp4(3, 3), data(28)),
		build(t, eth(a, b, v4), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolGRE), data(40)),
		build(t, eth(a, bcast, layers.EthernetTypeARP), arp(1, "10.0.0.1", "10.0.0.2")),
		build(t, eth(b, a, layers.EthernetTypeARP), arp(2, "10.0.0.2", "10.0.0.1")),
		build(t, eth(a, b, 0x88b5), data(50)),
	)
}

// columns are those of a packet, with how they come from one that was decoded.
var columns = map[string]func(p *packet.Packet, v *event.Value, has func(packet.Field)){
	"smac": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Text = packet.AppendMAC(nil, p.Smac)
		has(packet.FieldSmac)
	},
	"dmac": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Text = packet.AppendMAC(nil, p.Dmac)
		has(packet.FieldDmac)
	},
	"ethertype": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.EtherType)
		has(packet.FieldEtherType)
	},
	"proto": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Text = packet.AppendProto(nil, p.Proto)
		has(packet.FieldProto)
	},
	"saddr": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Addr = p.Saddr
		has(packet.FieldSaddr)
	},
	"daddr": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Addr = p.Daddr
		has(packet.FieldDaddr)
	},
	"sport": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.Sport)
		has(packet.FieldSport)
	},
	"dport": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.Dport)
		has(packet.FieldDport)
	},
	"ar_sip": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Addr = p.ArpSip
		has(packet.FieldArpSip)
	},
	"ar_tip": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Addr = p.ArpTip
		has(packet.FieldArpTip)
	},
	"ar_op": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Text = []byte(packet.ArpOpName(p.ArpOp))
		has(packet.FieldArpOp)
	},
	"flags": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Text = packet.AppendTCPFlags(nil, p.Flags)
		has(packet.FieldFlags)
	},
	"seq": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.Seq)
		has(packet.FieldSeq)
	},
	"win": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.Win)
		has(packet.FieldWin)
	},
	"ttl": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.TTL)
		has(packet.FieldTTL)
	},
	"ip_len": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.TotalLen)
		has(packet.FieldTotalLen)
	},
	"frag_offset": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.FragOffset)
		has(packet.FieldFragment)
	},
	"ip_flags": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		if v.Text = nil; p.MoreFrags || p.DontFrag {
			v.Text = []byte(map[bool]string{true: "MF", false: "DF"}[p.MoreFrags])
			has(packet.FieldFragment)
		}
	},
	"icmp_type": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.IcmpType)
		has(packet.FieldIcmpType)
	},
	"frame_len": func(p *packet.Packet, v *event.Value, has func(packet.Field)) {
		v.Num = uint64(p.FrameSize)
		has(packet.FieldFrame)
	},
}

var expressions = []string{
	"tcp", "udp", "icmp", "icmp6", "igmp", "sctp", "arp", "ip", "ip6", "not ip", "not arp", "tcp or udp and icmp", "(tcp or udp) and port 53", "tcp or udp and port 53",
	"port 80", "port 443 or 53", "port (22 or 53)", "src port 53", "dst port 53", "src and dst port 53", "udp port 80", "tcp src port 443", "not port 443",
	"portrange 20-100", "udp dst portrange 50-60", "tcp portrange 440-450",
	"host 10.0.0.1", "src host 10.0.0.1", "dst 10.0.0.2", "src and dst host 10.0.0.1", "ip host 10.0.0.1", "arp host 10.0.0.1", "arp src host 10.0.0.2",
	"host 2001:db8::1", "ip6 src host fe80::1", "not host 10.0.0.1 and 10.0.0.2", "host 10.0.0.1 or 172.16.0.1",
	"net 10", "net 192.168.4", "src net 10.0.0.0/8", "dst net 172.16.0.0/12", "net 10.0.0.0 mask 255.255.255.0", "net 2001:db8::/32", "ip6 net fd00::/8", "net 0.0.0.0/0",
	"ether host 00:00:5e:00:53:01", "ether src 00:00:5e:00:53:02", "ether dst ff:ff:ff:ff:ff:ff", "ether broadcast", "broadcast", "ether multicast", "multicast",
	"ip multicast", "ip6 multicast", "ether proto 0x88b5", `ether proto \arp`, `ether proto \ip`, "ip proto 47", `ip proto \udp`, "ip6 proto 17", "proto 132",
	"less 100", "greater 1000", "len > 500", "len = 42", "100 < len",
	"tcp[tcpflags] & tcp-syn != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn", "tcp[13] = 2", "tcp[13] != 16",
	"tcp[13] & 0xe0 = 0xe0", "tcp[13] & 7 = 0", "tcp[13] & 3 != 2", "tcp[tcpflags] & tcp-rst > 0",
	"icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply", "icmp6[icmp6type] = icmp6-echo",
	"ip[8] < 10", "ip[2:2] > 576", "ip[6:2] & 0x1fff != 0", "ip[6:2] & 0x1fff = 100", "ip[6] & 0x20 != 0", "ip[6] & 0x40 = 0", "ip[9] = 6", "ip[9] != 17",
	"tcp[0:2] > 1024", "1024 > tcp[0:2]", "tcp[14:2] = 512", "tcp[4:4] >= 1000", "udp[2:2] = 53", "arp[6:2] = 1", "ether[12:2] = 0x0800",
	"tcp port 443 and (tcp[tcpflags] & tcp-ack = 0)", "!(tcp and (port 443 or port 22))", "not tcp and not udp",
}

// TestTcpdump lets tcpdump, and the conditions that --where has for the same
// expression, choose among frames.
func TestTcpdump(t *testing.T) {
	testkernel.Needs(t, testkernel.Program("tcpdump"))
	all := frames(t)
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	err := w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	for i, f := range all {
		err = errors.Join(err, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(f), Length: len(f)}, f))
	}
	if err != nil {
		t.Fatal(err)
	}
	schema := &event.Schema{Tool: "packet"}
	for _, part := range event.Packet().Parts {
		if columns[part.Name] != nil {
			schema.Columns = append(schema.Columns, event.Column{Name: part.Name, Kind: part.Kind})
		}
	}
	if len(schema.Columns) != len(columns) {
		t.Fatal("a column is no part of a packet")
	}
	matched := map[int]bool{}
	for _, text := range expressions {
		where, err := pcapfilter.Translate(text, func(name string) bool { return schema.Column(name) >= 0 })
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		f, err := filter.Parse(where, schema)
		if err != nil {
			t.Errorf("%s: %s: %v", text, where, err)
			continue
		}
		var ours []int
		for i, frame := range all {
			if f.Program().Match(asEvent(schema, frame)) {
				ours = append(ours, i)
				matched[i] = true
			}
		}
		if theirs := tcpdump(t, file.Bytes(), text); !slices.Equal(ours, theirs) {
			t.Errorf("%s\n%s\ntcpdump %v\nwe      %v", text, where, theirs, ours)
		}
	}
	if len(matched) != len(all) {
		t.Errorf("only %d of %d frames are ever chosen", len(matched), len(all))
	}
}

// asEvent is the event of a frame that was received.
func asEvent(schema *event.Schema, frame []byte) *event.Event {
	const at = 0xffff888000000000
	w := packet.Window{Head: at, Data: at + 14, Network: 14, Mac: 0, Transport: packet.NotSet, Len: uint32(len(frame) - 14),
		Protocol: uint16(frame[12])<<8 | uint16(frame[13]), Start: -14, Bytes: frame}
	var p packet.Packet
	p.Decode(&w)
	ev := schema.NewEvent("packet.rx")
	for i, c := range schema.Columns {
		v := &ev.Values[i]
		columns[c.Name](&p, v, func(f packet.Field) { v.Set = p.Has(f) })
	}
	return ev
}

// tcpdump returns which packets of a file it chooses; their times are their
// numbers.
func tcpdump(t *testing.T, file []byte, expression string) []int {
	t.Helper()
	cmd := exec.Command("tcpdump", "-Z", "root", "-n", "-r", "-", "-w", "-", expression)
	cmd.Stdin = bytes.NewReader(file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if strings.Contains(stderr.String(), "expression rejects all packets") {
		return nil
	}
	if err != nil {
		t.Fatalf("tcpdump %s: %v: %s", expression, err, &stderr)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for {
		_, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, int(ci.Timestamp.Unix()))
	}
}

// FuzzTranslate: whatever is written is either refused at a place in it, or a
// condition that --where takes.
func FuzzTranslate(f *testing.F) {
	for _, text := range expressions {
		f.Add(text)
	}
	for _, text := range []string{"vlan 5", "(((", "port (80 or (443 and not 22))", "ether host a:b:c:d:e:f", "net 1.2.3.4/0x", "tcp[(1+2)*3-1:1<<1]&(1|2)!=0", "::1", "\\tcp"} {
		f.Add(text)
	}
	schema := &event.Schema{Tool: "packet"}
	for _, part := range event.Packet().Parts {
		schema.Columns = append(schema.Columns, event.Column{Name: part.Name, Kind: part.Kind})
	}
	f.Fuzz(func(t *testing.T, text string) {
		where, err := pcapfilter.Translate(text, func(name string) bool { return schema.Column(name) >= 0 })
		if err != nil {
			var e *pcapfilter.Error
			if !errors.As(err, &e) || e.Message == "" || e.Offset < 0 || e.Offset > len(e.Text) || strings.ContainsAny(e.Error(), "\n") && !strings.ContainsAny(text, "\n") {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if _, err := filter.Parse(where, schema); err != nil && len(where) < 16<<10 {
			t.Errorf("%q became %q: %v", text, where, err)
		}
	})
}
