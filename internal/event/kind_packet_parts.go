package event

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/skprobe/skprobe/internal/packet"
)

// A packetPart says how one column comes from a decoded packet.
type packetPart struct {
	Part
	field packet.Field
	get   partGetter
}

// A partGetter sets a value. A text lives in text, which the next packet
// overwrites, as an event's texts do.
type partGetter func(p *packet.Packet, v *Value, text *[]byte)

func textOf(f func(p *packet.Packet, dst []byte) []byte) partGetter {
	return func(p *packet.Packet, v *Value, text *[]byte) {
		*text = f(p, (*text)[:0])
		v.Text = *text
	}
}

func numberOf(f func(p *packet.Packet) uint64) partGetter {
	return func(p *packet.Packet, v *Value, _ *[]byte) { v.Num = f(p) }
}

func addrOf(f func(p *packet.Packet) netip.Addr) partGetter {
	return func(p *packet.Packet, v *Value, _ *[]byte) { v.Addr = f(p) }
}

var plainText = &Kind{Name: "text", Class: Text, Width: 8}

// named is a text that is the name of a number up to most, or the number where
// it has none.
func named(what string, width, most int, name func(n int) string) *Kind {
	var names []string
	for n := range min(most, 255) + 1 {
		if s := name(n); s != "" {
			names = append(names, s)
		}
	}
	return &Kind{Name: what, Class: Text, Width: width, Names: names, Normalize: func(s string) (string, bool) {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= most {
			return cmp.Or(name(n), strconv.Itoa(n)), true
		}
		s = strings.ToLower(s)
		return s, slices.Contains(names, s)
	}}
}

