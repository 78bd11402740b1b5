package event_test

import (
	"net/netip"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

func TestCompare(t *testing.T) {
	w := newWorld()
	prefix := func(s string) event.Operand { return event.Operand{Prefix: netip.MustParsePrefix(s)} }
	text := func(s string) event.Operand { return event.Operand{Text: s} }
	num := func(n int64) event.Operand { return event.Operand{Num: n} }
	for _, c := range []struct {
		field   string
		op      event.Op
		operand event.Operand
		want    string // "" where the kernel cannot; "!" in front where it is exact
	}{
		// Parameters are exact, what lies in memory may have faulted.
		{"n", event.Eq, num(5), "!n == 5"},
		{"n", event.Lt, num(-5), "!n < -5"},
		{"n", event.Eq, num(1 << 31), ""},
		{"n", event.Ge, num(-1 << 31), "!n >= -2147483648"},
		{"nsize", event.Gt, num(5), "!nsize > 5"},
		{"nsize", event.Gt, num(-1), ""},
		{"nsize", event.Le, num(1<<32 - 1), "!nsize <= 4294967295"},
		{"count", event.Ge, num(1 << 62), "!count >= 4611686018427387904"},
		{"dest_ip", event.Eq, prefix("127.0.0.1/32"), "!dest_ip == 16777343"},
		{"err", event.Eq, num(-110), "err == -110"},
		{"sum", event.Eq, num(3), ""},
		// Ports are big-endian: no order.
		{"port", event.Eq, num(53), "port == 13568"},
		{"port", event.Ne, num(0x1234), "port != 13330"},
		{"port", event.Lt, num(53), ""},
		{"port", event.Eq, num(65536), ""},
		{"proto", event.Eq, text("0x0800"), "proto == 8"},
		{"proto", event.Eq, text("0xfffff"), ""},
		// Bit fields are unsigned for the kernel.
		{"ubits", event.Eq, num(31), "ubits == 31"},
		{"ubits", event.Eq, num(32), ""},
		{"sbits", event.Eq, num(-1), "sbits == 7"},
		{"sbits", event.Lt, num(1), ""},
		// Names are numbers; only equality, and only known ones.
		{"mood", event.Eq, text("BAD"), "mood == -1"},
		{"mood", event.Eq, text("ANGRY"), ""},
		{"mood", event.Lt, text("GOOD"), ""},
		{"mood", event.Eq, text(""), ""},
		{"state", event.Eq, text("LISTEN"), "state == 10"},
		{"next", event.Ne, text("0xffff888000000000"), "next != 18446612682070032384"},
		// Addresses: whole bytes of a prefix.
		{"addr", event.Eq, prefix("10.0.0.2/32"), "addr == 33554442"},
		{"addr", event.Eq, prefix("10.1.0.0/16"), "addr == 266"},
		{"addr", event.Eq, prefix("10.1.0.0/20"), "addr == 266"},
		{"addr", event.Eq, prefix("10.0.0.0/8"), "addr == 10"},
		{"addr", event.Eq, prefix("10.0.0.0/7"), ""},
		{"addr", event.Ne, prefix("10.0.0.0/8"), "addr != 10"},
		{"addr", event.Ne, prefix("10.0.0.0/9"), ""},
		{"addr", event.Eq, prefix("::1/128"), ""},
		{"addr", event.Eq, num(5), ""},
		{"addr", event.Lt, prefix("10.0.0.2/32"), ""},
		// A sock's address is one of IPv4 for that family only.
		{"raddr", event.Eq, prefix("10.0.0.2/32"), "((raddr_is == 2 && raddr == 33554442) || raddr_is != 2)"},
		{"raddr", event.Eq, prefix("2001:db8::/32"), "raddr_is != 2"},
		{"raddr", event.Ne, prefix("2001:db8::/32"), ""},
		{"raddr", event.Eq, num(2), ""},
		// Cases.
		{"how", event.Eq, text("many"), "((n >= 2))"},
		{"how", event.Eq, text("bit"), "((n < 2 && ubits == 1))"},
		{"how", event.Eq, text("other"), "((n < 2))"},
		{"how", event.Ne, text("many"), "((n < 2 && ubits == 1) || (n < 2))"},
		{"how", event.Eq, text("none"), ""},
		{"how", event.Lt, text("many"), ""},
		{"from", event.Eq, num(53), "((n == 2 && port == 13568) || (n != 2 && err >= 0 && to_port != 13568 && to_port == 13568) || (n != 2 && n != 1 && lport == 53))"},
		// What every event has.
		{"comm", event.Eq, text("dig"), `comm == "dig"`},
		{"comm", event.Ne, text("a b"), ""},
		{"comm", event.Lt, text("dig"), ""},
		{"comm", event.Eq, text(""), ""},
		{"comm", event.Eq, text(`d"g`), ""},
		{"comm", event.Eq, text("d*"), ""},
		{"comm", event.Eq, text("d\tg"), ""},
		{"comm", event.Eq, text("dïg"), ""},
		{"cpu", event.Ge, num(3), "!cpu >= 3"},
		{"cpu", event.Eq, num(-1), ""},
		{"cpu", event.Eq, num(1 << 32), ""},
		{"pid", event.Eq, num(3), ""},
		{"nothing", event.Eq, num(3), ""},
	} {
		p, err := event.Compile(everything(), nil, nil, w.kernel(fetchargs.Dialect53))
		if err != nil {
			t.Fatal(err)
		}
		got, exact, ok := p.Probes[0].Compare(c.field, c.op, c.operand)
		switch {
		case !ok:
			got = ""
		case exact:
			got = "!" + got
		}
		if got != c.want {
			t.Errorf("%s %s %+v:\n got %s\nwant %s", c.field, c.op, c.operand, got, c.want)
		}
	}
}

// Arguments for a comparison that is not used in the end are not fetched.
func TestUnusedComparison(t *testing.T) {
	w := newWorld()
	count := func(use bool, comparisons ...string) int {
		p, err := event.Compile(everything(), nil, nil, w.kernel(fetchargs.Dialect53))
		if err != nil {
			t.Fatal(err)
		}
		c := p.Probes[0]
		filter := `comm == "mood"`
		for _, field := range comparisons {
			text, _, ok := c.Compare(field, event.Eq, event.Operand{Num: 1, Text: "GOOD"})
			if !ok {
				t.Fatal(field)
			}
			if use {
				filter += " && " + text
			}
		}
		if err := c.Build(filter); err != nil {
			t.Fatal(err)
		}
		return len(c.Entry.Plan.Args)
	}
	none := count(true)
	if n := count(true, "small", "mood", "port"); n <= none {
		t.Errorf("%d arguments with three comparisons, %d without", n, none)
	}
	if n := count(false, "small", "mood", "port"); n != none {
		t.Errorf("%d arguments with three comparisons that are dropped, %d without", n, none)
	}
}

// TestInterruptHasNoTask holds what the flags of a record say of its task.
func TestInterruptHasNoTask(t *testing.T) {
	p, err := event.Compile(everything(), nil, nil, newWorld().kernel(fetchargs.Dialect53))
	if err != nil {
		t.Fatal(err)
	}
	c := p.Probes[0]
	if err := c.Build(""); err != nil {
		t.Fatal(err)
	}
	bind(t, c)
	m, ev := newMachine(1), p.NewEvent()
	m.fill()
	rec := m.record(c.Entry, false, make([]byte, 4096))
	for _, tt := range []struct {
		what  string
		flags byte
		task  bool
	}{
		{"a task", 0, true},
		{"a task that held off interrupts, and is to be taken off its CPU", 0x01 | 0x04 | 0x20, true},
		{"a task that held off softirqs, from 6.2", 0x80, true},
		{"a softirq", 0x10, false},
		{"a hardirq", 0x08, false},
		{"a breakpoint in a task", 0x40 | 0x08 | 0x01, true},
		{"a breakpoint in a softirq", 0x40 | 0x10 | 0x08 | 0x01, false},
	} {
		rec[2] = tt.flags
		if _, err := c.Decode(c.Entry, 1, rec, ev); err != nil || ev.Task != tt.task {
			t.Errorf("%s: the event has a task: %t (%v)", tt.what, ev.Task, err)
		}
	}
}

func TestSoftirqHasNoTask(t *testing.T) {
	w := newWorld()
	for _, softirq := range []bool{false, true} {
		tool := everything()
		tool.Events[0].Softirq = softirq
		p, err := event.Compile(tool, nil, nil, w.kernel(fetchargs.Dialect53))
		if err != nil {
			t.Fatal(err)
		}
		c := p.Probes[0]
		if _, _, ok := c.Compare("comm", event.Eq, event.Operand{Text: "dig"}); ok == softirq {
			t.Errorf("softirq %t: the kernel compares comm: %t", softirq, ok)
		}
		if p.Schema.Task == softirq {
			t.Errorf("softirq %t: events have a task: %t", softirq, p.Schema.Task)
		}
		if err := c.Build(""); err != nil {
			t.Fatal(err)
		}
		bind(t, c)
		m, ev := newMachine(1), p.NewEvent()
		m.fill()
		rec := m.record(c.Entry, false, make([]byte, 4096))
		if _, err := c.Decode(c.Entry, 1, rec, ev); err != nil || ev.Task == softirq {
			t.Errorf("softirq %t: the event has a task: %t (%v)", softirq, ev.Task, err)
		}
	}
	if p, err := event.Compile(everything(), nil, nil, w.kernel(fetchargs.Dialect310)); err != nil {
		t.Error(err)
	} else if _, _, ok := p.Probes[0].Compare("comm", event.Eq, event.Operand{Text: "dig"}); ok {
		t.Error("a kernel of 3.10 compares comm")
	}
}
