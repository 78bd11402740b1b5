package packet

import "encoding/binary"

// EtherTypes, include/uapi/linux/if_ether.h.
const (
	etherIPv4  = 0x0800
	etherARP   = 0x0806
	etherVLAN  = 0x8100
	etherIPv6  = 0x86dd
	etherQinQ  = 0x88a8
	etherMin   = 0x0600 // below: not a type but the length of an 802.3 frame
	ether8023  = 0x0001 // skb->protocol of "raw" 802.3 frames
	etherAll   = 0x0003 // skb->protocol of some frames sent by a packet socket
	ether8022  = 0x0004 // skb->protocol of 802.3 frames with an LLC header
	etherAddrs = 12     // bytes of the two addresses
	vlanLen    = 4      // bytes of a tag
)

func isVLAN(t uint16) bool { return t == etherVLAN || t == etherQinQ }

// protocolKnown tells whether skb->protocol says anything about the packet.
func protocolKnown(protocol uint16) bool { return protocol != 0 && protocol != etherAll }

// isEtherType tells whether skb->protocol is a type of what the packet carries:
// not a VLAN tag, which is on the way to it, nor the length of an 802.3 frame,
// which some packet sockets have left there.
func isEtherType(protocol uint16) bool {
	switch {
	case isVLAN(protocol):
		return false
	case protocol >= etherMin:
		return true
	}
	// The kernel's own, include/uapi/linux/if_ether.h.
	return protocol <= 0x1f || protocol >= 0xf5 && protocol <= 0xff
}

// link finds and decodes the link layer. It returns the index of what follows
// it (-1 if that cannot be told because the tags are cut), and whether a link
// layer was found.
//
// Two places are possible. mac_header, which is what the receive path sets; and
// skb->data on the way into dev_queue_xmit, where the header was just pushed but
// mac_header is still unset, or still that of the frame in which a forwarded
// packet came. Of the two the lower one is looked at first: where a header was
// pushed below mac_header, the old one is overwritten.
func (p *Packet) link(w *Window, c *cursor) (l3 int, ok bool) {
	pushed := c.netSet && protocolKnown(w.Protocol) && c.net >= c.data+etherAddrs+2 &&
		(!c.macSet || c.data != c.mac)
	if pushed && (!c.macSet || c.data < c.mac) {
		if l3, ok = p.ethernet(c, c.data, w.Protocol); ok {
			return l3, true
		}
		pushed = false
	}
	if c.macSet {
		if l3, ok = p.ethernet(c, c.mac, w.Protocol); ok {
			return l3, true
		}
	}
	if pushed {
		return p.ethernet(c, c.data, w.Protocol)
	}
	return -1, false
}

// ethernet decodes the Ethernet header at index at, if the bytes there are one.
//
// A set mac_header alone is not proof: it equals network_header on devices
// without a link layer, and points at an outer IP header after some tunnels. So
// the chain of types (through the VLAN tags) must lead to network_header, or to
// data where that is not set yet, and must contain skb->protocol, not behind
// network_header. eth_type_trans (net/ethernet/eth.c) makes protocol from the
// type in the frame, so on receive the two agree; protocol is the tag's type
// before skb_vlan_untag and after vlan_insert_tag_set_proto.
func (p *Packet) ethernet(c *cursor, at int, protocol uint16) (l3 int, ok bool) {
	known := protocolKnown(protocol)
	goal, there := c.net, false
	if !c.netSet {
		if !known {
			return -1, false
		}
		goal, there = c.data, at == c.data
	}
	s := c.from(at+etherAddrs, c.end)
	if len(s) < 2 {
		return -1, false
	}
	t := binary.BigEndian.Uint16(s)
	next := at + etherAddrs + 2
	agreed := !known || typeAgrees(t, protocol)
	there = there || next == goal && agreed
	tags, n, cut := p.VLANs, p.NVLAN, false
	for s = s[2:]; isVLAN(t) && int(n) < len(tags); s = s[vlanLen:] {
		if len(s) < 4 {
			cut = true
			break
		}
		tags[n] = VLAN{TPID: t, TCI: binary.BigEndian.Uint16(s)}
		n++
		t = binary.BigEndian.Uint16(s[2:])
		next += vlanLen
		agreed = agreed || typeAgrees(t, protocol)
		there = there || next == goal && agreed
	}
	if !agreed || !there {
		return -1, false
	}
	if !known {
		// Nothing but the distance speaks for a link layer: ask what follows.
		if cut || t < etherMin || !versionAgrees(c.from(next, c.end), t) {
			return -1, false
		}
	}
	// The addresses may lie before the window.
	if b := c.from(at, c.end); len(b) >= 6 {
		p.Dmac = MAC(b)
		p.set(FieldDmac)
	}
	if b := c.from(at+6, c.end); len(b) >= 6 {
		p.Smac = MAC(b)
		p.set(FieldSmac)
	}
	p.frame(c, at, true)
	if n > 0 {
		p.VLANs, p.NVLAN = tags, n
		p.set(FieldVLAN)
	}
	if cut {
		return -1, true
	}
	if t >= etherMin {
		p.EtherType = t
		p.set(FieldEtherType)
	}
	return next, true
}

// typeAgrees tells whether the kernel makes the protocol from the type field.
func typeAgrees(t, protocol uint16) bool {
	return t == protocol || t < etherMin && (protocol == ether8022 || protocol == ether8023)
}

// versionAgrees tells whether the bytes after the link layer can be what the
// type says.
func versionAgrees(s []byte, t uint16) bool {
	switch t {
	case etherIPv4:
		return len(s) > 0 && s[0]>>4 == 4
	case etherIPv6:
		return len(s) > 0 && s[0]>>4 == 6
	}
	return true
}
