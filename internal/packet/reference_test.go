package packet

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// reference decodes a whole frame with gopacket; ok is false where gopacket
// calls something in it wrong or cut. The payload's index is from the beginning
// of the frame.
func reference(frame []byte) (m map[Field]string, ok bool) {
	m = make(map[Field]string)
	var eth layers.Ethernet
	if eth.DecodeFromBytes(frame, gopacket.NilDecodeFeedback) != nil || frame[12] < etherMin>>8 {
		return m, false
	}
	m[FieldDmac] = eth.DstMAC.String()
	m[FieldSmac] = eth.SrcMAC.String()
	t, rest := eth.EthernetType, eth.Payload
	var tags []string
	for t == layers.EthernetTypeDot1Q || t == layers.EthernetTypeQinQ {
		var q layers.Dot1Q
		if q.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil || q.Type < etherMin || len(tags) == 2 {
			return m, false
		}
		tci := uint16(q.Priority)<<13 | q.VLANIdentifier
		if q.DropEligible {
			tci |= 0x1000
		}
		tags = append(tags, fmt.Sprintf("{%x %x}", uint16(t), tci))
		t, rest = q.Type, q.Payload
	}
	if tags != nil {
		m[FieldVLAN] = "[" + strings.Join(tags, " ") + "]"
	}
	m[FieldEtherType] = fmt.Sprintf("0x%04x", uint16(t))
	switch t {
	case layers.EthernetTypeIPv4, layers.EthernetTypeIPv6:
		return m, referenceIP(m, frame, rest, t)
	case layers.EthernetTypeARP:
		var a layers.ARP
		if a.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil {
			return m, false
		}
		m[FieldArpOp] = fmt.Sprint(a.Operation)
		if a.Protocol == layers.EthernetTypeIPv4 && a.HwAddressSize == 6 && a.ProtAddressSize == 4 {
			m[FieldArpSha] = net.HardwareAddr(a.SourceHwAddress).String()
			m[FieldArpSip] = net.IP(a.SourceProtAddress).String()
			m[FieldArpTha] = net.HardwareAddr(a.DstHwAddress).String()
			m[FieldArpTip] = net.IP(a.DstProtAddress).String()
		}
	default:
		referencePayload(m, frame, rest)
	}
	return m, true
}

func referencePayload(m map[Field]string, frame, rest []byte) {
	// rest lies at the end of the same array as frame.
	m[FieldPayload] = fmt.Sprint(cap(frame) - cap(rest))
	m[FieldPayloadSize] = fmt.Sprint(len(rest))
}

func address(ip net.IP) string {
	a, _ := netip.AddrFromSlice(ip)
	return a.String()
}

func referenceIP(m map[Field]string, frame, rest []byte, t layers.EthernetType) bool {
	var proto layers.IPProtocol
	var v6 bool
	later := false
	var trunc truncation
	if t == layers.EthernetTypeIPv4 {
		var ip layers.IPv4
		if len(rest) == 0 || rest[0]>>4 != 4 || ip.DecodeFromBytes(rest, &trunc) != nil || trunc || ip.Length == 0 || rest[2] == 0 && rest[3] == 0 {
			return false
		}
		m[FieldIPVersion] = "4"
		m[FieldTOS] = fmt.Sprintf("0x%02x", ip.TOS)
		m[FieldTotalLen] = fmt.Sprint(ip.Length)
		m[FieldIPID] = fmt.Sprint(ip.Id)
		m[FieldFragment] = fmt.Sprint(ip.FragOffset*8, ip.Flags&layers.IPv4MoreFragments != 0, ip.Flags&layers.IPv4DontFragment != 0)
		m[FieldTTL] = fmt.Sprint(ip.TTL)
		m[FieldSaddr], m[FieldDaddr] = ip.SrcIP.String(), ip.DstIP.String()
		proto, rest, later = ip.Protocol, ip.Payload, ip.FragOffset != 0
	} else {
		v6 = true
		var ip layers.IPv6
		if len(rest) == 0 || rest[0]>>4 != 6 || ip.DecodeFromBytes(rest, &trunc) != nil || trunc || ip.Length == 0 {
			return false
		}
		m[FieldIPVersion] = "6"
		m[FieldTOS] = fmt.Sprintf("0x%02x", ip.TrafficClass)
		m[FieldTotalLen] = fmt.Sprint(int(ip.Length) + 40)
		m[FieldTTL] = fmt.Sprint(ip.HopLimit)
		m[FieldSaddr], m[FieldDaddr] = address(ip.SrcIP), address(ip.DstIP)
		proto, rest = ip.NextHeader, ip.Payload
		if ip.HopByHop != nil {
			proto = ip.HopByHop.NextHeader
		}
		for isExtension(uint8(proto)) {
			// layers.IPv6Fragment and Routing have no DecodeFromBytes.
			var kind gopacket.LayerType
			switch proto {
			case layers.IPProtocolIPv6Routing:
				kind = layers.LayerTypeIPv6Routing
			case layers.IPProtocolIPv6Fragment:
				kind = layers.LayerTypeIPv6Fragment
			case layers.IPProtocolIPv6Destination:
				kind = layers.LayerTypeIPv6Destination
			default:
				return false
			}
			layer := gopacket.NewPacket(rest, kind, gopacket.DecodeOptions{Lazy: true, NoCopy: true}).Layer(kind)
			if layer == nil {
				return false
			}
			switch x := layer.(type) {
			case *layers.IPv6Routing:
				proto = x.NextHeader
			case *layers.IPv6Destination:
				proto = x.NextHeader
			case *layers.IPv6Fragment:
				if m[FieldFragment] != "" {
					return false // a fragment of a fragment
				}
				proto = x.NextHeader
				m[FieldIPID] = fmt.Sprint(x.Identification)
				m[FieldFragment] = fmt.Sprint(x.FragmentOffset*8, x.MoreFragments, false)
				later = x.FragmentOffset != 0
			}
			rest = layer.LayerPayload()
			if later && isExtension(uint8(proto)) {
				referencePayload(m, frame, rest)
				return true
			}
		}
	}
	m[FieldProto] = string(AppendProto(nil, uint8(proto)))
	if later {
		referencePayload(m, frame, rest)
		return true
	}
	return referenceTransport(m, frame, rest, proto, v6)
}

