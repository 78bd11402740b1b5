package packet

import "encoding/binary"

// frame notes that the frame begins at index at, unless that is known already
// or was not recorded.
func (p *Packet) frame(c *cursor, at int, link bool) {
	if p.Has(FieldFrame) || at < c.lo || at >= c.hi {
		return
	}
	p.FrameLink = link
	p.FrameOff, p.FrameLen, p.FrameSize = at, c.hi-at, uint32(c.end-at)
	if link && c.tagged {
		p.FrameSize += vlanLen
	}
	p.set(FieldFrame)
}

// AppendFrame appends the recorded bytes of the frame as they are on the wire:
// the tag that the kernel keeps beside it is in its place. w must be the window
// that the packet was decoded from. Without FieldFrame it appends nothing.
func (p *Packet) AppendFrame(dst []byte, w *Window) []byte {
	if !p.Has(FieldFrame) {
		return dst
	}
	b := w.Bytes[p.FrameOff : p.FrameOff+p.FrameLen]
	if !p.FrameLink || !w.Tagged || len(b) < etherAddrs {
		return append(dst, b...)
	}
	dst = append(dst, b[:etherAddrs]...)
	dst = binary.BigEndian.AppendUint16(dst, w.Tag.TPID)
	dst = binary.BigEndian.AppendUint16(dst, w.Tag.TCI)
	return append(dst, b[etherAddrs:]...)
}
