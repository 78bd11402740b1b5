package event

import (
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// Build turns what the fields and the filter need into fetch-args. filter is
// the text that the compiled probe's Compare gave, for the half that begins
// the event, "" for none.
func (c *Compiled) Build(filter string) (err error) {
	for _, h := range c.Halves() {
		if h.Plan, err = h.planner.Build(); err != nil {
			return &FieldError{c.Symbol, "fields", err}
		}
	}
	c.first().Filter = filter
	return nil
}

// Halves returns the definitions of the probe, in the order of their events.
func (c *Compiled) Halves() []*Half {
	switch {
	case c.Return == nil:
		return []*Half{c.Entry}
	case c.Entry == nil:
		return []*Half{c.Return}
	}
	return []*Half{c.Entry, c.Return}
}

// first is the half that begins an event, and the only one that is filtered.
func (c *Compiled) first() *Half { return c.Halves()[0] }

// IsReturn reports whether h fires when the function returns.
func (c *Compiled) IsReturn(h *Half) bool { return h == c.Return }

// Bind takes the places of the half's arguments in the kernel's records.
func (h *Half) Bind(places []fetchargs.ArgPlace) (err error) {
	h.layout, err = h.Plan.Layout(places)
	return err
}

// Decode fills ev's values from a record of half h, made by thread tid. ok is
// false where the event is not complete: a function was entered, or one
// returns that was entered before tracing began.
func (c *Compiled) Decode(h *Half, tid uint32, record []byte, ev *Event) (ok bool, err error) {
	present, err := h.layout.Present(record)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Symbol, err)
	}
	if c.Entry != nil && c.Return != nil {
		if h == c.Entry {
			c.pairs.enter(tid, record)
			return false, nil
		}
		entry := c.pairs.leave(tid)
		if entry == nil {
			return false, nil
		}
		all := ev.reset()
		before, err := c.Entry.layout.Present(entry)
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.Symbol, err)
		}
		for _, f := range c.fields {
			if f.half == c.Entry {
				f.decode(entry, before, all)
			} else {
				f.decode(record, present, all)
			}
		}
	} else {
		all := ev.reset()
		for _, f := range c.fields {
			f.decode(record, present, all)
		}
	}
	ev.Name = c.Event
	ev.Task = !c.Softirq
	return c.only.holds(ev.Values[:cap(ev.Values)]), nil
}

// reset makes all values absent, hidden ones too, and returns them.
func (ev *Event) reset() []Value {
	all := ev.Values[:cap(ev.Values)]
	clear(all)
	return all
}

func (f *boundField) decode(record []byte, present uint64, all []Value) {
	if f.cases != nil {
		f.choose(all)
		return
	}
	l := f.half.layout
	if len(f.kind.Parts) == 0 {
		b := l.Bytes(record, present, f.slots[0])
		if b == nil {
			return
		}
		f.in[0] = b
		i := f.out[0]
		f.kind.Decode(f.in, all[i:i+1])
		if f.bitWidth != 0 || f.addend != 0 {
			f.adjust(&all[i])
		}
		return
	}
	for i, s := range f.slots {
		if s < 0 {
			f.in[i] = nil
			continue
		}
		f.in[i] = l.Bytes(record, present, s)
	}
	clear(f.parts)
	f.kind.Decode(f.in, f.parts)
	for i, to := range f.out {
		if to >= 0 {
			all[to] = f.parts[i]
		}
	}
}

// adjust takes a bit field out of its bytes, or adds the constant that the
// kernel could not.
func (f *boundField) adjust(v *Value) {
	if f.bitWidth != 0 {
		shift := 64 - uint(f.bitWidth)
		n := v.Num >> uint(f.bitOff) << shift
		if f.kind.Class == Signed {
			v.Num = uint64(int64(n) >> shift)
		} else {
			v.Num = n >> shift
		}
	}
	v.Num += uint64(f.addend)
}

func (f *boundField) choose(all []Value) {
	for i := range f.cases {
		c := &f.cases[i]
		if !c.holds(all) {
			continue
		}
		if c.from >= 0 {
			all[f.out[0]] = all[c.from]
		} else {
			all[f.out[0]] = Value{Set: true, Text: c.text}
		}
		return
	}
}

// Unpaired returns how many returns had no entry, and how many entries were
// given up because too many functions were under way.
func (c *Compiled) Unpaired() (returns, entries uint64) {
	return c.pairs.orphans, c.pairs.evicted
}
