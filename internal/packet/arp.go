package packet

import (
	"encoding/binary"
	"net/netip"
)

// arp decodes an ARP packet for IPv4 over addresses of 6 bytes (RFC 826,
// include/uapi/linux/if_arp.h). Of other kinds only the operation is known.
func (p *Packet) arp(s []byte) {
	if len(s) < 8 {
		return
	}
	p.ArpOp = binary.BigEndian.Uint16(s[6:])
	p.set(FieldArpOp)
	if binary.BigEndian.Uint16(s[2:]) != etherIPv4 || s[4] != 6 || s[5] != 4 {
		return
	}
	if len(s) >= 14 {
		p.ArpSha = MAC(s[8:])
		p.set(FieldArpSha)
	}
	if len(s) >= 18 {
		p.ArpSip = netip.AddrFrom4([4]byte(s[14:]))
		p.set(FieldArpSip)
	}
	if len(s) >= 24 {
		p.ArpTha = MAC(s[18:])
		p.set(FieldArpTha)
	}
	if len(s) >= 28 {
		p.ArpTip = netip.AddrFrom4([4]byte(s[24:]))
		p.set(FieldArpTip)
	}
}
