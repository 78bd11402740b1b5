package tools

import (
	"bytes"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

const dropCallers = "drop.caller"

// passOn is what the names of functions begin with that only pass on that a
// packet, or all of a list, is dropped.
var passOn = [][]byte{[]byte("kfree_skb_list"), []byte("__tcf_kfree_skb_list"), []byte("tcp_drop_reason")}

// passingOn are the calls of these functions: who called them is the place.
func passingOn(softirq bool) event.Source {
	return event.Source{
		Name: dropCallers, Hidden: true, Softirq: softirq,
		Probes: []event.Probe{{
			Funcs:    []string{"kfree_skb_list_reason", "kfree_skb_list"},
			Without:  []string{"struct skb_free_array"}, // of kernels that tell by themselves
			Optional: true,
			Fields:   []event.Field{place("$caller")},
		}, {
			Funcs:    []string{"__tcf_kfree_skb_list"},
			Optional: true,
			Fields:   []event.Field{place("$caller")},
		}, {
			Funcs:    []string{"tcp_drop_reason"},
			Optional: true,
			Fields:   []event.Field{place("$caller")},
		}},
	}
}

// A context is where code runs: on a CPU, in a task or in an interrupt.
type context struct {
	cpu  uint32
	task bool
}

func contextOf(ev *event.Event) context { return context{ev.CPU, ev.Task} }

// callers know who had packets dropped last, in each context.
type callers struct {
	location int
	columns  []event.Column
	last     map[context]uint64
	text     []byte
}

func newCallers(s *event.Schema) *callers {
	return &callers{location: s.Index("location"), columns: s.Columns, last: map[context]uint64{}}
}

// note remembers the caller of an event of passingOn.
func (c *callers) note(ev *event.Event) {
	if v := ev.Value(c.location); v != nil {
		c.last[contextOf(ev)] = v.Num
	}
}

// place returns where a packet was dropped, as it is shown, until the next call.
// Where that was only passed on it makes the event's location that of the caller.
func (c *callers) place(ev *event.Event) []byte {
	where := c.write(ev, c.location)
	caller := c.last[contextOf(ev)]
	if caller == 0 || !slices.ContainsFunc(passOn, func(name []byte) bool { return bytes.HasPrefix(where, name) }) {
		return where
	}
	ev.SetNum(c.location, caller)
	return c.write(ev, c.location)
}

// write writes a value as it is shown, nothing where it is absent, until the next call.
func (c *callers) write(ev *event.Event, column int) []byte {
	c.text = c.text[:0]
	if v := ev.Value(column); v != nil {
		c.text = c.columns[column].Kind.Append(c.text, v)
	}
	return c.text
}
