package event

import (
	"encoding/binary"

	"github.com/skprobe/skprobe/fetchargs"
)

// Records of one probe look the same one after the other: the same fields in
// the same places. So each is copied to one buffer, and where in that buffer a
// field's bytes are, and in which values they end, is found out once for all
// records with the same pointers that are nil. What is left to do for each
// record is a list of short steps.

// A boundField is a field resolved for this kernel.
type boundField struct {
	field *Field
	kind  *Kind
	half  *Half
	slots []fetchargs.Slot // parallel to kind.Reads; -1: not on this kernel
	lost  []string         // expressions of parts that are not on this kernel
	out   []int            // parallel to the parts; where the value goes, -1: nowhere
	cases []boundCase

	addend           int64
	bitOff, bitWidth int
	signed           bool    // how a number of few bits extends to more
	whole            [8]byte // the number, where it had to be computed

	in    [][]byte // parallel to kind.Reads; in the half's buffer
	moves bool     // in is not the same for all records
}

// pointers are those that are present in the loaded records, of the halves.
type pointers [4]uint64

// load makes record the one that is decoded; nil is one in which nothing is
// present.
func (c *Compiled) load(h *Half, record []byte) error {
	var present uint64
	if record != nil {
		var err error
		if present, err = h.layout.Present(record); err != nil {
			return err
		}
	}
	if len(record) > cap(h.record) {
		h.record = make([]byte, len(record), 2*len(record))
		c.event, c.steps = nil, nil // what is in the buffer is in another place now
	}
	c.dirty, c.changed = everything, everything
	if present != h.present {
		h.present = present
		c.steps = nil
	}
	if c.steps != nil && c.steps.windows != nil {
		w := c.steps.windows
		if c.dirty, c.changed = w.load(record); c.changed == 0 || w.always == 0 {
			return nil
		}
	}
	h.record = h.record[:len(record)]
	copy(h.record, record)
	return nil
}

// aim makes the steps those that decode the loaded records into ev.
func (c *Compiled) aim(ev *Event) {
	all := ev.Values[:cap(ev.Values)]
	clear(all) // of what another probe left there, or other steps
	ev.from, c.dirty, c.changed = c, everything, everything
	if c.event != ev {
		c.event, c.steps = ev, nil
		c.plans = map[pointers]*steps{}
		c.tests = c.only.tests(all)
	}
	if c.steps != nil {
		return
	}
	var key pointers
	for i, h := range [...]*Half{c.Called, c.Entry, c.Inner, c.Return} {
		if h != nil {
			key[i] = h.present
		}
	}
	if c.steps = c.plans[key]; c.steps == nil {
		c.steps = c.plan(ev)
		c.plans[key] = c.steps
	}
}

// values are the places of the field's values in an event.
func (f *boundField) values(all []Value) []*Value {
	to := make([]*Value, len(f.out))
	for i, at := range f.out {
		if at >= 0 {
			to[i] = &all[at]
		}
	}
	return to
}

// find finds the field's bytes. It reports false for a simple kind that has
// none.
func (f *boundField) find() bool {
	f.moves = f.bitWidth != 0 || f.addend != 0
	for i, s := range f.slots {
		f.in[i] = nil
		if s >= 0 {
			f.in[i] = f.half.layout.Bytes(f.half.record, f.half.present, s)
			f.moves = f.moves || f.half.layout.IsText(s)
		}
	}
	return len(f.kind.Parts) > 0 || f.in[0] != nil
}

// decode is the long way.
func (f *boundField) decode(to []*Value) {
	if f.moves {
		if !f.find() {
			to[0].Set = false
			return
		}
		if f.bitWidth != 0 || f.addend != 0 {
			f.in[0] = f.compute(f.in[0])
		}
	}
	f.kind.Decode.decode(f.in, to)
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
