package event_test

import (
	"fmt"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
)

// everything has a field of each kind that the kernel can compare, of memory
// behind pointers that may be NULL.
func everything() *event.Tool {
	return &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"}, Fields: []event.Field{
		{Expr: "sk", Kind: event.Sock},
		{Name: "to", Expr: "t->name", Kind: event.Sockaddr},
		{Name: "n", Expr: "n"},
		{Name: "nsize", Expr: "n", Kind: event.Size},
		{Name: "count", Expr: "count"},
		{Name: "err", Expr: "t->err", Kind: event.Errno},
		{Name: "as_int", Expr: "t->unsigned_err", Kind: event.Int},
		{Name: "small", Expr: "t->small"},
		{Name: "sum", Expr: "t->small + 3"},
		{Name: "wide", Expr: "t->wide"},
		{Name: "big", Expr: "t->big"},
		{Name: "sbits", Expr: "t->sbits"},
		{Name: "ubits", Expr: "t->ubits"},
		{Name: "flag", Expr: "t->flag"},
		{Name: "ok", Expr: "t->ok"},
		{Name: "mood", Expr: "t->next->mood"},
		{Name: "next", Expr: "t->next"},
		{Name: "port", Expr: "t->port", Kind: event.Port},
		{Name: "proto", Expr: "t->port", Kind: event.EtherType},
		{Name: "addr", Expr: "t->addr", Kind: event.IPv4},
		{Name: "dest_ip", Expr: "dest_ip", Kind: event.IPv4},
		{Name: "from", Cases: []event.Case{
			{If: []event.Cond{{Field: "n", Op: event.Equals, Num: 2}}, From: "port"},
			{If: []event.Cond{{Field: "err", Op: event.AtLeast, Num: 0}, {Field: "to_port", Op: event.NotEquals, Num: 53}}, From: "to_port"},
			{If: []event.Cond{{Field: "n", Op: event.NotEquals, Num: 1}}, From: "lport"}}},
		{Name: "how", Cases: []event.Case{
			{If: []event.Cond{{Field: "n", Op: event.AtLeast, Num: 2}}, Text: "many"},
			{If: []event.Cond{{Field: "ubits", Op: event.Equals, Num: 1}}, Text: "bit"},
			{Text: "other"}}},
		{Name: "below", Cases: []event.Case{
			{If: []event.Cond{{Field: "n", Op: event.Less, Num: 2}}, Text: "yes"},
			{If: []event.Cond{{Field: "sbits", Op: event.Less}}, Text: "negative"}}},
		{Name: "few", Cases: []event.Case{
			{If: []event.Cond{{Field: "n", Op: event.AnyOf, Num: 1<<0 | 1<<1}}, Text: "yes"},
			{Text: "no"}}},
	}}}}}}
}