func referenceTransport(m map[Field]string, frame, rest []byte, proto layers.IPProtocol, v6 bool) bool {
	var trunc truncation
	switch {
	case proto == layers.IPProtocolTCP:
		var tcp layers.TCP
		if tcp.DecodeFromBytes(rest, &trunc) != nil || trunc {
			return false
		}
		m[FieldSport], m[FieldDport] = fmt.Sprint(uint16(tcp.SrcPort)), fmt.Sprint(uint16(tcp.DstPort))
		m[FieldSeq], m[FieldAck] = fmt.Sprint(tcp.Seq), fmt.Sprint(tcp.Ack)
		m[FieldDataOff] = fmt.Sprint(int(tcp.DataOffset) * 4)
		m[FieldWin] = fmt.Sprint(tcp.Window)
		var names []string
		for i, set := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG, tcp.ECE, tcp.CWR, tcp.NS} {
			if set {
				names = append(names, tcpFlagNames[i])
			}
		}
		m[FieldFlags] = strings.Join(names, "|")
		for _, o := range tcp.Options {
			if _, seen := m[FieldMSS]; !seen && tcp.SYN && o.OptionType == layers.TCPOptionKindMSS && len(o.OptionData) == 2 {
				m[FieldMSS] = fmt.Sprint(int(o.OptionData[0])<<8 | int(o.OptionData[1]))
			}
		}
		rest = tcp.Payload
	case proto == layers.IPProtocolUDP:
		var udp layers.UDP
		if udp.DecodeFromBytes(rest, &trunc) != nil || trunc {
			return false
		}
		m[FieldSport], m[FieldDport] = fmt.Sprint(uint16(udp.SrcPort)), fmt.Sprint(uint16(udp.DstPort))
		m[FieldUDPLen] = fmt.Sprint(udp.Length)
		rest = udp.Payload
	case proto == layers.IPProtocolSCTP:
		var sctp layers.SCTP
		if sctp.DecodeFromBytes(rest, &trunc) != nil || trunc {
			return false
		}
		m[FieldSport], m[FieldDport] = fmt.Sprint(uint16(sctp.SrcPort)), fmt.Sprint(uint16(sctp.DstPort))
		rest = sctp.Payload
	case proto == layers.IPProtocolICMPv4 && !v6:
		var icmp layers.ICMPv4
		if icmp.DecodeFromBytes(rest, &trunc) != nil || trunc {
			return false
		}
		m[FieldIcmpType], m[FieldIcmpCode] = fmt.Sprint(icmp.TypeCode.Type()), fmt.Sprint(icmp.TypeCode.Code())
		switch icmp.TypeCode.Type() {
		case 0, 8, 13, 14, 15, 16, 17, 18:
			m[FieldIcmpID], m[FieldIcmpSeq] = fmt.Sprint(icmp.Id), fmt.Sprint(icmp.Seq)
		case 3:
			if icmp.TypeCode.Code() == 4 {
				m[FieldIcmpMTU] = fmt.Sprint(icmp.Seq)
			}
			referenceQuoted(m, icmp.Payload, layers.LayerTypeIPv4)
		case 4, 5, 11, 12:
			referenceQuoted(m, icmp.Payload, layers.LayerTypeIPv4)
		}
		rest = icmp.Payload
	case proto == layers.IPProtocolICMPv6 && v6:
		var icmp layers.ICMPv6
		if icmp.DecodeFromBytes(rest, &trunc) != nil || trunc || len(rest) < 8 {
			return false
		}
		m[FieldIcmpType], m[FieldIcmpCode] = fmt.Sprint(icmp.TypeCode.Type()), fmt.Sprint(icmp.TypeCode.Code())
		switch icmp.TypeCode.Type() {
		case 1, 2, 3, 4:
			if icmp.TypeCode.Type() == 2 {
				m[FieldIcmpMTU] = fmt.Sprint(uint32(icmp.Payload[0])<<24 | uint32(icmp.Payload[1])<<16 | uint32(icmp.Payload[2])<<8 | uint32(icmp.Payload[3]))
			}
			referenceQuoted(m, icmp.Payload[4:], layers.LayerTypeIPv6)
		case 128, 129:
			var echo layers.ICMPv6Echo
			if echo.DecodeFromBytes(icmp.Payload, &trunc) != nil {
				return false
			}
			m[FieldIcmpID], m[FieldIcmpSeq] = fmt.Sprint(echo.Identifier), fmt.Sprint(echo.SeqNumber)
		case 135:
			var ns layers.ICMPv6NeighborSolicitation
			if ns.DecodeFromBytes(icmp.Payload, &trunc) != nil {
				return false
			}
			m[FieldNDTarget] = address(ns.TargetAddress)
		case 136:
			var na layers.ICMPv6NeighborAdvertisement
			if na.DecodeFromBytes(icmp.Payload, &trunc) != nil {
				return false
			}
			m[FieldNDTarget] = address(na.TargetAddress)
		}
		rest = icmp.Payload[4:]
	case proto == layers.IPProtocolNoNextHeader:
		return true
	case proto == layers.IPProtocolUDPLite || proto == 33:
		return false // decoded by gopacket into nothing that we could compare
	}
	referencePayload(m, frame, rest)
	return true
}

