package event_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// inside is a probe at f+64, as debug information finds it: n is in bx there, and
// sk and count are in registers only where f is entered.
func inside(t *testing.T, w world, fields string) *event.Tool {
	t.Helper()
	tool := toolOf(t, "f:7 "+fields)
	tool.Exact = true
	reg := func(name string) fetchargs.Base { return fetchargs.Base{Kind: fetchargs.Register, Name: name} }
	params := w["f()"].Members
	tool.Events[0].Probes[0].Source = nil
	tool.Events[0].Probes[0].Spot = &event.Spot{Symbol: "f.cold", Offset: 64, Func: "f", Entry: "f", Locals: []fetchargs.Local{
		{Name: "sk", Type: params[0].Type, Base: reg("di"), AtEntry: true},
		{Name: "t", Type: params[1].Type, Why: "optimised out here"},
		{Name: "n", Type: s32, Base: reg("bx")},
		{Name: "count", Type: u64, Base: reg("r9"), Offset: 2, AtEntry: true},
	}}
	return tool
}

// What only the function's entry has is carried to each hit inside of it.
func TestCarry(t *testing.T) {
	w := newWorld()
	p, err := event.Compile(inside(t, w, "n count sk num=sk->__sk_common.skc_num"), nil, nil, w.kernel(fetchargs.Dialect53))
	if err != nil {
		t.Fatal(err)
	}
	c := p.Probes[0]
	if _, _, ok := c.Compare("count", event.Eq, event.Operand{Num: 3}); ok {
		t.Error("the kernel compares what the place does not have")
	}
	text, exact, ok := c.Compare("n", event.Ge, event.Operand{Num: 0})
	if !ok || !exact {
		t.Fatalf("n: %q", text)
	}
	if err := c.Build(text); err != nil {
		t.Fatal(err)
	}
	bind(t, c)
	if got := c.Halves(); len(got) != 3 || got[0] != c.Called || got[1] != c.Entry || got[2] != c.Left || !c.IsReturn(c.Left) || c.IsReturn(c.Called) {
		t.Fatalf("%d definitions", len(got))
	}
	if c.Called.Symbol != "f" || c.Called.Offset != 0 || c.Called.Filter != "" || c.Entry.Symbol != "f.cold" || c.Entry.Offset != 64 || c.Entry.Filter != text || len(c.Left.Plan.Args) != 0 {
		t.Errorf("%+v, %+v, %+v", c.Called, c.Entry, c.Left)
	}
	if got := c.FromEntry(); !slices.Equal(got, []string{"count", "sk", "sk->__sk_common.skc_num"}) {
		t.Errorf("from the entry: %q", got)
	}
	m := newMachine(1)
	hit := m.decoder(t, p, c)
	enter := func(tid uint32, sk, count uint64) {
		t.Helper()
		m.regs["di"], m.regs["r9"] = sk, count
		if got := hit(c.Called, tid); got != "" {
			t.Errorf("an entry is an event: %s", got)
		}
		m.regs["di"], m.regs["r9"] = 1, 1 // what was there is gone
	}
	at := func(what string, tid uint32, n uint64, want string) {
		t.Helper()
		m.regs["bx"] = n
		if got := hit(c.Entry, tid); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	leave := func(tid uint32) {
		t.Helper()
		if got := hit(c.Left, tid); got != "" {
			t.Errorf("a return is an event: %s", got)
		}
	}
	m.put(heap+14, 2, 53)
	m.put(heap+0x1000+14, 2, 80)
	leave(1)
	at("of a call that began before", 1, 5, "n=5 count=- sk=- num=-")
	enter(1, heap, 10)
	at("once", 1, 6, "n=6 count=12 sk=0xffff888000000000 num=53")
	m.put(heap+14, 2, 54)
	at("again, and memory as it was", 1, 7, "n=7 count=12 sk=0xffff888000000000 num=53")
	at("on another thread", 2, 8, "n=8 count=- sk=- num=-")
	enter(1, heap+0x1000, 20)
	at("of a call within", 1, 9, "n=9 count=22 sk=0xffff888000001000 num=80")
	leave(1)
	at("after it", 1, 10, "n=10 count=12 sk=0xffff888000000000 num=53")
	leave(1)
	at("at the end", 1, 11, "n=11 count=- sk=- num=-")
	enter(1, 0, 30)
	at("with NULL", 1, 12, "n=12 count=32 sk=0x0 num=-")
	leave(1)
	if hits, entries := c.Unpaired(); hits != 3 || entries != 0 {
		t.Errorf("%d hits without their entry, %d entries given up", hits, entries)
	}
}

// Without a field of the entry there is one definition.
func TestCarryNothing(t *testing.T) {
	w := newWorld()
	p, err := event.Compile(inside(t, w, "n"), nil, nil, w.kernel(fetchargs.Dialect53))
	if err != nil || len(p.Probes[0].Halves()) != 1 || p.Probes[0].FromEntry() != nil {
		t.Errorf("%v", err)
	}
	_, err = event.Compile(inside(t, w, "n t->err"), nil, nil, w.kernel(fetchargs.Dialect53))
	if err == nil || !strings.Contains(err.Error(), "t: optimised out here") {
		t.Errorf("%v", err)
	}
	p, err = event.Compile(inside(t, w, "$sk"), nil, nil, w.kernel(fetchargs.Dialect53))
	if err != nil || len(p.Probes[0].Halves()) != 3 {
		t.Errorf("$sk: %v", err)
	}
}
