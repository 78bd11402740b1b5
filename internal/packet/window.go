package packet

// NotSet is the value of a header offset that the kernel has not set. The
// 16-bit 0xffff, which is what the kernel's ~0 is in a __u16, means the same.
const NotSet = ^uint32(0)

// Window is what a probe recorded of one sk_buff: a few members, and the bytes
// around skb->data. See include/linux/skbuff.h for the members.
type Window struct {
	// Head and Data are skb->head and skb->data, kernel addresses.
	Head, Data uint64
	// Network, Transport and Mac are skb->network_header and so on: offsets
	// from Head in bytes, or NotSet. (A fresh sk_buff has a network_header of
	// 0, and ~0 in the two others: 0 counts as not set for Network.)
	Network, Transport, Mac uint32
	// Len is skb->len: the bytes from Data to the end of the packet. DataLen is
	// skb->data_len: how many of these are in fragments, not after Data.
	Len, DataLen uint32
	// Tag is the VLAN tag that the kernel keeps beside the frame, in
	// skb->vlan_proto and vlan_tci; there is one if Tagged.
	Tag    VLAN
	Tagged bool
	// Protocol is skb->protocol in host order, 0 where it is not set.
	Protocol uint16
	// Start is the address of Bytes[0] relative to Data, in bytes: -64 for a
	// window that was copied from data-64.
	Start int64
	// Bytes may reach below Head and beyond the packet: Decode cuts that off.
	Bytes []byte
}

// limit is above every true distance in one sk_buff, and sums of a few stay within
// 32 bits. Where something is further away, the record is not what it seems.
const limit = 1 << 28

// cursor reads a window. Every position is an index in Window.Bytes, and may be
// negative or beyond it.
type cursor struct {
	b      []byte
	lo, hi int // the recorded bytes of the packet are b[lo:hi]
	linear int // end of the linear bytes
	end    int // end of the packet
	data   int // skb->data
	net    int // the network header, if netSet
	mac    int // the link header, if macSet
	trans  int // the transport header, if transSet

	netSet, macSet, transSet bool
	tagged                   bool // there is a tag beside the frame
}

// cursor computes the positions; ok is false where they make no sense, as when
// the pointers were not recorded.
func (w *Window) cursor() (c cursor, ok bool) {
	if w.Head == 0 || w.Data < w.Head || w.Data-w.Head > limit ||
		w.Start < -limit || w.Start > limit || w.Len > limit || w.DataLen > w.Len {
		return c, false
	}
	c.b, c.tagged = w.Bytes, w.Tagged
	c.data = -int(w.Start)
	head := c.data - int(w.Data-w.Head)
	c.end = c.data + int(w.Len)
	c.linear = c.data + int(w.Len-w.DataLen)
	c.lo = max(0, head)
	c.hi = max(c.lo, min(len(w.Bytes), c.linear))
	if c.lo > len(w.Bytes) {
		c.lo, c.hi = len(w.Bytes), len(w.Bytes)
	}
	c.netSet = isSet(w.Network) && w.Network != 0
	c.macSet = isSet(w.Mac)
	c.transSet = isSet(w.Transport)
	if c.netSet {
		c.net = head + int(w.Network)
	}
	if c.macSet {
		c.mac = head + int(w.Mac)
	}
	if c.transSet {
		c.trans = head + int(w.Transport)
	}
	return c, true
}

func isSet(offset uint32) bool {
	return offset != NotSet && offset != 0xffff && offset < limit
}

// from is the recorded bytes of the packet from index i on, at most up to index
// end; nil if the byte at i was not recorded.
func (c *cursor) from(i, end int) []byte {
	end = min(end, c.hi)
	if i < c.lo || i >= end {
		return nil
	}
	return c.b[i:end]
}