// referenceQuoted is for quotes that are whole up to the ports.
func referenceQuoted(m map[Field]string, b []byte, first gopacket.LayerType) {
	p := gopacket.NewPacket(b, first, gopacket.NoCopy)
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		m[FieldQuotedSaddr], m[FieldQuotedDaddr] = ip.SrcIP.String(), ip.DstIP.String()
		m[FieldQuotedProto] = string(AppendProto(nil, uint8(ip.Protocol)))
	case *layers.IPv6:
		m[FieldQuotedSaddr], m[FieldQuotedDaddr] = address(ip.SrcIP), address(ip.DstIP)
		m[FieldQuotedProto] = string(AppendProto(nil, uint8(ip.NextHeader)))
	}
	if tr := p.TransportLayer(); tr != nil {
		flow := tr.TransportFlow()
		m[FieldQuotedSport], m[FieldQuotedDport] = flow.Src().String(), flow.Dst().String()
	}
}

// truncation is a gopacket.DecodeFeedback.
type truncation bool

func (t *truncation) SetTruncated() { *t = true }

var (
	testEth = layers.Ethernet{
		SrcMAC: net.HardwareAddr{0x00, 0x00, 0x5e, 0x00, 0x53, 0x01},
		DstMAC: net.HardwareAddr{0x02, 0x42, 0xac, 0x11, 0x00, 0x02},
	}
	testIP4 = layers.IPv4{Version: 4, TOS: 0x48, Id: 0xbeef, TTL: 63, Flags: layers.IPv4DontFragment,
		SrcIP: net.IPv4(192, 0, 2, 1).To4(), DstIP: net.IPv4(198, 51, 100, 200).To4()}
	testIP6 = layers.IPv6{Version: 6, TrafficClass: 0xb9, FlowLabel: 0xabcde, HopLimit: 55,
		SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8:ffff:1:2:3:4:5")}
)

func eth(t layers.EthernetType) *layers.Ethernet {
	e := testEth
	e.EthernetType = t
	return &e
}

func tag(id uint16, t layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{Priority: 5, DropEligible: true, VLANIdentifier: id, Type: t}
}

func ip4(proto layers.IPProtocol) *layers.IPv4 {
	ip := testIP4
	ip.Protocol = proto
	return &ip
}

func ip6(next layers.IPProtocol) *layers.IPv6 {
	ip := testIP6
	ip.NextHeader = next
	return &ip
}

const (
	type4 = layers.EthernetTypeIPv4
	type6 = layers.EthernetTypeIPv6
)

func syn() *layers.TCP {
	return &layers.TCP{SrcPort: 40001, DstPort: 443, Seq: 0xdeadbeef, SYN: true, ECE: true, CWR: true, NS: true, Window: 64240,
		Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}},
			{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
		}}
}

