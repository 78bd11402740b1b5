package packet

import "encoding/binary"

// tcp decodes a header of RFC 9293, and returns its length in bytes, or -1.
func (p *Packet) tcp(s []byte) int {
	p.portPair(s)
	if len(s) >= 8 {
		p.Seq = binary.BigEndian.Uint32(s[4:])
		p.set(FieldSeq)
	}
	if len(s) >= 12 {
		p.Ack = binary.BigEndian.Uint32(s[8:])
		p.set(FieldAck)
	}
	if len(s) < 14 {
		return -1
	}
	p.DataOff = s[12] >> 4 * 4
	p.Flags = TCPFlags(binary.BigEndian.Uint16(s[12:]) & 0x01ff)
	p.set(FieldDataOff)
	p.set(FieldFlags)
	if len(s) >= 16 {
		p.Win = binary.BigEndian.Uint16(s[14:])
		p.set(FieldWin)
	}
	hlen := int(p.DataOff)
	if hlen < 20 {
		return -1
	}
	if p.Flags&SYN != 0 && len(s) > 20 {
		p.tcpOptions(s[20:min(hlen, len(s))])
	}
	return hlen
}

// tcpOptions looks for the MSS option. Options that are cut or broken end the
// search.
func (p *Packet) tcpOptions(s []byte) {
	for len(s) > 0 {
		switch kind := s[0]; kind {
		case 0: // end of the list
			return
		case 1: // padding
			s = s[1:]
		default:
			if len(s) < 2 || s[1] < 2 || int(s[1]) > len(s) {
				return
			}
			if kind == 2 && s[1] == 4 {
				p.MSS = binary.BigEndian.Uint16(s[2:])
				p.set(FieldMSS)
				return
			}
			s = s[s[1]:]
		}
	}
}
