package event

import (
	"encoding/binary"
	"slices"
)

// A program that does the same thing again and again makes records that are
// alike, and no others come as densely. So a record is compared with the one
// before, where it counts: what is the same is neither decoded nor written
// again.

// A window is up to 8 bytes of the records.
type window struct {
	now     *[8]byte // in the half's buffer
	at      int      // in each record
	mask    uint64   // of the bytes, as a little-endian number
	columns uint64   // those that depend on them, as in Event.Changed
	dirty   uint64   // its own bit
}

const (
	// everything is all windows, or all columns.
	everything = ^uint64(0)
	// beyond is the bit of columns that have none of their own, and of what no
	// sink sees.
	beyond = 1 << 63
)

func bit(i int) uint64 { return 1 << min(i, 63) }

// load loads of another record the windows in which it differs from the loaded
// one. It tells which they are, a bit for each window, the highest for all from
// the 64th on; and which columns can then differ.
func (w *windows) load(next []byte) (dirty, columns uint64) {
	if w.always != 0 {
		dirty, columns = beyond, w.always // what depends on no window alone depends on all
	}
	for i := range w.all {
		v := &w.all[i]
		n := binary.LittleEndian.Uint64(next[v.at:])
		if (binary.LittleEndian.Uint64(v.now[:])^n)&v.mask != 0 {
			binary.LittleEndian.PutUint64(v.now[:], n)
			dirty |= v.dirty
			columns |= v.columns
		}
	}
	return dirty, columns
}

// on tells which windows are on some bytes.
func (w *windows) on(spans []span) (dirty uint64) {
	for i, start := range w.starts {
		for _, s := range spans {
			if start < s.off+s.size && s.off < start+8 {
				dirty |= bit(i)
			}
		}
	}
	return dirty
}

// windows are those bytes on which something depends.
type windows struct {
	all    []window
	starts []int  // where they begin in the records
	always uint64 // columns that may change though no window does
}

// A span is bytes of the records on which columns depend.
type span struct {
	off, size int
	columns   uint64
}

// look puts windows on some bytes of the half's records.
func (h *Half) look(spans []span) *windows {
	slices.SortFunc(spans, func(a, b span) int { return a.off - b.off })
	ws := &windows{}
	covered := 0
	for _, s := range spans {
		for covered < s.off+s.size {
			start := min(max(s.off, covered), h.layout.Size-8)
			ws.starts, covered = append(ws.starts, start), start+8
		}
	}
	for i, start := range ws.starts {
		w := window{now: (*[8]byte)(h.record[start:]), at: start, dirty: bit(i)}
		for _, s := range spans {
			from, to := max(s.off, start), min(s.off+s.size, start+8)
			if from < to {
				w.mask |= everything >> (64 - 8*(to-from)) << (8 * (from - start))
				w.columns |= s.columns
			}
		}
		ws.all = append(ws.all, w)
	}
	return ws
}

// publish gives the decoded values of an event their number.
func (c *Compiled) publish(ev *Event) {
	if c.steps.windows == nil {
		ev.Edition = 0
		return
	}
	ev.editions++
	ev.Edition, ev.Changed = ev.editions, c.changed
}

// watch finds the bytes on which the columns depend; nil where records are not
// compared: those of several halves, and those of a tool with a Reducer, which
// may look at everything and change it.
func (c *Compiled) watch(shown int) *windows {
	if c.Called != nil || c.Entry != nil && c.Return != nil || c.keys != nil {
		return nil
	}
	var d dependences
	for _, f := range c.fields {
		for _, at := range f.out {
			if at >= 0 && at < shown {
				d.add(c, f, bit(at))
			}
		}
	}
	d.addTests(c)
	if c.socket >= 0 {
		d.add(c, c.fieldOf(c.socket), beyond)
	}
	w := c.first().look(d.spans)
	w.always = d.always
	return w
}

// narrow finds out which of the longer steps need not be done again when only
// some windows have changed.
func (c *Compiled) narrow(s *steps, w *windows) {
	for i := range s.calls {
		var d dependences
		if d.add(c, s.calls[i].field, beyond); d.always == 0 {
			s.calls[i].windows = w.on(d.spans)
		}
	}
	for i := range s.choices {
		var d dependences
		for _, f := range s.choices[i].fields {
			d.add(c, f, beyond)
		}
		if d.always == 0 {
			s.choices[i].windows = w.on(d.spans)
		}
		for n := range s.choices[i].then {
			c.narrow(&s.choices[i].then[n], w)
		}
	}
}

// testedIn tells on which windows the conditions of an event depend.
func (c *Compiled) testedIn(w *windows) uint64 {
	var d dependences
	d.addTests(c)
	if d.always != 0 {
		return everything
	}
	return w.on(d.spans)
}

// dependences are on what columns depend.
type dependences struct {
	spans  []span
	always uint64 // they depend on what lies elsewhere in each record
}

// addTests adds the bytes on which the conditions of an event depend.
func (d *dependences) addTests(c *Compiled) {
	for _, cond := range c.only.conds {
		d.add(c, c.fieldOf(cond.at), beyond)
	}
}

// add adds the bytes on which a field depends.
func (d *dependences) add(c *Compiled, f *boundField, columns uint64) {
	for i := range f.cases {
		b, possible := c.open(f.cases[i])
		if !possible {
			continue
		}
		for _, cond := range b.conds {
			d.add(c, c.fieldOf(cond.at), columns)
		}
		if b.from >= 0 {
			d.add(c, c.fieldOf(b.from), columns)
		}
		if len(b.conds) == 0 {
			break
		}
	}
	for _, slot := range f.slots {
		switch {
		case slot < 0:
		case f.half.layout.IsText(slot):
			d.always |= columns
		default:
			off, size := f.half.layout.Place(slot)
			d.spans = append(d.spans, span{off, size, columns})
		}
	}
}

// fieldOf is the field that sets a value.
func (c *Compiled) fieldOf(at int) *boundField {
	return c.fields[slices.IndexFunc(c.fields, func(f *boundField) bool { return slices.Contains(f.out, at) })]
}

// open is a case without the conditions that are fulfilled anyway; it is not
// possible if one never is.
func (c *Compiled) open(b boundCase) (_ boundCase, possible bool) {
	var open []boundCond
	for _, cond := range b.conds {
		switch holds, fixed := c.fixed(cond); {
		case !fixed:
			open = append(open, cond)
		case !holds:
			return b, false
		}
	}
	b.conds = open
	return b, true
}

// fixed tells whether a condition has the same outcome for all records with the
// loaded pointers, and which: one of them is not nil.
func (c *Compiled) fixed(cond boundCond) (holds, fixed bool) {
	f := c.fieldOf(cond.at)
	if cond.num != 0 || cond.op == AtLeast || len(f.slots) != 1 || f.slots[0] < 0 || f.addend != 0 || f.bitWidth != 0 ||
		f.kind.Decode.form != formNumber || f.half.layout.Pointer(f.slots[0])&f.half.present == 0 {
		return false, false
	}
	return cond.op == NotEquals, true
}
