package packet

import (
	"encoding/binary"
	"net/netip"
)

// A TunnelType says how one packet carries another.
type TunnelType uint8

// The tunnels whose inner headers are decoded.
const (
	TunnelIPIP   TunnelType = iota + 1 // IPv4 in IPv4, RFC 2003
	TunnelSIT                          // IPv6 in IPv4, RFC 4213
	TunnelIPIP6                        // IPv4 in IPv6, RFC 2473
	TunnelIP6IP6                       // IPv6 in IPv6, RFC 2473
	TunnelGRE                          // RFC 2784, RFC 2890
	TunnelGRETAP                       // Ethernet in GRE
	TunnelVXLAN                        // RFC 7348
	TunnelGeneve                       // RFC 8926
)

var tunnelNames = [...]string{"", "ipip", "sit", "ipip6", "ip6ip6", "gre", "gretap", "vxlan", "geneve"}

// String is the name that ip-link(8) and ip-tunnel(8) have for it.
func (t TunnelType) String() string { return tunnelNames[t] }

// TunnelNames lists the names of all tunnels.
func TunnelNames() []string { return tunnelNames[1:] }

// UDP ports of tunnels: those of IANA, and that which Linux takes for VXLAN if
// it is told no other (drivers/net/vxlan).
const (
	portVXLAN      = 4789
	portVXLANLinux = 8472
	portGeneve     = 6081

	udpHeaderLen = 8
	etherBridged = 0x6558 // a whole Ethernet frame, in GRE and Geneve
)

// Inner is what is known of a packet in a tunnel. Members have a meaning only
// where their Field was seen.
type Inner struct {
	Dmac, Smac   MAC
	EtherType    uint16 // after all VLAN tags
	Proto        uint8
	Saddr, Daddr netip.Addr
	Sport, Dport uint16
	Flags        TCPFlags
}

// tunnel looks for a packet within the one with the header h. Of a packet in a
// tunnel in a tunnel the outermost two headers are decoded.
func (p *Packet) tunnel(c *cursor, h *ipHeader) {
	inner := *c
	inner.end = h.end
	switch h.proto {
	case protoIPIP:
		p.setTunnel(ifVersion(h, TunnelIPIP, TunnelIPIP6))
		p.innerIP(&inner, h.l4, etherIPv4)
	case protoIPv6:
		p.setTunnel(ifVersion(h, TunnelSIT, TunnelIP6IP6))
		p.innerIP(&inner, h.l4, etherIPv6)
	case protoGRE:
		p.gre(&inner, h.l4)
	case protoUDP:
		if !p.Has(FieldDport) {
			return
		}
		switch p.Dport {
		case portVXLAN, portVXLANLinux:
			p.vxlan(&inner, h.l4+udpHeaderLen)
		case portGeneve:
			p.geneve(&inner, h.l4+udpHeaderLen)
		}
	}
}

func ifVersion(h *ipHeader, v4, v6 TunnelType) TunnelType {
	if h.version == 6 {
		return v6
	}
	return v4
}

func (p *Packet) setTunnel(t TunnelType) {
	p.Tunnel = t
	p.set(FieldTunnel)
}

func (p *Packet) setTunnelID(id uint32) {
	p.TunnelID = id
	p.set(FieldTunnelID)
}

