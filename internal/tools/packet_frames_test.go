package tools_test

import (
	"math/rand/v2"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A namedFrame is one to be sent as it is.
type namedFrame struct {
	name  string
	frame []byte
}

// oddFrames are frames of all sorts from one station to another: rare headers,
// tags, fragments, tunnels, and what is cut or no packet at all.
func oddFrames(t testing.TB, from, to net.HardwareAddr, src4, dst4, src6, dst6 net.IP) []namedFrame {
	t.Helper()
	const v4, v6 = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6
	const tcp, udp = layers.IPProtocolTCP, layers.IPProtocolUDP
	var all []namedFrame
	add := func(name string, layer ...gopacket.SerializableLayer) {
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, layer...); err != nil {
			t.Fatal(name, err)
		}
		all = append(all, namedFrame{name, append([]byte(nil), buf.Bytes()...)})
	}
	eth := func(typ layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: typ}
	}
	tag := func(id uint16, typ layers.EthernetType) *layers.Dot1Q {
		return &layers.Dot1Q{Priority: 3, VLANIdentifier: id, Type: typ}
	}
	ip4 := func(proto layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 9, TOS: 0x2e, Id: uint16(1000 + len(all)), SrcIP: src4.To4(), DstIP: dst4.To4(), Protocol: proto}
	}
	ip6 := func(next layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, HopLimit: 9, TrafficClass: 0x2e, SrcIP: src6, DstIP: dst6, NextHeader: next}
	}
	data := func(n int) gopacket.Payload { return make([]byte, n) }
	toPort := func(port layers.UDPPort) *layers.UDP { return &layers.UDP{SrcPort: 7, DstPort: port} }
	syn := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 77, SYN: true, Window: 1000, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}},
		{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2}, {OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
	ack := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 78, Ack: 99, ACK: true, PSH: true, FIN: true, Window: 1}

	options := ip4(udp)
	options.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 11, OptionData: make([]byte, 9)}, {OptionType: 0}}
	add("IPv4 with options", eth(v4), options, toPort(9), data(20))
	first, later, whole := ip4(udp), ip4(udp), ip4(tcp)
	first.Flags, later.FragOffset, whole.Flags = layers.IPv4MoreFragments, 3, layers.IPv4DontFragment
	add("the first fragment", eth(v4), first, toPort(9), data(16))
	add("a later fragment", eth(v4), later, data(16))
	add("a SYN with options", eth(v4), whole, syn)
	add("TCP", eth(v4), ip4(tcp), ack, data(40))
	add("TCP over IPv6", eth(v6), ip6(tcp), syn)
	hop := &layers.IPv6HopByHop{}
	hop.Options = []*layers.IPv6HopByHopOption{{OptionType: 0x3e, OptionLength: 4, OptionData: make([]byte, 4)}}
	hop.NextHeader = layers.IPProtocolIPv6Destination
	dest := &layers.IPv6Destination{}
	dest.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionLength: 4, OptionData: make([]byte, 4)}}
	dest.NextHeader = udp
	add("IPv6 with extension headers", eth(v6), ip6(layers.IPProtocolIPv6HopByHop), hop, dest, toPort(9), data(5))
	fragment := &layers.IPv6Fragment{NextHeader: udp, MoreFragments: true, Identification: 0xcafebabe}
	add("an IPv6 fragment", eth(v6), ip6(layers.IPProtocolIPv6Fragment), fragment, toPort(9), data(24))
	add("UDP-Lite", eth(v4), ip4(layers.IPProtocolUDPLite), gopacket.Payload("\x12\x34\x56\x78\x00\x08\x00\x00data"))
	add("SCTP", eth(v4), ip4(layers.IPProtocolSCTP), &layers.SCTP{SrcPort: 5000, DstPort: 5001, VerificationTag: 1}, data(16))
	add("a tag", eth(layers.EthernetTypeDot1Q), tag(5, v4), ip4(udp), toPort(9), data(30))
	add("a priority tag", eth(layers.EthernetTypeDot1Q), tag(0, v6), ip6(udp), toPort(9), data(30))
	add("two tags", eth(layers.EthernetTypeQinQ), tag(6, layers.EthernetTypeDot1Q), tag(7, v4), ip4(udp), toPort(9), data(30))
	add("an echo request", eth(v4), ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 4, Seq: 5}, data(56))
	quoted := ip4(udp)
	quoted.SrcIP, quoted.DstIP = quoted.DstIP, quoted.SrcIP
	add("an ICMP error", eth(v4), ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 4), Seq: 1400}, quoted, toPort(9))
	add("ARP", eth(layers.EthernetTypeARP), &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: v4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 2,
		SourceHwAddress: from, SourceProtAddress: src4.To4(), DstHwAddress: to, DstProtAddress: dst4.To4()})
	add("IPv4 in IPv4", eth(v4), ip4(layers.IPProtocolIPv4), ip4(tcp), ack)
	add("IPv6 in IPv4", eth(v4), ip4(layers.IPProtocolIPv6), ip6(udp), toPort(10))
	add("GRE", eth(v4), ip4(layers.IPProtocolGRE), &layers.GRE{Protocol: v4, KeyPresent: true, Key: 42}, ip4(udp), toPort(11))
	add("VXLAN", eth(v4), ip4(udp), toPort(4789), &layers.VXLAN{ValidIDFlag: true, VNI: 4711}, eth(v4), ip4(tcp), ack)
	add("IGMP", eth(v4), ip4(layers.IPProtocolIGMP), data(8))
	add("ESP", eth(v6), ip6(layers.IPProtocolESP), data(40))
	add("an unknown type", eth(0x4321), data(46))
	add("802.3", eth(46), gopacket.Payload("\x42\x42\x03"), data(43))

	for _, n := range []int{1, 5, 19, 20, 22, 33, 40} { // bytes of IP and TCP
		all = append(all, namedFrame{"TCP, cut", all[4].frame[:14+n]}, namedFrame{"TCP over IPv6, cut", all[5].frame[:14+n]})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 64 {
		frame := make([]byte, 14+1+r.IntN(200))
		copy(frame, to)
		copy(frame[6:], from)
		types := []layers.EthernetType{v4, v6, layers.EthernetTypeARP, layers.EthernetTypeDot1Q, layers.EthernetType(r.Uint32())}
		typ := types[r.IntN(len(types))]
		frame[12], frame[13] = byte(typ>>8), byte(typ)
		for i := 14; i < len(frame); i++ {
			frame[i] = byte(r.Uint32())
		}
		switch {
		case typ == v4 && r.IntN(4) > 0:
			frame[14] = 0x45 + byte(r.IntN(3))
		case typ == v6 && r.IntN(4) > 0:
			frame[14] = 0x60
		}
		all = append(all, namedFrame{"noise", frame})
	}
	return all
}
