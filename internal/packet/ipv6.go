package packet

import (
	"encoding/binary"
	"net/netip"
)

const ip6HeaderLen = 40

// ipv6 decodes a header of RFC 8200 at index i, and the extension headers.
func (h *ipHeader) ipv6(c *cursor, s []byte, i int, lengthSet bool) {
	if len(s) >= 2 {
		h.tos = s[0]<<4 | s[1]>>4
		h.set(FieldTOS)
	}
	if len(s) >= 6 {
		h.ipv6Length(int(binary.BigEndian.Uint16(s[4:]))+ip6HeaderLen, i, lengthSet)
	}
	if len(s) >= 8 {
		h.ttl = s[7]
		h.set(FieldTTL)
	}
	if len(s) >= 24 {
		h.saddr = netip.AddrFrom16([16]byte(s[8:24]))
		h.set(FieldSaddr)
	}
	if len(s) >= ip6HeaderLen {
		h.daddr = netip.AddrFrom16([16]byte(s[24:40]))
		h.set(FieldDaddr)
	}
	if len(s) >= 7 {
		h.extensions(c, s[6], i+ip6HeaderLen)
	}
}

// ipv6Length sets the end of the packet. A payload length of 0 is also that of
// a jumbogram (RFC 2675), of BIG TCP, and of a packet that the kernel has not
// finished.
func (h *ipHeader) ipv6Length(total, i int, lengthSet bool) {
	rest := h.end - i
	if total != rest && (!lengthSet || total == ip6HeaderLen) {
		return
	}
	h.totalLen = uint32(total)
	h.set(FieldTotalLen)
	if total < rest {
		h.end = i + total
	}
}

// extensions follows the chain of extension headers from index at on to the
// transport header; next is the type of the first. If the chain is cut, the
// protocol is absent. Authentication headers are the end of the chain, as they
// are a protocol in IPv4.
func (h *ipHeader) extensions(c *cursor, next uint8, at int) {
	for {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			s := c.from(at, h.end)
			if len(s) < 2 {
				return
			}
			next = s[0]
			at += 8 * (int(s[1]) + 1)
		case protoFragment:
			s := c.from(at, h.end)
			// A fragment of a fragment is nothing that a sender may make; the
			// outer one is what we can be sure of.
			if len(s) < 8 || h.has(FieldFragment) {
				return
			}
			next = s[0]
			at += 8
			v := binary.BigEndian.Uint16(s[2:])
			h.fragOffset = v &^ 7
			h.more = v&1 != 0
			h.id = binary.BigEndian.Uint32(s[4:])
			h.set(FieldFragment)
			h.set(FieldIPID)
			if h.fragOffset != 0 {
				// What next names begins in the first fragment; where that is
				// an extension header, the protocol cannot be known from here.
				h.l4 = at
				if !isExtension(next) {
					h.proto = next
					h.set(FieldProto)
				}
				return
			}
		default:
			h.proto = next
			h.set(FieldProto)
			h.l4 = at
			return
		}
	}
}

func isExtension(next uint8) bool {
	switch next {
	case protoHopByHop, protoRouting, protoFragment, protoDestOpts:
		return true
	}
	return false
}