// gre decodes a header of version 0 at index i. With flags of other versions, or
// with source routes (RFC 1701), what follows is not known.
func (p *Packet) gre(c *cursor, i int) {
	const checksum, key, sequence = 0x8000, 0x2000, 0x1000
	s := c.from(i, c.end)
	if len(s) < 4 {
		return
	}
	flags, kind := binary.BigEndian.Uint16(s), binary.BigEndian.Uint16(s[2:])
	if flags&^(checksum|key|sequence) != 0 {
		return
	}
	p.setTunnel(TunnelGRE)
	if kind == etherBridged {
		p.Tunnel = TunnelGRETAP
	}
	n := 4
	if flags&checksum != 0 {
		n += 4
	}
	if flags&key != 0 {
		if len(s) >= n+4 {
			p.setTunnelID(binary.BigEndian.Uint32(s[n:]))
		}
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	p.inner(c, i+n, kind)
}

// vxlan decodes the header at index i. What else is sent to its port, among it
// its own extensions, is not decoded.
func (p *Packet) vxlan(c *cursor, i int) {
	const valid = 0x08000000 // the network identifier is; all other bits are reserved
	s := c.from(i, c.end)
	if len(s) < 8 || binary.BigEndian.Uint32(s) != valid || s[7] != 0 {
		return
	}
	p.setTunnel(TunnelVXLAN)
	p.setTunnelID(binary.BigEndian.Uint32(s[4:]) >> 8)
	p.inner(c, i+8, etherBridged)
}

// geneve decodes the header at index i, of version 0.
func (p *Packet) geneve(c *cursor, i int) {
	const version, options, reserved = 0xc0, 0x3f, 0x3f
	s := c.from(i, c.end)
	if len(s) < 8 || s[0]&version != 0 || s[1]&reserved != 0 || s[7] != 0 {
		return
	}
	p.setTunnel(TunnelGeneve)
	p.setTunnelID(binary.BigEndian.Uint32(s[4:]) >> 8)
	p.inner(c, i+8+4*int(s[0]&options), binary.BigEndian.Uint16(s[2:]))
}

// inner decodes what the tunnel says is a packet of this EtherType.
func (p *Packet) inner(c *cursor, i int, kind uint16) {
	switch kind {
	case etherBridged:
		p.innerEthernet(c, i)
	case etherIPv4, etherIPv6:
		p.innerIP(c, i, kind)
	}
}

func (p *Packet) innerEthernet(c *cursor, i int) {
	s := c.from(i, c.end)
	if len(s) >= 6 {
		p.Inner.Dmac = MAC(s)
		p.set(FieldInnerDmac)
	}
	if len(s) >= etherAddrs {
		p.Inner.Smac = MAC(s[6:])
		p.set(FieldInnerSmac)
	}
	for i += etherAddrs; ; i += vlanLen {
		s = c.from(i, c.end)
		if len(s) < 2 {
			return
		}
		if t := binary.BigEndian.Uint16(s); !isVLAN(t) {
			if t >= etherMin {
				p.Inner.EtherType = t
				p.set(FieldInnerEtherType)
			}
			p.inner(c, i+2, t)
			return
		}
	}
}

func (p *Packet) innerIP(c *cursor, i int, kind uint16) {
	var q ipHeader
	if !q.decode(c, i, kind, true) {
		return
	}
	if q.has(FieldSaddr) {
		p.Inner.Saddr = q.saddr
		p.set(FieldInnerSaddr)
	}
	if q.has(FieldDaddr) {
		p.Inner.Daddr = q.daddr
		p.set(FieldInnerDaddr)
	}
	if !q.has(FieldProto) {
		return
	}
	p.Inner.Proto = q.proto
	p.set(FieldInnerProto)
	s := q.portBytes(c)
	if len(s) >= 2 {
		p.Inner.Sport = binary.BigEndian.Uint16(s)
		p.set(FieldInnerSport)
	}
	if len(s) >= 4 {
		p.Inner.Dport = binary.BigEndian.Uint16(s[2:])
		p.set(FieldInnerDport)
	}
	if q.proto == protoTCP && len(s) >= 14 {
		p.Inner.Flags = TCPFlags(binary.BigEndian.Uint16(s[12:]) & 0x01ff)
		p.set(FieldInnerFlags)
	}
}

// portBytes is what there is of the transport header, if it begins with ports.
func (h *ipHeader) portBytes(c *cursor) []byte {
	if h.l4 < 0 || h.laterFragment() || !hasPorts(h.proto) {
		return nil
	}
	return c.from(h.l4, h.end)
}
