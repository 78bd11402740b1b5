package event

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/internal/packet"
)

// A packet's headers are at skb->head + skb->network_header, and fetch-args
// cannot add two fetched values. So what is fetched is the pointers, the
// offsets and a window of bytes around skb->data, and package packet computes
// the rest.
const (
	windowStart = -64
	windowSize  = 160
)

// The reads of an sk_buff, in the order that packetDecoder expects.
const (
	skbHead = iota
	skbData
	skbNetwork
	skbTransport
	skbMac
	skbLen
	skbDataLen
	skbProtocol
	skbWindow
)

func skbReads(size int) []Read {
	return []Read{
		skbHead:      {Expr: "$->head"},
		skbData:      {Expr: "$->data"},
		skbNetwork:   {Expr: "$->network_header"},
		skbTransport: {Expr: "$->transport_header", Optional: true},
		skbMac:       {Expr: "$->mac_header", Optional: true},
		skbLen:       {Expr: "$->len"},
		skbDataLen:   {Expr: "$->data_len"},
		skbProtocol:  {Expr: "$->protocol", Optional: true},
		skbWindow:    {Expr: "*((u8 *)$->data - 64)", Size: size},
	}
}

// A packetPart says how one column comes from a decoded packet.
type packetPart struct {
	Part
	field packet.Field
	get   func(p *packet.Packet, v *Value)
}

var textOf = func(f func(p *packet.Packet, dst []byte) []byte) func(p *packet.Packet, v *Value) {
	// The text lives in a buffer of this part, which the next packet
	// overwrites, as an event's texts do.
	var buf []byte
	return func(p *packet.Packet, v *Value) {
		buf = f(p, buf[:0])
		v.Text = buf
	}
}

func numberOf(f func(p *packet.Packet) uint64) func(p *packet.Packet, v *Value) {
	return func(p *packet.Packet, v *Value) { v.Num = f(p) }
}

func addrOf(f func(p *packet.Packet) netip.Addr) func(p *packet.Packet, v *Value) {
	return func(p *packet.Packet, v *Value) { v.Addr = f(p) }
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

func packetParts() []packetPart {
	number := &Kind{Name: "number", Class: Unsigned, Width: 5, Right: true}
	wide := &Kind{Name: "number", Class: Unsigned, Width: 10, Right: true}
	addr := &Kind{Name: "addr", Class: Address, Width: 15}
	mac := &Kind{Name: "mac", Class: Text, Width: 17, Normalize: normalizeMAC}
	proto := named("protocol", 8, 255, func(n int) string { return packet.ProtoName(uint8(n)) })
	operation := named("operation", 8, 65535, func(n int) string { return packet.ArpOpName(uint16(n)) })
	part := func(name, help string, kind *Kind, field packet.Field, get func(p *packet.Packet, v *Value)) packetPart {
		return packetPart{Part{Name: name, Help: help, Kind: kind}, field, get}
	}
	less := func(p packetPart) packetPart { p.Wide = true; return p }
	return []packetPart{
		part("smac", "source MAC", mac, packet.FieldSmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Smac) })),
		part("dmac", "destination MAC", mac, packet.FieldDmac, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendMAC(b, p.Dmac) })),
		part("ethertype", "EtherType after VLAN tags", EtherType, packet.FieldEtherType, numberOf(func(p *packet.Packet) uint64 { return uint64(p.EtherType) })),
		less(part("vlan", "VLAN id, where the tag is in the bytes", number, packet.FieldVLAN, numberOf(func(p *packet.Packet) uint64 { return uint64(p.VLANs[0].ID()) }))),
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
		less(part("ttl", "TTL or hop limit", number, packet.FieldTTL, numberOf(func(p *packet.Packet) uint64 { return uint64(p.TTL) }))),
		less(part("frag_offset", "fragment offset in bytes", number, packet.FieldFragment, numberOf(func(p *packet.Packet) uint64 { return uint64(p.FragOffset) }))),
		less(part("flags", "TCP flags", &Kind{Name: "text", Class: Text, Width: 10}, packet.FieldFlags, textOf(func(p *packet.Packet, b []byte) []byte { return packet.AppendTCPFlags(b, p.Flags) }))),
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
	}
}

// Packet is a struct sk_buff with the headers of the packet in it. Each call
// returns a kind with buffers of its own.
func Packet() *Kind { return packetIn(windowSize) }

// Received is a Packet whose headers lie before skb->data, as in a datagram that
// a process receives: a smaller window has them.
func Received() *Kind { return packetIn(-windowStart + 16) }

func packetIn(size int) *Kind {
	parts := packetParts()
	k := &Kind{Name: "packet", Help: "struct sk_buff *: smac, dmac, ethertype, proto, saddr, sport, daddr, dport, len and more",
		Class: Text, Reads: skbReads(size), Whole: true}
	for _, p := range parts {
		k.Parts = append(k.Parts, p.Part)
	}
	k.Parts = append(k.Parts, Part{Name: "len", Help: "bytes from skb->data to the end of the packet", Kind: Size, Expr: "$->len"})
	var w packet.Window
	var pkt packet.Packet
	k.Decode.call = func(in [][]byte, out []*Value) {
		if in[skbHead] == nil {
			absent(out)
			return
		}
		w = packet.Window{
			Head: number(in[skbHead]), Data: number(in[skbData]),
			Network: headerOffset(in[skbNetwork]), Transport: headerOffset(in[skbTransport]), Mac: headerOffset(in[skbMac]),
			Len: uint32(number(in[skbLen])), DataLen: uint32(number(in[skbDataLen])),
			Start: windowStart, Bytes: in[skbWindow],
		}
		if in[skbProtocol] != nil {
			w.Protocol = binary.BigEndian.Uint16(in[skbProtocol])
		}
		pkt.Decode(&w)
		for i := range parts {
			v := out[i]
			if v == nil {
				continue
			}
			if v.Set = pkt.Has(parts[i].field); v.Set {
				parts[i].get(&pkt, v)
			}
		}
		out[len(parts)].setNum(uint64(w.Len))
	}
	return k
}

// headerOffset reads a header's offset from head: sk_buff_data_t has 32 bits on
// 3.10 and 16 since 3.11.
func headerOffset(b []byte) uint32 {
	if b == nil || len(b) == 2 && b[0] == 0xff && b[1] == 0xff {
		return packet.NotSet
	}
	return uint32(number(b))
}