var testUDP = &layers.UDP{SrcPort: 5353, DstPort: 53}

type frameCase struct {
	name  string
	frame []byte
}

// frames are whole frames of every kind.
func frames(t testing.TB) []frameCase {
	data := gopacket.Payload("some payload")
	ip4opt := ip4(layers.IPProtocolUDP)
	ip4opt.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	first := ip4(layers.IPProtocolUDP)
	first.Flags = layers.IPv4MoreFragments
	later := ip4(layers.IPProtocolUDP)
	later.Flags, later.FragOffset = layers.IPv4MoreFragments, 185
	quote4 := gopacket.Payload(build(t, ip4(layers.IPProtocolUDP), testUDP, data))
	quote6 := gopacket.Payload(build(t, ip6(layers.IPProtocolTCP), syn(), data))
	ack := &layers.TCP{SrcPort: 443, DstPort: 40001, Seq: 7, Ack: 0xfffffffe, ACK: true, PSH: true, FIN: true, RST: true, URG: true, Window: 501}
	icmp4 := func(typ, code uint8) *layers.ICMPv4 {
		return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: 0x1234, Seq: 1400}
	}
	icmp6 := func(typ, code uint8) *layers.ICMPv6 {
		return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
	}
	target := net.ParseIP("fe80::1234")
	arp := &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: type4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 2,
		SourceHwAddress: testEth.SrcMAC, SourceProtAddress: testIP4.SrcIP, DstHwAddress: testEth.DstMAC, DstProtAddress: testIP4.DstIP}
	padding := gopacket.Payload(make([]byte, 30))
	hop := &layers.IPv6HopByHop{}
	hop.Options = []*layers.IPv6HopByHopOption{{OptionType: 0x1e, OptionLength: 4, OptionData: make([]byte, 4)}}
	hop.NextHeader = layers.IPProtocolIPv6Destination
	dest := &layers.IPv6Destination{}
	dest.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionLength: 4, OptionData: make([]byte, 4)}}
	dest.NextHeader = layers.IPProtocolIPv6Fragment
	frag := &layers.IPv6Fragment{NextHeader: layers.IPProtocolUDP, MoreFragments: true, Identification: 0xcafebabe}
	fragLater := &layers.IPv6Fragment{NextHeader: layers.IPProtocolUDP, FragmentOffset: 181, Identification: 0xcafebabe}
	fragLaterExt := &layers.IPv6Fragment{NextHeader: layers.IPProtocolIPv6Destination, FragmentOffset: 181, Identification: 1}
	return []frameCase{
		{"arp", build(t, eth(layers.EthernetTypeARP), arp)},
		{"arp-vlan", build(t, eth(layers.EthernetTypeDot1Q), tag(7, layers.EthernetTypeARP), arp)},
		{"unknown", build(t, eth(0x4321), gopacket.Payload(make([]byte, 46)))},
		{"udp4", build(t, eth(type4), ip4(layers.IPProtocolUDP), testUDP, data)},
		{"udp4-options", build(t, eth(type4), ip4opt, testUDP, data)},
		{"udp4-vlan", build(t, eth(layers.EthernetTypeDot1Q), tag(42, type4), ip4(layers.IPProtocolUDP), testUDP, data)},
		{"udp6-qinq", build(t, eth(layers.EthernetTypeQinQ), tag(42, layers.EthernetTypeDot1Q), tag(4095, type6), ip6(layers.IPProtocolUDP), testUDP, data)},
		{"udp4-first", build(t, eth(type4), first, testUDP, data)},
		{"udp4-later", build(t, eth(type4), later, data)},
		{"udp6", build(t, eth(type6), ip6(layers.IPProtocolUDP), testUDP, data)},
		{"udp6-empty", build(t, eth(type6), ip6(layers.IPProtocolUDP), testUDP)},
		{"udp6-extensions", build(t, eth(type6), ip6(layers.IPProtocolIPv6HopByHop), hop, dest, frag, testUDP, data)},
		{"udp6-later", build(t, eth(type6), ip6(layers.IPProtocolIPv6Fragment), fragLater, data)},
		{"udp6-later-extension", build(t, eth(type6), ip6(layers.IPProtocolIPv6Fragment), fragLaterExt, data)},
		{"no-next-header", build(t, eth(type6), ip6(layers.IPProtocolNoNextHeader), data)},
		{"tcp4-syn", build(t, eth(type4), ip4(layers.IPProtocolTCP), syn())},
		{"tcp4-data", build(t, eth(type4), ip4(layers.IPProtocolTCP), ack, data)},
		{"tcp6-syn", build(t, eth(type6), ip6(layers.IPProtocolTCP), syn())},
		{"tcp6-data", build(t, eth(type6), ip6(layers.IPProtocolTCP), ack, data)},
		{"tcp4-padding", append(build(t, eth(type4), ip4(layers.IPProtocolTCP), ack), padding...)},
		{"sctp4", build(t, eth(type4), ip4(layers.IPProtocolSCTP), &layers.SCTP{SrcPort: 1, DstPort: 65535, VerificationTag: 9}, data)},
		{"gre4", build(t, eth(type4), ip4(layers.IPProtocolGRE), data)},
		{"esp6", build(t, eth(type6), ip6(layers.IPProtocolESP), data)},
		{"ah4", build(t, eth(type4), ip4(layers.IPProtocolAH), data)},
		{"igmp", build(t, eth(type4), ip4(layers.IPProtocolIGMP), data)},
		{"proto253", build(t, eth(type4), ip4(253), data)},
		{"icmp-echo", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(8, 0), data)},
		{"icmp-reply", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(0, 0), data)},
		{"icmp-port", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(3, 3), quote4)},
		{"icmp-mtu", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(3, 4), quote4)},
		{"icmp-redirect", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(5, 1), quote4)},
		{"icmp-ttl", build(t, eth(type4), ip4(layers.IPProtocolICMPv4), icmp4(11, 0), quote4)},
		{"icmp6-echo", build(t, eth(type6), ip6(layers.IPProtocolICMPv6), icmp6(128, 0), &layers.ICMPv6Echo{Identifier: 77, SeqNumber: 78}, data)},
		{"icmp6-unreachable", build(t, eth(type6), ip6(layers.IPProtocolICMPv6), icmp6(1, 4), gopacket.Payload(make([]byte, 4)), quote6)},
		{"icmp6-mtu", build(t, eth(type6), ip6(layers.IPProtocolICMPv6), icmp6(2, 0), gopacket.Payload{0, 0, 5, 0}, quote6)},
		{"icmp6-solicit", build(t, eth(type6), ip6(layers.IPProtocolICMPv6), icmp6(135, 0), &layers.ICMPv6NeighborSolicitation{TargetAddress: target})},
		{"icmp6-advertise", build(t, eth(type6), ip6(layers.IPProtocolICMPv6), icmp6(136, 0), &layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: target})},
		// An icmp message of the other family is only a protocol number.
		{"icmp-in-ip6", build(t, eth(type6), ip6(layers.IPProtocolICMPv4), icmp4(8, 0), data)},
	}
}