// fill gives all memory new contents, with few different values, so that
// comparisons often hold.
func (m *machine) fill() {
	clear(m.mem)
	pick := func(all ...uint64) uint64 { return all[m.rand.IntN(len(all))] }
	ptr := func(good uint64) uint64 { return pick(good, good, good, good, 0, 0x7f00_0000_0000, ^uint64(21)) }
	const sk, thing, next, name = heap, heap + 0x1000, heap + 0x2000, heap + 0x3000
	for _, addr := range []uint64{sk, thing, next, name} {
		for i := range uint64(200) {
			m.mem[addr+i] = byte(pick(0, 1, 2, 255))
		}
	}
	local, remote := pick(0x0100007f, 0x0200000a, 0x0120010a), pick(0x0100007f, 0x0200000a, 0x0120010a)
	m.put(sk, 4, remote)
	m.put(sk+4, 4, local)
	m.put(sk+12, 2, pick(0x3500, 0x0035, 0))
	m.put(sk+14, 2, pick(53, 2, 0xffff))
	m.put(sk+16, 2, pick(2, 10, 1))
	m.put(sk+18, 1, pick(1, 7, 10))
	m.bytes(sk+24, []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	m.bytes(sk+40, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x02"))
	m.put(thing, 4, pick(0, 1, ^uint64(0), ^uint64(110)))
	m.put(thing+4, 2, pick(0, 5, ^uint64(2)))
	m.put(thing+8, 8, pick(0, 5, 1<<63, 1<<63+7, ^uint64(0)))
	m.put(thing+16, 8, pick(0, 5, 1<<63, ^uint64(0)))
	m.put(thing+24, 4, m.rand.Uint64())
	m.put(thing+28, 1, pick(0, 1))
	m.put(next+32, 4, pick(2, 3, ^uint64(0)))
	m.put(thing+40, 8, ptr(next))
	m.put(thing+64, 8, ptr(name))
	m.put(thing+72, 4, pick(0x0100007f, 0x0200000a, 0x0120010a))
	m.put(thing+96, 2, pick(0x3500, 0x0008))
	m.put(name, 2, pick(0, 2, 10, 1))
	m.put(name+2, 2, pick(0x3500, 0x0035))
	m.put(name+4, 4, pick(0x0100007f, 0x0200000a))
	m.regs["di"], m.regs["si"] = ptr(sk), ptr(thing)
	m.regs["dx"] = pick(0, 1, 2, 5, ^uint64(0), 1<<32|2)
	m.regs["cx"] = pick(0x0100007f, 0x0200000a, 0xdead_0000_0100_007f)
	m.regs["r9"] = pick(0, 5, 1<<63)
}

func conditions() []string {
	var all []string
	add := func(fields []string, ops []string, constants ...string) {
		for _, f := range fields {
			for _, op := range ops {
				for _, c := range constants {
					all = append(all, f+" "+op+" "+c)
				}
			}
		}
	}
	ops, equality := []string{"==", "!=", "<", "<=", ">", ">="}, []string{"==", "!="}
	add([]string{"n", "nsize", "count", "err", "as_int", "small", "sum", "wide", "big", "sbits", "ubits"}, ops, "0", "1", "2", "-1", "-3", "5", "70000", "4294967295")
	add([]string{"lport", "rport", "to_port", "port", "from"}, ops, "53", "0", "2", "65535", "65536", "-1")
	add([]string{"ok", "flag"}, equality, "true", "false")
	add([]string{"family", "to_family"}, equality, `"inet"`, `"inet6"`, `"1"`)
	add([]string{"state"}, equality, `"ESTABLISHED"`, `"LISTEN"`)
	add([]string{"mood"}, equality, `"GOOD"`, `"BAD"`, `"3"`, `"-1"`)
	add([]string{"next"}, equality, `"0x0"`, `"0xffff888000002000"`)
	add([]string{"proto"}, equality, `"0x0800"`, `"53"`)
	add([]string{"how"}, equality, `"many"`, `"bit"`, `"other"`, `"none"`)
	add([]string{"below"}, equality, `"yes"`, `"negative"`)
	add([]string{"few"}, equality, `"yes"`, `"no"`)
	add([]string{"laddr", "raddr", "to_addr", "addr", "dest_ip"}, equality, `"127.0.0.1"`, `"10.0.0.2"`, `"10.0.0.0/8"`, `"10.1.0.0/16"`, `"10.1.0.0/20"`,
		`"0.0.0.0/0"`, `"2001:db8::1"`, `"2001:db8::/32"`, `"::ffff:10.0.0.2"`, `"10.0.0.0/5"`)
	r := newMachine(9).rand
	for range 300 {
		a, b, c := all[r.IntN(len(all))], all[r.IntN(len(all))], all[r.IntN(len(all))]
		all = append(all, fmt.Sprintf("(%s || %s) && %s", a, b, c), fmt.Sprintf("%s && !(%s) || %s", a, b, c))
	}
	return all
}

// TestKernelFilter holds what the kernel and user space decide together against
// the condition alone, over records that keep the bytes of the one before
// where a pointer led nowhere: the kernel lets everything through for which the
// condition is true, and what is left to user space is enough to drop the rest.
func TestKernelFilter(t *testing.T) {
	w := newWorld()
	events, passed, pushed := 0, 0, 0
	wheres := conditions()
	for i, where := range wheres {
		k := w.kernel([]fetchargs.Dialect{fetchargs.Dialect310, fetchargs.Dialect53}[i%2])
		p, err := event.Compile(everything(), nil, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		condition, err := filter.Parse(where, &p.Schema)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		c := p.Probes[0]
		plan := condition.Kernel(c.Event, c)
		if err := c.Build(plan.Kernel); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if plan.Kernel != "" {
			pushed++
		}
		bind(t, c)
		m := newMachine(uint64(i))
		ev, whole := p.NewEvent(), condition.Program()
		buffer := make([]byte, 4096)
		for range 60 {
			m.fill()
			rec := m.record(c.Entry, false, buffer[:0:len(buffer)])
			if ok, err := c.Decode(c.Entry, 1, rec, ev); err != nil || !ok {
				t.Fatalf("%t, %v", ok, err)
			}
			want, kernel := whole.Match(ev), passes(t, c.Entry, false, plan.Kernel, rec)
			events++
			if want {
				passed++
			}
			if want && !kernel {
				t.Errorf("%s: the kernel would drop it: %s\n%v\n%+v", where, plan.Kernel, c.Entry.Plan.Args, ev.Values)
				break
			}
			if got := kernel && plan.Rest.Match(ev); got != want {
				t.Errorf("%s: %t, want %t\n%s\n%v\n%+v", where, got, want, plan, c.Entry.Plan.Args, ev.Values)
				break
			}
		}
	}
	t.Logf("%d conditions, %d of them with a part for the kernel; %d events, of which %d pass", len(wheres), pushed, events, passed)
	if pushed < len(wheres)/2 || passed < events/10 {
		t.Error("the test does not try what it should")
	}
}
