package packet

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	innerEth = layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	innerIP4 = layers.IPv4{Version: 4, TTL: 7, SrcIP: net.IPv4(10, 1, 2, 3).To4(), DstIP: net.IPv4(10, 4, 5, 6).To4()}
	innerIP6 = layers.IPv6{Version: 6, HopLimit: 7, SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
	innerTCP = &layers.TCP{SrcPort: 1234, DstPort: 80, Seq: 1, ACK: true, FIN: true, Window: 9}
	innerUDP = &layers.UDP{SrcPort: 1234, DstPort: 50000}
)

func inner4(proto layers.IPProtocol) *layers.IPv4 {
	ip := innerIP4
	ip.Protocol = proto
	return &ip
}

func inner6(next layers.IPProtocol) *layers.IPv6 {
	ip := innerIP6
	ip.NextHeader = next
	return &ip
}

func innerFrame(t layers.EthernetType) *layers.Ethernet {
	e := innerEth
	e.EthernetType = t
	return &e
}

// tunnelFrames are frames of every tunnel.
func tunnelFrames(t testing.TB) []frameCase {
	const bridged = layers.EthernetTypeTransparentEthernetBridging
	data := gopacket.Payload("some payload")
	to := func(port layers.UDPPort) *layers.UDP { return &layers.UDP{SrcPort: 40000, DstPort: port} }
	vxlan := &layers.VXLAN{ValidIDFlag: true, VNI: 0xabcdef}
	gre := func(p layers.EthernetType) *layers.GRE { return &layers.GRE{Protocol: p} }
	full := &layers.GRE{Protocol: type6, ChecksumPresent: true, KeyPresent: true, Key: 0xcafef00d, SeqPresent: true, Seq: 3}
	geneve := gopacket.Payload("\x01\x00\x65\x58\x00\x00\x2a\x00\x01\x02\x80\x00") // an option without data, identifier 42
	arp := &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: type4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: innerEth.SrcMAC, SourceProtAddress: innerIP4.SrcIP, DstHwAddress: innerEth.DstMAC, DstProtAddress: innerIP4.DstIP}
	v4, v6 := layers.IPProtocolIPv4, layers.IPProtocolIPv6
	udp, tcp := layers.IPProtocolUDP, layers.IPProtocolTCP
	return []frameCase{
		{"ipip", build(t, eth(type4), ip4(v4), inner4(tcp), innerTCP, data)},
		{"sit", build(t, eth(type4), ip4(v6), inner6(udp), innerUDP, data)},
		{"ipip6", build(t, eth(type6), ip6(v4), inner4(udp), innerUDP, data)},
		{"ip6ip6", build(t, eth(type6), ip6(v6), inner6(tcp), innerTCP, data)},
		{"gre", build(t, eth(type4), ip4(layers.IPProtocolGRE), gre(type4), inner4(tcp), innerTCP)},
		{"gre-key", build(t, eth(type4), ip4(layers.IPProtocolGRE), full, inner6(udp), innerUDP, data)},
		{"gretap", build(t, eth(type6), ip6(layers.IPProtocolGRE), gre(bridged), innerFrame(type4), inner4(udp), innerUDP, data)},
		{"vxlan", build(t, eth(type4), ip4(udp), to(4789), vxlan, innerFrame(type4), inner4(tcp), innerTCP)},
		{"vxlan-linux-port", build(t, eth(type4), ip4(udp), to(8472), vxlan, innerFrame(type6), inner6(udp), innerUDP)},
		{"vxlan-vlan", build(t, eth(type4), ip4(udp), to(4789), vxlan, innerFrame(layers.EthernetTypeDot1Q), tag(5, type4), inner4(udp), innerUDP)},
		{"vxlan-arp", build(t, eth(type4), ip4(udp), to(4789), vxlan, innerFrame(layers.EthernetTypeARP), arp)},
		{"geneve", build(t, eth(type4), ip4(udp), to(6081), geneve, innerFrame(type4), inner4(udp), innerUDP)},
		{"vxlan-in-ipip", build(t, eth(type4), ip4(v4), inner4(udp), to(4789), vxlan, innerFrame(type4), inner4(udp), innerUDP)},
	}
}

