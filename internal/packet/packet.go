// Package packet decodes the headers of a packet from the bytes that a probe
// recorded around skb->data.
//
// A probe cannot add two fetched values, so it cannot fetch "the 20 bytes at
// skb->head + skb->network_header". It records head, data, the header offsets
// and a window of raw bytes instead, and this package computes the positions.
//
// The rule under everything: a field is either true or absent. A field whose
// bytes were not recorded, lie outside the packet, or whose place is not
// certain, is absent; [Packet.Has] tells. Shortening the window can make fields
// absent, it never changes one.
//
// The headers are read by hand: gopacket's layers refuse a header that is cut
// (IPv4 below 20 bytes, TCP below 20 or with cut options, UDP below 8), which in
// a window is the everyday case, and allocate for IPv6 extension headers. Two
// decoders, one for whole and one for cut headers, would have to agree about
// every field; gopacket is the reference in the tests instead.
//
// The package is pure: it has no build tag and touches nothing.
package packet

import "net/netip"

// MAC is an Ethernet address in the order of its bytes on the wire.
type MAC = [6]byte

// VLAN is one 802.1Q or 802.1ad tag: in the bytes of the frame, or, as is usual
// for the outermost, beside them in [Window.Tag].
type VLAN struct {
	TPID uint16 // 0x8100 or 0x88a8
	TCI  uint16 // priority (3 bits), DEI (1 bit), VLAN id (12 bits)
}

// ID is the VLAN identifier, 0–4095; 0 is a priority tag.
func (v VLAN) ID() uint16 { return v.TCI & 0x0fff }

// Packet is the decoded view of one packet. A member has a meaning only where
// Has says so for its Field; it is zero otherwise. All numbers are in host
// order. A Packet holds no reference to the window it was decoded from.
type Packet struct {
	seen Fields

	// Link layer.
	Dmac, Smac MAC
	// EtherType is the type after all VLAN tags in the bytes, or
	// skb->protocol where no link layer was seen. Values below 0x0600 are
	// the kernel's own (include/uapi/linux/if_ether.h), such as 0x0004 for
	// an 802.3 frame with an LLC header.
	EtherType uint16
	VLANs     [3]VLAN // outermost first; the first NVLAN were seen
	NVLAN     uint8

	// ARP for IPv4 over Ethernet, RFC 826; names as in struct arphdr.
	ArpOp        uint16 // 1 request, 2 reply
	ArpSha       MAC    // sender hardware address
	ArpTha       MAC    // target hardware address
	ArpSip       netip.Addr
	ArpTip       netip.Addr
	IPVersion    uint8 // 4 or 6
	TOS          uint8 // TOS or traffic class; DSCP is the upper 6 bits
	TTL          uint8 // or hop limit
	Proto        uint8 // final protocol, after IPv6 extension headers
	MoreFrags    bool  // with FieldFragment
	DontFrag     bool  // with FieldFragment, IPv4 only
	FragOffset   uint16
	IPID         uint32 // 16 bits for IPv4; of the Fragment header for IPv6
	TotalLen     uint32 // bytes with the IP header, for IPv6 too
	Saddr, Daddr netip.Addr

	// Transport layer.
	Sport, Dport uint16 // TCP, UDP, UDP-Lite, SCTP, DCCP
	Seq, Ack     uint32 // TCP, as in the header; Ack has a meaning with the ACK flag
	DataOff      uint8  // TCP header length in bytes
	Flags        TCPFlags
	Win          uint16 // TCP, unscaled
	MSS          uint16 // option of a TCP SYN, bytes
	UDPLen       uint16 // UDP header and payload, bytes

	// ICMP and ICMPv6: Proto tells which.
	IcmpType, IcmpCode uint8
	IcmpID, IcmpSeq    uint16     // echo and the other query messages
	IcmpMTU            uint32     // "fragmentation needed", "packet too big"; bytes
	NDTarget           netip.Addr // neighbour solicitation and advertisement
	// The packet that an ICMP error message quotes.
	QuotedProto              uint8
	QuotedSaddr, QuotedDaddr netip.Addr
	QuotedSport, QuotedDport uint16

	// The packet in a tunnel, as far as its headers are in the window.
	Tunnel   TunnelType
	TunnelID uint32 // VXLAN and Geneve network identifier, GRE key
	Inner    Inner

	PayloadOff, PayloadLen int    // index in Window.Bytes, and bytes that lie there
	PayloadSize            uint32 // bytes in the packet, in the window or not

	// The frame, from the link layer on if FrameLink, otherwise from the IP
	// header on.
	FrameLink          bool
	FrameOff, FrameLen int    // index in Window.Bytes, and bytes that lie there
	FrameSize          uint32 // bytes on the wire, with the tag that lies beside
}

