package fetchargs

import (
	"encoding/binary"
	"fmt"
)

// An ArgPlace is where the kernel puts one argument in a record, as the
// event's format file tells.
type ArgPlace struct {
	Name   string
	Offset int // bytes from the start of the record
	Size   int
}

// maxChains is how many chains of pointers a probe can follow: one bit each.
const maxChains = 64

// A Layout decodes the records of one probe: it says where each value of a
// [Plan] lies and whether it is there.
type Layout struct {
	// Size is the length of the fixed part; a shorter record is damaged.
	Size   int
	slots  []slot
	chains []pointerAt // without the first
}

type slot struct {
	off, size int
	chain     uint8
	str       bool
	rest      bool
	fixed     []byte
}

// A pointerAt is a pointer in the record on which values hang.
type pointerAt struct {
	off          int
	first, span  uint64 // addresses that can be followed
	bit, parents uint64 // its own bit of what is present, and that of the pointer before
}

// Layout combines a plan with the places of its arguments in the record.
func (plan *Plan) Layout(places []ArgPlace) (*Layout, error) {
	byName := make(map[string]ArgPlace, len(places))
	for _, p := range places {
		byName[p.Name] = p
	}
	at := make([]ArgPlace, len(plan.Args))
	l := &Layout{}
	for i, a := range plan.Args {
		p, ok := byName[a.Name]
		if !ok || p.Size < a.Type.Size() || p.Offset < 0 {
			return nil, fmt.Errorf("the event's format has no field %s of %d bytes for %s", a.Name, a.Type.Size(), a)
		}
		at[i] = p
		l.Size = max(l.Size, p.Offset+a.Type.Size())
	}
	for _, pl := range plan.places {
		if pl.fixed != nil {
			l.slots = append(l.slots, slot{size: pl.size, fixed: pl.fixed})
			continue
		}
		if pl.rest {
			l.Size = max(l.Size, pl.off)
			l.slots = append(l.slots, slot{off: pl.off, rest: true})
			continue
		}
		if pl.arg == recorded {
			l.Size = max(l.Size, pl.off+max(pl.size, 4))
			l.slots = append(l.slots, slot{off: pl.off, size: pl.size, str: pl.str})
			continue
		}
		off := at[pl.arg].Offset + pl.off
		// A value that runs over several arguments needs them side by side.
		for have, i := plan.Args[pl.arg].Type.Size(), pl.arg; pl.off+pl.size > have; {
			if i++; i >= len(at) || at[i].Offset != at[i-1].Offset+plan.Args[i-1].Type.Size() {
				return nil, fmt.Errorf("the event's format does not keep %s and the arguments after it together", plan.Args[pl.arg].Name)
			}
			have += plan.Args[i].Type.Size()
		}
		l.slots = append(l.slots, slot{off: off, size: pl.size, chain: uint8(pl.chain), str: pl.str})
	}
	for i, c := range plan.chains[1:] {
		l.chains = append(l.chains, pointerAt{off: l.slots[c.read].off, first: firstKernel, span: spanKernel, bit: 2 << i, parents: 1 << c.parent})
		if c.user {
			last := &l.chains[len(l.chains)-1]
			last.first, last.span = firstUser, spanUser
		}
	}
	return l, nil
}

// Predict returns the places that a 64-bit kernel from 3.10 to 7.1 gives the
// arguments: one after the other, without padding, behind the common header
// (8 bytes) and the probed address, of which a return probe has two
// (kernel/trace/trace_kprobe.c). It is for tests and estimates; a reader takes
// the format file's word.
func (plan *Plan) Predict(isReturn bool) []ArgPlace {
	off := 16
	if isReturn {
		off = 24
	}
	var places []ArgPlace
	for _, a := range plan.Args {
		places = append(places, ArgPlace{a.Name, off, a.Type.Size()})
		off += a.Type.Size()
	}
	return places
}

// IsKernelAddress reports whether p can be followed in the kernel: the upper
// half of the address space of amd64 and arm64, without the last page, where
// ERR_PTR values are.
func IsKernelAddress(p uint64) bool { return p-firstKernel < spanKernel }

// Where kernel addresses begin and how far they reach; and those of programs:
// the lower half, without the first page. The highest byte may be a tag on arm64.
const (
	firstKernel = 0xff00_0000_0000_0000
	spanKernel  = 0xffff_ffff_ffff_f000 - firstKernel
	firstUser   = 0x1000
	spanUser    = 1<<63 - firstUser
)

// Present tells which chains of pointers are whole in record, for
// [Layout.Bytes]. The error is for a record shorter than its format.
func (l *Layout) Present(record []byte) (uint64, error) {
	if len(record) < l.Size {
		return 0, fmt.Errorf("a record of %d bytes is shorter than its format says: %d", len(record), l.Size)
	}
	present := uint64(1)
	for i := range l.chains {
		if c := &l.chains[i]; binary.LittleEndian.Uint64(record[c.off:])-c.first < c.span && present&c.parents != 0 {
			present |= c.bit
		}
	}
	return present, nil
}

// Bytes returns the bytes of a value, little-endian where it is a number, or
// nil where it is absent: a pointer on the way to it was none, or its text
// could not be read. They lie in record.
func (l *Layout) Bytes(record []byte, present uint64, s Slot) []byte {
	sl := &l.slots[s]
	if present>>sl.chain&1 == 0 {
		return nil
	}
	switch {
	case sl.fixed != nil:
		return sl.fixed
	case sl.str:
		return text(record, sl.off)
	case sl.rest:
		if len(record) <= sl.off {
			return nil
		}
		return record[sl.off:len(record):len(record)]
	}
	return record[sl.off : sl.off+sl.size : sl.off+sl.size]
}

// IsText reports whether a value is text, which lies in another place in each
// record, the rest of a record, whose end does, or a constant, which lies in
// none. All others are always in the same.
func (l *Layout) IsText(s Slot) bool {
	return l.slots[s].str || l.slots[s].rest || l.slots[s].fixed != nil
}

// Place returns where a value that is no text lies in each record.
func (l *Layout) Place(s Slot) (off, size int) { return l.slots[s].off, l.slots[s].size }

// Pointer returns, for a value that is a pointer on which others hang, the bit
// of what [Layout.Present] returns that tells that it is a kernel address; 0 for
// other values.
func (l *Layout) Pointer(s Slot) uint64 {
	sl := &l.slots[s]
	for i := range l.chains {
		if c := &l.chains[i]; c.off == sl.off && sl.size == 8 && !sl.str {
			return c.bit
		}
	}
	return 0
}

// text reads a __data_loc field: the low half is the offset in the record, the
// high half the length with the final NUL. A fault gives length 0, or the
// kernel writes "(fault)" itself when it prints; nothing of the text is there.
func text(record []byte, at int) []byte {
	loc := binary.LittleEndian.Uint32(record[at:])
	off, n := int(loc&0xffff), int(loc>>16)
	if n == 0 || off+n > len(record) {
		return nil
	}
	b := record[off : off+n : off+n]
	for i, c := range b {
		if c == 0 {
			return b[:i:i]
		}
	}
	return b
}