// TestReference compares every field with what gopacket reads.
func TestReference(t *testing.T) {
	for _, fc := range frames(t) {
		t.Run(fc.name, func(t *testing.T) {
			want, ok := reference(fc.frame)
			if !ok {
				t.Fatal("gopacket refuses the frame")
			}
			compareReceived(t, fc.frame, want, false)
		})
	}
}

// compareReceived compares the frame as it is received with want, but fields of
// packets within the packet only where want has them, if so told.
func compareReceived(t testing.TB, frame []byte, want map[Field]string, ignoreWithin bool) {
	t.Helper()
	s := received(frame, 14, uint16(frame[12])<<8|uint16(frame[13]))
	const start = -64
	w := s.window(start, 64+len(frame)+8)
	p := decode(t, w)
	if off, ok := want[FieldPayload]; ok {
		var n int
		fmt.Sscan(off, &n)
		want[FieldPayload] = fmt.Sprint(n - 14 - start)
	}
	want[FieldFrame] = fmt.Sprint(-14-start, len(frame), true)
	checkFrame(t, p, w, frame, true, true)
	got := values(p)
	for f := range got {
		if _, ok := want[f]; !ok && ignoreWithin && isWithin(f) {
			delete(got, f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gopacket (-), we (+):\n%s", diff)
	}
	checkPrefixes(t, w)
}
