package event

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// Build turns what the fields and the filter need into fetch-args. filter is
// the text that the compiled probe's Compare gave, for the half that begins
// the event, "" for none; the tool's own conditions are added to it.
func (c *Compiled) Build(filter string) (err error) {
	switch {
	case filter == "":
		filter = c.rare
	case c.rare != "":
		filter = c.rare + " && (" + filter + ")"
	}
	names := namesIn(filter)
	c.first().planner.Retain(func(name string) bool { return slices.Contains(names, name) })
	for _, h := range c.Halves() {
		if h.Plan, err = h.planner.Build(); err != nil {
			return &FieldError{c.Symbol, "fields", nil, err}
		}
	}
	c.first().Filter = filter
	return nil
}

// namesIn lists the names in the text of a filter.
func namesIn(filter string) []string {
	for i, part := range strings.Split(filter, `"`) {
		if i%2 == 1 {
			filter = strings.Replace(filter, `"`+part+`"`, " ", 1) // a text is none
		}
	}
	return strings.FieldsFunc(filter, func(r rune) bool { return r > '~' || !isNameByte(byte(r)) })
}

// Halves returns the definitions of the probe, in the order of their events.
func (c *Compiled) Halves() []*Half {
	var all []*Half
	for _, h := range [...]*Half{c.Called, c.Entry, c.Inner, c.Return, c.Left} {
		if h != nil {
			all = append(all, h)
		}
	}
	return all
}

// first is the half that begins an event, and the only one that is filtered.
func (c *Compiled) first() *Half {
	if c.Entry != nil {
		return c.Entry
	}
	return c.Return
}

// IsReturn reports whether h fires when the function returns.
func (c *Compiled) IsReturn(h *Half) bool { return h == c.Return || h == c.Left }

// Bind takes the places of the half's arguments in the kernel's records.
func (h *Half) Bind(places []fetchargs.ArgPlace) (err error) {
	h.layout, err = h.Plan.Layout(places)
	h.record = nil
	return err
}

// Thread identifies what made a record, for [Compiled.Decode]: its thread as
// the kernel itself numbers them, since perf knows no thread outside its own
// pid namespace; or the CPU, for the idle tasks, of which each CPU has one and
// all have the number 0.
func Thread(record []byte, cpu uint32) uint32 {
	if len(record) >= 8 { // common_type, common_flags, common_preempt_count, common_pid
		if tid := binary.LittleEndian.Uint32(record[4:]); tid != 0 {
			return tid
		}
	}
	return 1<<31 | cpu
}

// Bits of common_flags in a record: TRACE_FLAG_HARDIRQ, _SOFTIRQ and _NMI
// (kernel/trace/trace.h, include/linux/trace_events.h; the last from 4.9).
const (
	inHardirq = 0x08
	inSoftirq = 0x10
	inNMI     = 0x40
)

// interrupts tells that a record was made in an interrupt, whose current task is
// a bystander. Before 4.9 the flag for softirqs is set while they are only held
// off too. A kprobe that is a breakpoint (it is not yet, or cannot be, a call or
// a jump) is handled as an NMI from 5.8 on x86, which counts as a hardirq too
// (irqentry_nmi_enter): then neither flag says where the breakpoint was.
func interrupts(record []byte) bool {
	if len(record) <= 2 {
		return false
	}
	if record[2]&inNMI != 0 {
		return record[2]&inSoftirq != 0
	}
	return record[2]&(inHardirq|inSoftirq) != 0
}

// Decode fills ev's values from a record of half h, made by a [Thread] at ev.Mono. ok is
// false where the event is not complete: a function was entered, or one
// returns that was entered before tracing began; or there is none, because the
// record only ends what was kept for hits inside of a function.
func (c *Compiled) Decode(h *Half, tid uint32, record []byte, ev *Event) (ok bool, err error) {
	if err := c.load(h, record); err != nil {
		return false, fmt.Errorf("%s: %w", c.Symbol, err)
	}
	switch {
	case c.Called != nil:
		if ok, err := c.carry(h, tid, record, ev.Mono); !ok {
			return false, err
		}
	case c.Entry != nil && c.Return != nil:
		if ok, err := c.pair(h, tid, record, ev.Mono); !ok {
			return false, err
		}
	}
	if c.steps == nil || c.event != ev || ev.from != c {
		c.aim(ev)
	}
	if c.changed != 0 {
		c.steps.run(c.dirty)
		for _, f := range c.computed {
			ev.Values[f.out[0]] = Value{}
		}
		if c.steps.tested&c.dirty != 0 || c.dirty == everything {
			c.holds = hold(c.tests)
		}
		c.publish(ev)
	}
	for _, f := range c.elapsed {
		ev.Values[:cap(ev.Values)][f.out[0]] = Value{Set: true, Num: ev.Mono - c.pairs.last.time} // it may be hidden
	}
	ev.Name = c.Event
	if c.places != nil {
		at := c.places.of(record)
		if at < 0 {
			return false, fmt.Errorf("%s: a record of none of its functions", c.Of)
		}
		if ev.Name = c.places[at].Event; ev.Name == "" {
			return false, nil
		}
	}
	ev.Task = !c.Softirq && !interrupts(record)
	return c.holds, nil
}

// pair keeps the record until the function returns, and then loads those that
// were kept. It reports whether the event is complete.
func (c *Compiled) pair(h *Half, tid uint32, record []byte, time uint64) (bool, error) {
	switch h {
	case c.Entry:
		c.pairs.enter(tid, c.places.of(record), time, record)
		return false, nil
	case c.Inner:
		c.pairs.within(tid, record)
		return false, nil
	}
	e := c.pairs.leave(tid, c.places.of(record))
	if e.entry == nil {
		return false, nil
	}
	err := c.load(c.Entry, e.entry)
	if c.Inner != nil && err == nil {
		err = c.load(c.Inner, e.inner)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Symbol, err)
	}
	return true, nil
}

// Unpaired returns how many returns had no entry, or hits inside of a function,
// and how many entries were given up because too many functions were under way.
// Where the kernel filters the entries, returns without one are what was asked
// for, and not counted.
func (c *Compiled) Unpaired() (hits, entries uint64) {
	if c.Called == nil && c.first().Filter != "" {
		return 0, c.pairs.evicted
	}
	return c.pairs.orphans, c.pairs.evicted
}
