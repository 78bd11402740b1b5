package packet

import (
	"encoding/binary"
	"net/netip"
)

// ipHeader is one IPv4 or IPv6 header with its extension headers: that of the
// packet, and that of the packet which an ICMP error quotes.
type ipHeader struct {
	seen         Fields // of the fields that Packet has under the same name
	saddr, daddr netip.Addr
	id           uint32
	totalLen     uint32
	fragOffset   uint16
	version      uint8
	tos, ttl     uint8
	proto        uint8
	more, df     bool

	// l4 is the index of the transport header, or of the data of a later
	// fragment; -1 where it is not known. end is the index where the IP packet
	// ends: before the padding of a short frame.
	l4, end int
}

func (h *ipHeader) set(f Field)      { h.seen |= 1 << f }
func (h *ipHeader) has(f Field) bool { return h.seen&(1<<f) != 0 }

// laterFragment tells whether the packet is a fragment without the transport
// header.
func (h *ipHeader) laterFragment() bool { return h.has(FieldFragment) && h.fragOffset != 0 }

// decode reads the header at index i; kind is its EtherType. It is false, and h
// is not to be used, where the version in the header is another one or the
// header length is impossible: then the place is more likely wrong than the
// packet. lengthSet is false where the kernel may not have written the length field yet.
func (h *ipHeader) decode(c *cursor, i int, kind uint16, lengthSet bool) bool {
	s := c.from(i, c.end)
	if len(s) == 0 {
		return false
	}
	h.l4, h.end = -1, c.end
	h.version = s[0] >> 4
	switch {
	case kind == etherIPv4 && h.version == 4 && s[0]&15 >= 5:
		h.ipv4(s, i, lengthSet)
	case kind == etherIPv6 && h.version == 6:
		h.ipv6(c, s, i, lengthSet)
	default:
		return false
	}
	h.set(FieldIPVersion)
	return true
}

// ipv4 decodes a header of RFC 791 at index i.
func (h *ipHeader) ipv4(s []byte, i int, lengthSet bool) {
	ihl := int(s[0]&15) * 4
	if len(s) < 4 {
		if len(s) >= 2 {
			h.tos = s[1]
			h.set(FieldTOS)
		}
		return
	}
	h.tos = s[1]
	h.set(FieldTOS)
	good := true
	// The length is 0 where a packet of more than 64 KiB is on its way through
	// the kernel (BIG TCP, Linux 6.3).
	rest := h.end - i
	total := int(binary.BigEndian.Uint16(s[2:]))
	if total != 0 && (lengthSet || total == rest) {
		h.totalLen = uint32(total)
		h.set(FieldTotalLen)
		good = total >= ihl
		if total >= ihl && total < rest {
			h.end = i + total
		}
	}
	if len(s) < 20 {
		h.ipv4Cut(s)
		return
	}
	h.id = uint32(binary.BigEndian.Uint16(s[4:]))
	h.ipv4Fragment(binary.BigEndian.Uint16(s[6:]))
	h.ttl = s[8]
	h.proto = s[9]
	h.saddr = netip.AddrFrom4([4]byte(s[12:16]))
	h.daddr = netip.AddrFrom4([4]byte(s[16:20]))
	h.seen |= 1<<FieldIPID | 1<<FieldFragment | 1<<FieldTTL | 1<<FieldProto | 1<<FieldSaddr | 1<<FieldDaddr
	if good {
		h.l4 = i + ihl
	}
}

// ipv4Cut decodes what there is of the fixed header's rest, when it is not all
// there.
func (h *ipHeader) ipv4Cut(s []byte) {
	if len(s) >= 6 {
		h.id = uint32(binary.BigEndian.Uint16(s[4:]))
		h.set(FieldIPID)
	}
	if len(s) >= 8 {
		h.ipv4Fragment(binary.BigEndian.Uint16(s[6:]))
		h.set(FieldFragment)
	}
	if len(s) >= 9 {
		h.ttl = s[8]
		h.set(FieldTTL)
	}
	if len(s) >= 10 {
		h.proto = s[9]
		h.set(FieldProto)
	}
	if len(s) >= 16 {
		h.saddr = netip.AddrFrom4([4]byte(s[12:16]))
		h.set(FieldSaddr)
	}
}

// ipv4Fragment takes the flags and the offset, which counts 8 bytes, apart.
func (h *ipHeader) ipv4Fragment(v uint16) {
	h.fragOffset = v << 3
	h.more = v&0x2000 != 0
	h.df = v&0x4000 != 0
}

// network takes over the header into the packet and goes on to the transport
// header, if it is in this packet.
func (p *Packet) network(c *cursor, h *ipHeader) {
	p.seen |= h.seen
	p.IPVersion = h.version
	p.TOS, p.TTL, p.Proto = h.tos, h.ttl, h.proto
	p.MoreFrags, p.DontFrag, p.FragOffset = h.more, h.df, h.fragOffset
	p.IPID, p.TotalLen = h.id, h.totalLen
	p.Saddr, p.Daddr = h.saddr, h.daddr
	switch {
	case h.l4 < 0:
	case h.laterFragment():
		p.payload(c, h.l4, h.end)
	case h.has(FieldProto):
		p.transport(c, h)
	}
}

// guessIP is for packets whose skb->protocol is not set, as on the local output
// path before ip_output: etherIPv4 or etherIPv6 if the bytes at index i are
// surely such a header, else 0. Beside the version, the length in the header
// must be that of the packet, or, as the length is written late,
// transport_header must be where the header ends.
func guessIP(c *cursor, i int) uint16 {
	s := c.from(i, c.end)
	if len(s) < 20 { // more than any VLAN tags that link may have missed
		return 0
	}
	rest := c.end - i
	switch s[0] >> 4 {
	case 4:
		ihl := int(s[0]&15) * 4
		if ihl < 20 || ihl > rest {
			return 0
		}
		if int(binary.BigEndian.Uint16(s[2:])) == rest || c.transSet && c.trans == i+ihl {
			return etherIPv4
		}
	case 6:
		if rest < ip6HeaderLen {
			return 0
		}
		if int(binary.BigEndian.Uint16(s[4:])) == rest-ip6HeaderLen || c.transSet && c.trans == i+ip6HeaderLen {
			return etherIPv6
		}
	}
	return 0
}