// Has tells whether the field was seen.
func (p *Packet) Has(f Field) bool { return p.seen&(1<<f) != 0 }

// Seen is the set of fields that were seen.
func (p *Packet) Seen() Fields { return p.seen }

func (p *Packet) set(f Field) { p.seen |= 1 << f }

// Payload is the part of the payload that lies in the window, which must be
// the one the packet was decoded from. It is nil where Has(FieldPayload) is
// false. The payload is what follows the last decoded header: of TCP, UDP,
// UDP-Lite, SCTP, DCCP and ICMP the data, of another IP protocol or a later
// fragment what follows the IP header, of another EtherType what follows the
// link layer.
func (p *Packet) Payload(w *Window) []byte {
	if !p.Has(FieldPayload) {
		return nil
	}
	return w.Bytes[p.PayloadOff : p.PayloadOff+p.PayloadLen]
}

// Decode replaces p by what the window shows. It does not allocate, never
// fails, and keeps no reference to w.
func (p *Packet) Decode(w *Window) {
	*p = Packet{}
	known := protocolKnown(w.Protocol)
	if known && isEtherType(w.Protocol) {
		p.EtherType = w.Protocol
		p.set(FieldEtherType)
	}
	if w.Tagged {
		p.VLANs[0], p.NVLAN = w.Tag, 1
		p.set(FieldVLAN)
	}
	c, ok := w.cursor()
	if !ok {
		return
	}
	l3, linkSeen := p.link(w, &c)
	if !linkSeen {
		if !c.netSet || isVLAN(w.Protocol) {
			// Before untagging, network_header is at the tag; after a tag was
			// pushed, it is behind it. Without the link layer nobody knows.
			return
		}
		if l3 = c.net; l3 >= c.linear {
			return
		}
	}
	if l3 < 0 {
		return
	}
	kind := w.Protocol
	if kind != etherIPv4 && kind != etherIPv6 && kind != etherARP {
		switch {
		case linkSeen:
			kind = p.EtherType
		case kind == 0:
			if kind = guessIP(&c, l3); kind == 0 {
				return
			}
		}
	}
	switch kind {
	case etherIPv4, etherIPv6:
		// The kernel sets protocol and the IPv4 total length of its own packets
		// in the same place (net/ipv4/ip_output.c, __ip_local_out): as long as
		// protocol is 0, the length in the header may be left-over memory. Not so
		// in a whole frame, which a packet socket sends.
		var h ipHeader
		if h.decode(&c, l3, kind, w.Protocol != 0 || linkSeen) {
			p.frame(&c, l3, false)
			p.network(&c, &h)
		}
	case etherARP:
		p.arp(c.from(l3, c.end))
	default:
		if linkSeen || known {
			p.payload(&c, l3, c.end)
		}
	}
}

// transport decodes what follows the IP header.
func (p *Packet) transport(c *cursor, h *ipHeader) {
	s := c.from(h.l4, h.end)
	hlen := 0 // length of the transport header; -1: not known
	switch h.proto {
	case protoTCP:
		hlen = p.tcp(s)
	case protoUDP, protoUDPLite, protoSCTP, protoDCCP:
		var size int
		hlen, size = p.ports(h.proto, s)
		if hlen >= 0 && size >= hlen && size < h.end-h.l4 {
			p.payload(c, h.l4+hlen, h.l4+size)
			hlen = -1
		}
	case protoICMP:
		if h.version == 4 {
			hlen = p.icmp4(c, h, s)
		}
	case protoICMP6:
		if h.version == 6 {
			hlen = p.icmp6(c, h, s)
		}
	case protoNoNext:
		hlen = -1
	}
	if hlen >= 0 {
		p.payload(c, h.l4+hlen, h.end)
	}
	p.tunnel(c, h)
}

// payload notes that the payload lies from index at up to index end.
func (p *Packet) payload(c *cursor, at, end int) {
	if at > end {
		return
	}
	p.PayloadSize = uint32(end - at)
	p.set(FieldPayloadSize)
	if at < c.lo || at > c.hi {
		return
	}
	p.PayloadOff, p.PayloadLen = at, min(end, c.hi)-at
	p.set(FieldPayload)
}
