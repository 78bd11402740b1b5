// Package packettest tells in tests what is to be seen of a frame.
package packettest

import (
	"fmt"

	"github.com/skprobe/skprobe/internal/packet"
)

// Columns are what packet decodes of a whole frame of Ethernet, by the names of
// tools' columns, as text. What the frame does not have is not in it.
func Columns(frame []byte) map[string]string {
	const at, link = 0xffff888000000000, 14
	protocol := uint16(frame[12])<<8 | uint16(frame[13])
	if protocol < 0x0600 {
		protocol = 4 // ETH_P_802_2, as eth_type_trans says of most
	}
	w := packet.Window{Head: at, Data: at + link, Network: link, Mac: 0, Transport: packet.NotSet, Len: uint32(len(frame) - link),
		Protocol: protocol, Start: -link, Bytes: frame}
	var p packet.Packet
	p.Decode(&w)
	m := map[string]string{}
	for _, c := range columns {
		if p.Has(c.field) {
			m[c.name] = c.text(&p)
		}
	}
	// Columns that are there for some values of a field only.
	if p.NVLAN < 2 {
		delete(m, "vlan2")
	}
	if !p.DontFrag && !p.MoreFrags {
		delete(m, "ip_flags")
	}
	return m
}

// Names are the columns that Columns knows.
func Names() []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