// packetParts are the same for all kinds of packets. They are many, and so made
// once, and not before they are needed.
var packetParts = sync.OnceValue(func() []packetPart {
	number := &Kind{Name: "number", Class: Unsigned, Width: 5, Right: true}
	wide := &Kind{Name: "number", Class: Unsigned, Width: 10, Right: true}
	addr := &Kind{Name: "addr", Class: Address, Width: 15}
	mac := &Kind{Name: "mac", Class: Text, Width: 17, Normalize: normalizeMAC}
	proto := named("protocol", 8, 255, func(n int) string { return packet.ProtoName(uint8(n)) })
	tunnel := &Kind{Name: "tunnel", Class: Text, Width: 8, Names: packet.TunnelNames(), Normalize: func(s string) (string, bool) {
		s = strings.ToLower(s)
		return s, slices.Contains(packet.TunnelNames(), s)
	}}
	flags := &Kind{Name: "text", Class: Text, Width: 10}
	fragFlags := &Kind{Name: "text", Class: Text, Width: 5}
	operation := named("operation", 8, 65535, func(n int) string { return packet.ArpOpName(uint16(n)) })
	part := func(name, help string, kind *Kind, field packet.Field, get partGetter) packetPart {
		return packetPart{Part{Name: name, Help: help, Kind: kind}, field, get}
	}
	less := func(p packetPart) packetPart { p.Wide = true; return p }
	return []packetPart{
		part("smac", "source MAC", mac, packet.FieldSmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Smac) })),
		part("dmac", "destination MAC", mac, packet.FieldDmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Dmac) })),
		part("ethertype", "EtherType after VLAN tags", EtherType, packet.FieldEtherType, numberOf(func(p *packet.Packet) uint64 { return uint64(p.EtherType) })),
		less(part("vlan", "VLAN id, of the outer tag where there are two", number, packet.FieldVLAN, numberOf(func(p *packet.Packet) uint64 { return uint64(p.VLANs[0].ID()) }))),
		less(part("vlan2", "VLAN id of the second tag", number, packet.FieldVLAN, func(p *packet.Packet, v *Value, _ *[]byte) {
			v.Set, v.Num = p.NVLAN > 1, uint64(p.VLANs[1].ID())
		})),
		less(part("ar_op", "ARP operation", operation, packet.FieldArpOp, textOf(func(p *packet.Packet, b []byte) []byte {
			if name := packet.ArpOpName(p.ArpOp); name != "" {
				return append(b, name...)
			}
			return appendUnsigned(b, &Value{Num: uint64(p.ArpOp)})
		}))),
		less(part("ar_sha", "ARP sender MAC", mac, packet.FieldArpSha, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.ArpSha) }))),
		less(part("ar_sip", "ARP sender IPv4 address", addr, packet.FieldArpSip, addrOf(func(p *packet.Packet) netip.Addr { return p.ArpSip }))),
		less(part("ar_tha", "ARP target MAC", mac, packet.FieldArpTha, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.ArpTha) }))),
		less(part("ar_tip", "ARP target IPv4 address", addr, packet.FieldArpTip, addrOf(func(p *packet.Packet) netip.Addr { return p.ArpTip }))),
		part("proto", "IP protocol, after IPv6 extension headers", proto, packet.FieldProto, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendProto(b, p.Proto) })),
		part("saddr", "source address", addr, packet.FieldSaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.Saddr })),
		part("sport", "source port", number, packet.FieldSport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Sport) })),
		part("daddr", "destination address", addr, packet.FieldDaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.Daddr })),
		part("dport", "destination port", number, packet.FieldDport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Dport) })),
		less(part("tos", "TOS or traffic class: DSCP and ECN", number, packet.FieldTOS, numberOf(func(p *packet.Packet) uint64 { return uint64(p.TOS) }))),
		less(part("ip_len", "bytes of the IP packet, as its header says", number, packet.FieldTotalLen, numberOf(func(p *packet.Packet) uint64 { return uint64(p.TotalLen) }))),
		less(part("ip_id", "IP identification", wide, packet.FieldIPID, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IPID) }))),
		less(part("ip_flags", "DF (do not fragment), MF (more fragments)", fragFlags, packet.FieldFragment, setFragFlags)),
		less(part("ttl", "TTL or hop limit", number, packet.FieldTTL, numberOf(func(p *packet.Packet) uint64 { return uint64(p.TTL) }))),
		less(part("frag_offset", "fragment offset in bytes", number, packet.FieldFragment, numberOf(func(p *packet.Packet) uint64 { return uint64(p.FragOffset) }))),
		less(part("flags", "TCP flags", flags, packet.FieldFlags, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendTCPFlags(b, p.Flags) }))),
		less(part("seq", "TCP sequence number", wide, packet.FieldSeq, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Seq) }))),
		less(part("ack_seq", "TCP acknowledgement number", wide, packet.FieldAck, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Ack) }))),
		less(part("win", "TCP window, unscaled", number, packet.FieldWin, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Win) }))),
		less(part("mss", "MSS option of a TCP SYN", number, packet.FieldMSS, numberOf(func(p *packet.Packet) uint64 { return uint64(p.MSS) }))),
		less(part("icmp_type", "ICMP type", number, packet.FieldIcmpType, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IcmpType) }))),
		less(part("icmp_code", "ICMP code", number, packet.FieldIcmpCode, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IcmpCode) }))),
		less(part("icmp_id", "ICMP echo identifier", number, packet.FieldIcmpID, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IcmpID) }))),
		less(part("icmp_seq", "ICMP echo sequence number", number, packet.FieldIcmpSeq, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IcmpSeq) }))),
		less(part("icmp_mtu", "MTU in an ICMP message that a packet was too big", number, packet.FieldIcmpMTU, numberOf(func(p *packet.Packet) uint64 { return uint64(p.IcmpMTU) }))),
		less(part("nd_target", "target of an IPv6 neighbour solicitation or advertisement", addr, packet.FieldNDTarget, addrOf(func(p *packet.Packet) netip.Addr { return p.NDTarget }))),
		less(part("quoted_proto", "IP protocol of the packet that an ICMP error quotes", proto, packet.FieldQuotedProto, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendProto(b, p.QuotedProto) }))),
		less(part("quoted_saddr", "source address of the quoted packet", addr, packet.FieldQuotedSaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.QuotedSaddr }))),
		less(part("quoted_sport", "source port of the quoted packet", number, packet.FieldQuotedSport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.QuotedSport) }))),
		less(part("quoted_daddr", "destination address of the quoted packet", addr, packet.FieldQuotedDaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.QuotedDaddr }))),
		less(part("quoted_dport", "destination port of the quoted packet", number, packet.FieldQuotedDport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.QuotedDport) }))),
		less(part("tunnel", "kind of the tunnel, where the packet carries another", tunnel, packet.FieldTunnel, func(p *packet.Packet, v *Value, _ *[]byte) { v.Text = tunnelTexts[p.Tunnel] })),
		less(part("tunnel_id", "VXLAN or Geneve network identifier, GRE key", wide, packet.FieldTunnelID, numberOf(func(p *packet.Packet) uint64 { return uint64(p.TunnelID) }))),
		less(part("inner_smac", "source MAC in the tunnel", mac, packet.FieldInnerSmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Inner.Smac) }))),
		less(part("inner_dmac", "destination MAC in the tunnel", mac, packet.FieldInnerDmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Inner.Dmac) }))),
		less(part("inner_ethertype", "EtherType in the tunnel", EtherType, packet.FieldInnerEtherType, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Inner.EtherType) }))),
		less(part("inner_proto", "IP protocol in the tunnel", proto, packet.FieldInnerProto, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendProto(b, p.Inner.Proto) }))),
		less(part("inner_saddr", "source address in the tunnel", addr, packet.FieldInnerSaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.Inner.Saddr }))),
		less(part("inner_sport", "source port in the tunnel", number, packet.FieldInnerSport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Inner.Sport) }))),
		less(part("inner_daddr", "destination address in the tunnel", addr, packet.FieldInnerDaddr, addrOf(func(p *packet.Packet) netip.Addr { return p.Inner.Daddr }))),
		less(part("inner_dport", "destination port in the tunnel", number, packet.FieldInnerDport, numberOf(func(p *packet.Packet) uint64 { return uint64(p.Inner.Dport) }))),
		less(part("inner_flags", "TCP flags in the tunnel", flags, packet.FieldInnerFlags, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendTCPFlags(b, p.Inner.Flags) }))),
		less(part("frame_len", "bytes of the frame, with the link layer where that was seen", Size, packet.FieldFrame, numberOf(func(p *packet.Packet) uint64 { return uint64(p.FrameSize) }))),
	}
})

// tunnelTexts are the names of tunnels, by their types.
var tunnelTexts = func() [][]byte {
	all := [][]byte{nil}
	for _, name := range packet.TunnelNames() {
		all = append(all, []byte(name))
	}
	return all
}()

// fragTexts are the flags of a fragment: 1 for DF, 2 for MF. Without any, the
// value is absent.
var fragTexts = [][]byte{nil, []byte("DF"), []byte("MF"), []byte("DF|MF")}

func setFragFlags(p *packet.Packet, v *Value, _ *[]byte) {
	i := 0
	if p.DontFrag {
		i |= 1
	}
	if p.MoreFrags {
		i |= 2
	}
	v.Set, v.Text = i != 0, fragTexts[i]
}
