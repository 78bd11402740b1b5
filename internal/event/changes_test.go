package event_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// Whatever changes from one record to the next, a byte, a pointer or a text, the
// event is that of a decoder which has seen nothing before; and it differs from
// the one before in no column but those that it names.
func TestChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	k := newWorld().kernel(fetchargs.Dialect53)
	tool := toolOf(t, "f n sk:sock t->err t->small s2=(t->small+1) t->sbits t->next->mood t->text t->chars x=t->name:sockaddr t->mac:mac t->flag")
	probe := &tool.Events[0].Probes[0]
	probe.Fields = append(probe.Fields, event.Field{Name: "either", Cases: []event.Case{
		{If: []event.Cond{{Field: "err", Op: event.AtLeast, Num: 100}}, From: "small"},
		{If: []event.Cond{{Field: "mood", Op: event.NotEquals, Num: 0}, {Field: "n", Op: event.Equals, Num: 1}}, From: "s2"},
	}}, event.Field{Name: "which", Cases: []event.Case{
		{If: []event.Cond{{Field: "next", Op: event.NotEquals, Num: 0}}, Text: "behind"},
		{If: []event.Cond{{Field: "next", Op: event.Equals, Num: 0}}, Text: "none"},
	}})
	probe.Fields = slices.Insert(probe.Fields, 0, event.Field{Name: "next", Expr: "t->next", Kind: event.Pointer, Hidden: true})
	probe.Only = []event.Cond{{Field: "n", Op: event.AtLeast, Num: 0}}
	compile := func() (*event.Program, *event.Compiled) {
		p, err := event.Compile(tool, nil, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Probes[0].Build(""); err != nil {
			t.Fatal(err)
		}
		bind(t, p.Probes[0])
		return p, p.Probes[0]
	}

	const sk, thing, next, text, name = heap, heap + 0x1000, heap + 0x2000, heap + 0x2800, heap + 0x2c00
	m := newMachine(3)
	for i := range uint64(0x3000) {
		m.mem[heap+i] = 0
	}
	m.regs["di"], m.regs["si"] = sk, thing
	m.put(sk+16, 2, 2)
	m.put(thing+40, 8, next)
	m.put(thing+64, 8, name)
	m.put(thing+80, 8, text)
	p, c := compile()
	ev, last := p.NewEvent(), []event.Value(nil)
	edition := uint64(0)
	same, partly := 0, 0
	follows := uint64(next)
	for range 4000 {
		switch random.IntN(8) {
		case 0:
			m.regs["dx"] = uint64(random.IntN(3)) - 1
		case 1:
			m.put(sk+uint64(random.IntN(20)), 1, uint64(random.IntN(3)))
		case 2:
			m.put(thing+uint64(random.IntN(32)), 1, random.Uint64())
		case 3:
			m.put(thing+48+uint64(random.IntN(6)), 1, random.Uint64())
		case 4:
			m.put(next+32, 4, uint64(random.IntN(2)))
			m.put(name+uint64(random.IntN(8)), 1, uint64(random.IntN(11)))
		case 5:
			m.bytes(text, append(slices.Repeat([]byte{'a' + byte(random.IntN(2))}, random.IntN(9)), 0))
		case 6:
			follows = []uint64{0, 5, next, next, next + 64}[random.IntN(5)]
			m.put(thing+40, 8, follows)
			m.put(thing+80, 8, []uint64{0, text, text, text + 1}[random.IntN(4)])
		}
		record := m.record(c.Entry, false, make([]byte, 4096))
		ok, err := c.Decode(c.Entry, 1, record, ev)
		q, alone := compile()
		fresh := q.NewEvent()
		okAlone, errAlone := alone.Decode(alone.Entry, 1, record, fresh)
		if err != nil || errAlone != nil || ok != okAlone || ok && show(p, ev) != show(q, fresh) {
			t.Fatalf("%v %v %s\nalone %v %v %s", ok, err, show(p, ev), okAlone, errAlone, show(q, fresh))
		}
		if which := map[bool]string{true: "behind", false: "none"}[follows != 0]; ok && string(ev.Values[p.Schema.Column("which")].Text) != which {
			t.Fatalf("%s, and t->next is %#x", show(p, ev), follows)
		}
		switch ev.Edition {
		case edition:
			same++
		case edition + 1:
			for i := range last {
				if ev.Changed>>i&1 != 0 {
					continue
				}
				if partly++; !last[i].Set && ev.Values[i].Set || fmt.Sprint(last[i]) != fmt.Sprint(ev.Values[i]) {
					t.Fatalf("column %s changes from %v to %v, and is not one of %b", p.Schema.Columns[i].Name, last[i], ev.Values[i], ev.Changed)
				}
			}
		default:
			t.Fatalf("edition %d after %d", ev.Edition, edition)
		}
		edition, last = ev.Edition, slices.Clone(ev.Values)
		for i := range last {
			last[i].Text = slices.Clone(last[i].Text)
		}
	}
	t.Logf("%d times nothing changed; %d columns did not while others did", same, partly)
	if partly == 0 {
		t.Error("everything changed each time")
	}
}
