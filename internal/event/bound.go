package event

import (
	"encoding/binary"
	"net/netip"

	"github.com/skprobe/skprobe/fetchargs"
)

// Records of one probe look the same one after the other: the same fields in
// the same places. So each is copied to one buffer, and where in that buffer a
// field's bytes are, and in which values they end, is found out once, and
// again only when a pointer is nil that was none before, or the other way
// round. What is left to do for each record is a list of short steps.

// A boundField is a field resolved for this kernel.
type boundField struct {
	field *Field
	kind  *Kind
	half  *Half
	slots []fetchargs.Slot // parallel to kind.Reads; -1: not on this kernel
	lost  []string         // expressions of parts that are not on this kernel
	out   []int            // parallel to the parts; where the value goes, -1: nowhere
	cases []boundCase
	like  *boundField // an earlier field, the cases of which have the same conditions
	taken int         // which of cases was chosen, len(cases) for none

	addend           int64
	bitOff, bitWidth int
	signed           bool    // how a number of few bits extends to more
	whole            [8]byte // the number, where it had to be computed

	moves bool     // in is not the same for all records
	in    [][]byte // parallel to kind.Reads; in the half's buffer
	to    []*Value // parallel to out; nil: nowhere
	all   []Value  // of the event
}

// load makes record the one that is decoded.
func (h *Half) load(record []byte) error {
	present, err := h.layout.Present(record)
	if err != nil {
		return err
	}
	if len(record) > cap(h.record) {
		h.record = make([]byte, len(record), 2*len(record))
		h.moved = true
	}
	if present != h.present {
		h.present = present
		h.moved = true
	}
	h.record = h.record[:len(record)]
	copy(h.record, record)
	return nil
}

// aim makes the fields decode from the loaded records into ev.
func (c *Compiled) aim(ev *Event) {
	moved := c.event != ev
	for _, h := range [2]*Half{c.Entry, c.Return} {
		if h != nil && h.moved {
			h.moved, moved = false, true
		}
	}
	if !moved && ev.from == c {
		return
	}
	all := ev.Values[:cap(ev.Values)]
	clear(all)
	ev.from = c
	if !moved {
		return
	}
	c.event = ev
	c.steps = c.steps[:0]
	for _, f := range c.fields {
		if f.aim(all) {
			c.steps = append(c.steps, f.step())
		}
	}
}

// A step is one field of a record.
type step struct {
	do    uint8
	bytes []byte // in the half's buffer
	to    *Value
	field *boundField
}

// What a step does: a form with its size, or all else.
const (
	doCall = iota
	doChoose
	doNumber8
	doNumber4
	doNumber2
	doNumber1
	doBE16
	doIPv4
)

// step is the shortest way to decode the field as it lies now.
func (f *boundField) step() step {
	s := step{field: f, to: f.to[0]}
	if f.cases != nil {
		s.do = doChoose
		return s
	}
	if f.moves || f.kind.Decode.form == noForm {
		return s
	}
	s.bytes = f.in[0]
	switch {
	case f.kind.Decode.form == formNumber && len(s.bytes) == 8:
		s.do = doNumber8
	case f.kind.Decode.form == formNumber && len(s.bytes) == 4:
		s.do = doNumber4
	case f.kind.Decode.form == formNumber && len(s.bytes) == 2:
		s.do = doNumber2
	case f.kind.Decode.form == formNumber && len(s.bytes) == 1:
		s.do = doNumber1
	case f.kind.Decode.form == formBE16 && len(s.bytes) == 2:
		s.do = doBE16
	case f.kind.Decode.form == formIPv4 && len(s.bytes) == 4:
		s.do = doIPv4
	}
	return s
}

// run decodes the loaded records.
func (c *Compiled) run() {
	for i := range c.steps {
		s := &c.steps[i]
		if s.do > doChoose {
			s.to.Set = true
		}
		switch s.do {
		case doNumber8:
			s.to.Num = binary.LittleEndian.Uint64(s.bytes)
		case doNumber4:
			s.to.Num = uint64(binary.LittleEndian.Uint32(s.bytes))
		case doNumber2:
			s.to.Num = uint64(binary.LittleEndian.Uint16(s.bytes))
		case doNumber1:
			s.to.Num = uint64(s.bytes[0])
		case doBE16:
			s.to.Num = uint64(binary.BigEndian.Uint16(s.bytes))
		case doIPv4:
			s.to.Addr = netip.AddrFrom4([4]byte(s.bytes))
		case doChoose:
			s.field.choose()
		default:
			s.field.decode()
		}
	}
}

// aim finds the field's bytes and values. It reports whether there is anything
// to decode in records like this one.
func (f *boundField) aim(all []Value) bool {
	f.all = all
	f.to = f.to[:0]
	for _, i := range f.out {
		if i < 0 {
			f.to = append(f.to, nil)
		} else {
			f.to = append(f.to, &all[i])
		}
	}
	if f.cases != nil {
		return true
	}
	f.moves = f.bitWidth != 0 || f.addend != 0
	for _, s := range f.slots {
		f.moves = f.moves || s >= 0 && f.half.layout.IsText(s)
	}
	return f.find() || f.moves
}

// find finds the field's bytes. It reports false for a simple kind that has
// none.
func (f *boundField) find() bool {
	for i, s := range f.slots {
		f.in[i] = nil
		if s >= 0 {
			f.in[i] = f.half.layout.Bytes(f.half.record, f.half.present, s)
		}
	}
	return len(f.kind.Parts) > 0 || f.in[0] != nil
}

// decode is the long way.
func (f *boundField) decode() {
	if f.moves {
		if !f.find() {
			f.to[0].Set = false
			return
		}
		if f.bitWidth != 0 || f.addend != 0 {
			f.in[0] = f.compute(f.in[0])
		}
	}
	if len(f.kind.Parts) > 0 {
		for _, v := range f.to {
			if v != nil {
				v.Set = false
			}
		}
	}
	f.kind.Decode.decode(f.in, f.to)
}

// compute takes a bit field out of its bytes, or adds the constant that the
// kernel could not, with the width that C gives the sum.
func (f *boundField) compute(b []byte) []byte {
	off, width := uint(f.bitOff), uint(f.bitWidth)
	if width == 0 {
		width = uint(8 * len(b))
	}
	n := number(b) >> off << (64 - width)
	if f.signed {
		n = uint64(int64(n) >> (64 - width))
	} else {
		n >>= 64 - width
	}
	binary.LittleEndian.PutUint64(f.whole[:], n+uint64(f.addend))
	if f.addend != 0 && len(b) <= 4 {
		return f.whole[:4]
	}
	return f.whole[:]
}

// choose takes the value of the first case that holds.
func (f *boundField) choose() {
	if f.like != nil {
		f.taken = f.like.taken
	} else {
		f.taken = 0
		for f.taken < len(f.cases) && !f.cases[f.taken].holds(f.all) {
			f.taken++
		}
	}
	v := f.to[0]
	if f.taken == len(f.cases) {
		v.Set = false
		return
	}
	c := &f.cases[f.taken]
	if c.from < 0 {
		v.Set, v.Text = true, c.text
		return
	}
	from := &f.all[c.from]
	switch f.kind.Class {
	case Unsigned, Signed, Bool:
		v.Set, v.Num = from.Set, from.Num
	case Address:
		v.Set, v.Addr = from.Set, from.Addr
	default:
		*v = *from
	}
}
