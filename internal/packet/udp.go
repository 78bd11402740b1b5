package packet

import "encoding/binary"

// ports decodes UDP (RFC 768), UDP-Lite (RFC 3828), SCTP (RFC 9260) and DCCP
// (RFC 4340), of which little more than the ports is wanted. It returns the
// length of the header, or -1, and the length of header and data if the header
// says it, or 0. The length field of UDP-Lite is not one: it says how far the
// checksum reaches.
func (p *Packet) ports(proto uint8, s []byte) (hlen, size int) {
	p.portPair(s)
	switch proto {
	case protoUDP:
		if len(s) >= 6 {
			p.UDPLen = binary.BigEndian.Uint16(s[4:])
			p.set(FieldUDPLen)
			// 0 is a UDP jumbogram, RFC 2675, or a GSO packet.
			return 8, int(p.UDPLen)
		}
		// Where the payload ends is not known without the length.
		return -1, 0
	case protoUDPLite:
		return 8, 0
	case protoSCTP:
		return 12, 0
	case protoDCCP:
		if len(s) >= 5 && s[4] >= 3 {
			return int(s[4]) * 4, 0
		}
	}
	return -1, 0
}

// portPair decodes the two ports with which all these headers begin.
func (p *Packet) portPair(s []byte) {
	if len(s) >= 2 {
		p.Sport = binary.BigEndian.Uint16(s)
		p.set(FieldSport)
	}
	if len(s) >= 4 {
		p.Dport = binary.BigEndian.Uint16(s[2:])
		p.set(FieldDport)
	}
}

// hasPorts tells whether the protocol's header begins with two ports.
func hasPorts(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoUDPLite, protoSCTP, protoDCCP:
		return true
	}
	return false
}