// TestTunnels compares the inner headers with what gopacket reads.
func TestTunnels(t *testing.T) {
	for _, fc := range tunnelFrames(t) {
		t.Run(fc.name, func(t *testing.T) {
			name, _, _ := strings.Cut(fc.name, "-")
			if fc.name == "vxlan-in-ipip" {
				name = "ipip"
			}
			want := referenceInner(t, fc.frame)
			want[FieldTunnel] = name
			if name == "geneve" {
				want[FieldTunnelID] = "42"
			}
			w := received(fc.frame, 14, uint16(fc.frame[12])<<8|uint16(fc.frame[13])).window(-64, 220)
			got := values(decode(t, w))
			for f := range got {
				if f < FieldTunnel || f > FieldInnerFlags {
					delete(got, f)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("gopacket (-), we (+):\n%s", diff)
			}
			checkPrefixes(t, w)
		})
	}
}

// referenceInner finds the second IP packet, and the second Ethernet frame, of
// those that gopacket sees.
func referenceInner(t *testing.T, frame []byte) map[Field]string {
	m := map[Field]string{}
	frames, packets := 0, 0
	frame = bytes.Replace(frame, []byte{40000 >> 8, 40000 & 0xff, 8472 >> 8, 8472 & 0xff}, []byte{0, 0, 4789 >> 8, 4789 & 0xff}, 1) // which gopacket knows
	for _, l := range gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			if frames++; frames == 2 && packets == 1 {
				m[FieldInnerDmac], m[FieldInnerSmac] = l.DstMAC.String(), l.SrcMAC.String()
				m[FieldInnerEtherType] = fmt.Sprintf("0x%04x", uint16(l.EthernetType))
			}
		case *layers.Dot1Q:
			m[FieldInnerEtherType] = fmt.Sprintf("0x%04x", uint16(l.Type))
		case *layers.IPv4:
			if packets++; packets == 2 {
				m[FieldInnerSaddr], m[FieldInnerDaddr] = l.SrcIP.String(), l.DstIP.String()
				m[FieldInnerProto] = string(AppendProto(nil, uint8(l.Protocol)))
			}
		case *layers.IPv6:
			if packets++; packets == 2 {
				m[FieldInnerSaddr], m[FieldInnerDaddr] = l.SrcIP.String(), l.DstIP.String()
				m[FieldInnerProto] = string(AppendProto(nil, uint8(l.NextHeader)))
			}
		case *layers.TCP:
			m[FieldInnerSport], m[FieldInnerDport] = fmt.Sprint(uint16(l.SrcPort)), fmt.Sprint(uint16(l.DstPort))
			m[FieldInnerFlags] = "FIN|ACK"
			if !l.FIN || !l.ACK {
				t.Errorf("flags of %v", l)
			}
		case *layers.UDP:
			if packets == 2 && m[FieldInnerSport] == "" {
				m[FieldInnerSport], m[FieldInnerDport] = fmt.Sprint(uint16(l.SrcPort)), fmt.Sprint(uint16(l.DstPort))
			}
		case *layers.VXLAN:
			if packets == 1 {
				m[FieldTunnelID] = fmt.Sprint(l.VNI)
			}
		case *layers.GRE:
			if l.KeyPresent {
				m[FieldTunnelID] = fmt.Sprint(l.Key)
			}
		case *gopacket.DecodeFailure:
			t.Fatal(l.Error())
		}
	}
	return m
}

// TestNotTunnels are packets that look like tunnels at first sight.
func TestNotTunnels(t *testing.T) {
	inside := build(t, innerFrame(type4), inner4(layers.IPProtocolUDP), innerUDP)
	udp := func(port layers.UDPPort, header string) []byte {
		return build(t, eth(type4), ip4(layers.IPProtocolUDP), &layers.UDP{DstPort: port}, gopacket.Payload(header+string(inside)))
	}
	gre := func(header string) []byte {
		return build(t, eth(type4), ip4(layers.IPProtocolGRE), gopacket.Payload(header+string(inside[14:])))
	}
	later := ip4(layers.IPProtocolIPv4)
	later.FragOffset = 185
	tests := map[string]struct {
		frame []byte
		want  string // tunnel and inner fields
	}{
		"VXLAN without a valid identifier": {udp(4789, "\x00\x00\x00\x00\x00\x00\x01\x00"), ""},
		"VXLAN-GPE":                        {udp(4789, "\x0c\x00\x00\x01\x00\x00\x01\x00"), ""},
		"another port":                     {udp(4790, "\x08\x00\x00\x00\x00\x00\x01\x00"), ""},
		"Geneve of another version":        {udp(6081, "\x40\x00\x65\x58\x00\x00\x01\x00"), ""},
		"Geneve with other contents":       {udp(6081, "\x00\x00\x12\x34\x00\x00\x01\x00"), "tunnel geneve\ntunnel_id 1\n"},
		"Geneve with options beyond all":   {udp(6081, "\x3f\x00\x65\x58\x00\x00\x01\x00"), "tunnel geneve\ntunnel_id 1\n"},
		"GRE of version 1 (PPTP)":          {gre("\x20\x01\x88\x0b\x00\x00\x00\x00"), ""},
		"GRE with a source route":          {gre("\x40\x00\x08\x00\x00\x00\x00\x00"), ""},
		"GRE with other contents":          {gre("\x00\x00\x12\x34"), "tunnel gre\n"},
		"GRE that says IPv6":               {gre("\x00\x00\x86\xdd"), "tunnel gre\n"},
		"a later fragment":                 {build(t, eth(type4), later, gopacket.Payload(inside[14:])), ""},
		"IPIP with nothing in it":          {build(t, eth(type4), ip4(layers.IPProtocolIPv4)), "tunnel ipip\n"},
		"IPIP that is IPv6":                {build(t, eth(type4), ip4(layers.IPProtocolIPv4), inner6(layers.IPProtocolUDP), innerUDP), "tunnel ipip\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := received(tt.frame, 14, 0x0800).window(-64, 200)
			p := decode(t, w)
			for f := range FieldTunnel {
				p.seen &^= 1 << f
			}
			p.seen &^= 1<<FieldPayload | 1<<FieldPayloadSize | 1<<FieldFrame
			if got := text(p); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			checkPrefixes(t, w)
		})
	}
}

func TestTunnelNames(t *testing.T) {
	if TunnelNames()[TunnelGeneve-1] != "geneve" || TunnelVXLAN.String() != "vxlan" || len(TunnelNames()) != int(TunnelGeneve) {
		t.Error(TunnelNames())
	}
}