var columns = []struct {
	name  string
	field packet.Field
	text  func(p *packet.Packet) string
}{
	{"smac", packet.FieldSmac, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.Smac)) }},
	{"dmac", packet.FieldDmac, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.Dmac)) }},
	{"ethertype", packet.FieldEtherType, func(p *packet.Packet) string { return string(packet.AppendEtherType(nil, p.EtherType)) }},
	{"vlan", packet.FieldVLAN, func(p *packet.Packet) string { return fmt.Sprint(p.VLANs[0].ID()) }},
	{"vlan2", packet.FieldVLAN, func(p *packet.Packet) string { return fmt.Sprint(p.VLANs[1].ID()) }},
	{"ar_op", packet.FieldArpOp, func(p *packet.Packet) string { return arpOp(p.ArpOp) }},
	{"ar_sha", packet.FieldArpSha, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.ArpSha)) }},
	{"ar_sip", packet.FieldArpSip, func(p *packet.Packet) string { return p.ArpSip.String() }},
	{"ar_tha", packet.FieldArpTha, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.ArpTha)) }},
	{"ar_tip", packet.FieldArpTip, func(p *packet.Packet) string { return p.ArpTip.String() }},
	{"proto", packet.FieldProto, func(p *packet.Packet) string { return string(packet.AppendProto(nil, p.Proto)) }},
	{"saddr", packet.FieldSaddr, func(p *packet.Packet) string { return p.Saddr.String() }},
	{"daddr", packet.FieldDaddr, func(p *packet.Packet) string { return p.Daddr.String() }},
	{"sport", packet.FieldSport, func(p *packet.Packet) string { return fmt.Sprint(p.Sport) }},
	{"dport", packet.FieldDport, func(p *packet.Packet) string { return fmt.Sprint(p.Dport) }},
	{"tos", packet.FieldTOS, func(p *packet.Packet) string { return fmt.Sprint(p.TOS) }},
	{"ttl", packet.FieldTTL, func(p *packet.Packet) string { return fmt.Sprint(p.TTL) }},
	{"ip_len", packet.FieldTotalLen, func(p *packet.Packet) string { return fmt.Sprint(p.TotalLen) }},
	{"ip_id", packet.FieldIPID, func(p *packet.Packet) string { return fmt.Sprint(p.IPID) }},
	{"ip_flags", packet.FieldFragment, func(p *packet.Packet) string {
		return map[[2]bool]string{{true, false}: "DF", {false, true}: "MF", {true, true}: "DF|MF"}[[2]bool{p.DontFrag, p.MoreFrags}]
	}},
	{"frag_offset", packet.FieldFragment, func(p *packet.Packet) string { return fmt.Sprint(p.FragOffset) }},
	{"flags", packet.FieldFlags, func(p *packet.Packet) string { return p.Flags.String() }},
	{"seq", packet.FieldSeq, func(p *packet.Packet) string { return fmt.Sprint(p.Seq) }},
	{"ack_seq", packet.FieldAck, func(p *packet.Packet) string { return fmt.Sprint(p.Ack) }},
	{"win", packet.FieldWin, func(p *packet.Packet) string { return fmt.Sprint(p.Win) }},
	{"mss", packet.FieldMSS, func(p *packet.Packet) string { return fmt.Sprint(p.MSS) }},
	{"icmp_type", packet.FieldIcmpType, func(p *packet.Packet) string { return fmt.Sprint(p.IcmpType) }},
	{"icmp_code", packet.FieldIcmpCode, func(p *packet.Packet) string { return fmt.Sprint(p.IcmpCode) }},
	{"icmp_id", packet.FieldIcmpID, func(p *packet.Packet) string { return fmt.Sprint(p.IcmpID) }},
	{"icmp_seq", packet.FieldIcmpSeq, func(p *packet.Packet) string { return fmt.Sprint(p.IcmpSeq) }},
	{"icmp_mtu", packet.FieldIcmpMTU, func(p *packet.Packet) string { return fmt.Sprint(p.IcmpMTU) }},
	{"nd_target", packet.FieldNDTarget, func(p *packet.Packet) string { return p.NDTarget.String() }},
	{"quoted_saddr", packet.FieldQuotedSaddr, func(p *packet.Packet) string { return p.QuotedSaddr.String() }},
	{"quoted_daddr", packet.FieldQuotedDaddr, func(p *packet.Packet) string { return p.QuotedDaddr.String() }},
	{"quoted_proto", packet.FieldQuotedProto, func(p *packet.Packet) string { return string(packet.AppendProto(nil, p.QuotedProto)) }},
	{"quoted_sport", packet.FieldQuotedSport, func(p *packet.Packet) string { return fmt.Sprint(p.QuotedSport) }},
	{"quoted_dport", packet.FieldQuotedDport, func(p *packet.Packet) string { return fmt.Sprint(p.QuotedDport) }},
	{"tunnel", packet.FieldTunnel, func(p *packet.Packet) string { return p.Tunnel.String() }},
	{"tunnel_id", packet.FieldTunnelID, func(p *packet.Packet) string { return fmt.Sprint(p.TunnelID) }},
	{"inner_smac", packet.FieldInnerSmac, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.Inner.Smac)) }},
	{"inner_dmac", packet.FieldInnerDmac, func(p *packet.Packet) string { return string(packet.AppendMAC(nil, p.Inner.Dmac)) }},
	{"inner_ethertype", packet.FieldInnerEtherType, func(p *packet.Packet) string { return string(packet.AppendEtherType(nil, p.Inner.EtherType)) }},
	{"inner_proto", packet.FieldInnerProto, func(p *packet.Packet) string { return string(packet.AppendProto(nil, p.Inner.Proto)) }},
	{"inner_saddr", packet.FieldInnerSaddr, func(p *packet.Packet) string { return p.Inner.Saddr.String() }},
	{"inner_daddr", packet.FieldInnerDaddr, func(p *packet.Packet) string { return p.Inner.Daddr.String() }},
	{"inner_sport", packet.FieldInnerSport, func(p *packet.Packet) string { return fmt.Sprint(p.Inner.Sport) }},
	{"inner_dport", packet.FieldInnerDport, func(p *packet.Packet) string { return fmt.Sprint(p.Inner.Dport) }},
	{"inner_flags", packet.FieldInnerFlags, func(p *packet.Packet) string { return p.Inner.Flags.String() }},
	{"len", packet.FieldFrame, func(p *packet.Packet) string { return fmt.Sprint(p.FrameSize) }},
}

func arpOp(op uint16) string {
	if name := packet.ArpOpName(op); name != "" {
		return name
	}
	return fmt.Sprint(op)
}
