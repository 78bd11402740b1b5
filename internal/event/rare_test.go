package event_test

import (
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
)

// What most hits do not fulfil is left to the kernel, with a filter of the
// user's and without one, and user space agrees with it.
func TestRare(t *testing.T) {
	tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"},
		Rare:   []event.Cond{{Field: "n", Op: event.AnyOf, Num: 1<<1 | 1<<2}, {Field: "state", Op: event.NotEquals, Num: 10}},
		Fields: []event.Field{{Name: "n", Expr: "n"}, {Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.State, Hidden: true}},
	}}}}}
	for where, want := range map[string]string{
		"":                "(n == 1 || n == 2) && state != 10",
		"n == 2 || n > 5": "(n == 1 || n == 2) && state != 10 && (n == 2 || n > 5)",
	} {
		p, err := event.Compile(tool, nil, nil, newWorld().kernel(fetchargs.Dialect53))
		if err != nil {
			t.Fatal(err)
		}
		c := p.Probes[0]
		var condition *filter.Filter
		if where != "" {
			if condition, err = filter.Parse(where, &p.Schema); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Build(condition.Kernel(c.Event, c).Kernel); err != nil {
			t.Fatal(err)
		}
		if c.Entry.Filter != want {
			t.Errorf("%q: the kernel's filter is %q, want %q", where, c.Entry.Filter, want)
		}
		bind(t, c)
		m, ev, buffer, fulfilled := newMachine(3), p.NewEvent(), make([]byte, 4096), 0
		for range 200 {
			m.fill()
			rec := m.record(c.Entry, false, buffer[:0:len(buffer)])
			ok, err := c.Decode(c.Entry, 1, rec, ev)
			if err != nil {
				t.Fatal(err)
			}
			kernel := passes(t, c.Entry, false, strings.SplitN(c.Entry.Filter, " && (n ==", 2)[0], rec)
			if ok && !kernel {
				t.Errorf("%q: the kernel drops what fulfils the conditions: %v", where, ev.Values)
			}
			if ok {
				fulfilled++
			}
		}
		if fulfilled == 0 || fulfilled == 200 {
			t.Errorf("%q: %d of 200 fulfil the conditions", where, fulfilled)
		}
	}
}

// What is one of several things reaches the kernel's filter too.
func TestRareCases(t *testing.T) {
	tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"},
		Rare: []event.Cond{{Field: "large", Op: event.AtLeast, Num: 12}},
		Fields: []event.Field{
			{Name: "n", Expr: "n"}, {Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.Uint, Hidden: true},
			{Name: "large", Hidden: true, Cases: []event.Case{
				{If: []event.Cond{{Field: "state", Op: event.Equals, Num: 1}}, From: "n"},
				{If: []event.Cond{{Field: "state", Op: event.Equals, Num: 10}}, From: "n"},
			}},
		}}}}}}
	p, err := event.Compile(tool, nil, nil, newWorld().kernel(fetchargs.Dialect53))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Probes[0].Build(""); err != nil {
		t.Fatal(err)
	}
	if got, want := p.Probes[0].Entry.Filter, "((state == 1 && n >= 12) || (state == 10 && n >= 12))"; got != want {
		t.Errorf("the kernel's filter is %q, want %q", got, want)
	}
}

// A Reducer sees hidden fields, also one that a case takes.
func TestHiddenForReduce(t *testing.T) {
	tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"}, Fields: []event.Field{
		{Name: "n", Expr: "n", Hidden: true},
		{Name: "count", Expr: "count", Hidden: true},
		{Name: "shown", Cases: []event.Case{{If: []event.Cond{{Field: "n", Op: event.NotEquals, Num: 0}}, From: "count"}}},
	}}}}}}
	p, err := event.Compile(tool, nil, nil, newWorld().kernel(fetchargs.Dialect53))
	if err != nil {
		t.Fatal(err)
	}
	n, count, shown := p.Schema.Index("n"), p.Schema.Index("count"), p.Schema.Index("shown")
	if p.Schema.Column("n") >= 0 || p.Schema.Index("none") >= 0 || shown != p.Schema.Column("shown") {
		t.Fatalf("columns: %v", p.Schema.Columns)
	}
	c := p.Probes[0]
	if err := c.Build(""); err != nil {
		t.Fatal(err)
	}
	bind(t, c)
	m, ev := newMachine(4), p.NewEvent()
	m.regs["di"], m.regs["dx"], m.regs["r9"] = heap, 0, 7
	if ok, err := c.Decode(c.Entry, 1, m.record(c.Entry, false, make([]byte, 4096)[:0:4096]), ev); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ev.Value(shown) != nil || ev.Value(-1) != nil || ev.Value(n) == nil || ev.Value(n).Num != 0 || ev.Value(count) == nil || ev.Value(count).Num != 7 {
		t.Errorf("n %v, count %v, shown %v", ev.Value(n), ev.Value(count), ev.Value(shown))
	}
}
