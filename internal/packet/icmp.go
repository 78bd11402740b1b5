package packet

import (
	"encoding/binary"
	"net/netip"
)

const icmpHeaderLen = 8

// icmp4 decodes RFC 792; it returns the length of the header.
func (p *Packet) icmp4(c *cursor, h *ipHeader, s []byte) int {
	if !p.icmpType(s) {
		return icmpHeaderLen
	}
	switch p.IcmpType {
	case 0, 8, 13, 14, 15, 16, 17, 18: // echo, timestamp, information, mask
		p.icmpQuery(s)
	case 3: // destination unreachable
		if len(s) >= 8 && p.IcmpCode == 4 {
			p.IcmpMTU = uint32(binary.BigEndian.Uint16(s[6:]))
			p.set(FieldIcmpMTU)
		}
		p.quoted(c, h, etherIPv4)
	case 4, 5, 11, 12: // source quench, redirect, time exceeded, parameter
		p.quoted(c, h, etherIPv4)
	}
	return icmpHeaderLen
}

// icmp6 decodes RFC 4443 and the neighbour discovery of RFC 4861; it returns
// the length of the header.
func (p *Packet) icmp6(c *cursor, h *ipHeader, s []byte) int {
	if !p.icmpType(s) {
		return icmpHeaderLen
	}
	switch p.IcmpType {
	case 1, 3, 4: // destination unreachable, time exceeded, parameter
		p.quoted(c, h, etherIPv6)
	case 2: // packet too big
		if len(s) >= 8 {
			p.IcmpMTU = binary.BigEndian.Uint32(s[4:])
			p.set(FieldIcmpMTU)
		}
		p.quoted(c, h, etherIPv6)
	case 128, 129: // echo
		p.icmpQuery(s)
	case 135, 136: // neighbour solicitation, advertisement
		if len(s) >= 24 {
			p.NDTarget = netip.AddrFrom16([16]byte(s[8:24]))
			p.set(FieldNDTarget)
		}
	}
	return icmpHeaderLen
}

// icmpType decodes what all messages begin with; it is false if the type, on
// which the rest depends, is not there.
func (p *Packet) icmpType(s []byte) bool {
	if len(s) >= 2 {
		p.IcmpCode = s[1]
		p.set(FieldIcmpCode)
	}
	if len(s) >= 1 {
		p.IcmpType = s[0]
		p.set(FieldIcmpType)
	}
	return len(s) >= 1
}

func (p *Packet) icmpQuery(s []byte) {
	if len(s) >= 6 {
		p.IcmpID = binary.BigEndian.Uint16(s[4:])
		p.set(FieldIcmpID)
	}
	if len(s) >= 8 {
		p.IcmpSeq = binary.BigEndian.Uint16(s[6:])
		p.set(FieldIcmpSeq)
	}
}

// quoted decodes the packet that the error message in the packet h quotes. It
// is as a rule cut, and its length field says more than is there.
func (p *Packet) quoted(c *cursor, h *ipHeader, kind uint16) {
	inner := *c
	inner.end = h.end
	var q ipHeader
	if !q.decode(&inner, h.l4+icmpHeaderLen, kind, true) {
		return
	}
	if q.has(FieldSaddr) {
		p.QuotedSaddr = q.saddr
		p.set(FieldQuotedSaddr)
	}
	if q.has(FieldDaddr) {
		p.QuotedDaddr = q.daddr
		p.set(FieldQuotedDaddr)
	}
	if !q.has(FieldProto) {
		return
	}
	p.QuotedProto = q.proto
	p.set(FieldQuotedProto)
	s := q.portBytes(&inner)
	if len(s) >= 2 {
		p.QuotedSport = binary.BigEndian.Uint16(s)
		p.set(FieldQuotedSport)
	}
	if len(s) >= 4 {
		p.QuotedDport = binary.BigEndian.Uint16(s[2:])
		p.set(FieldQuotedDport)
	}
}
