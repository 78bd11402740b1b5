package filter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A random is a condition as text, and what it means, told by other means
// than those of the package.
type random struct {
	text string
	is   func(fields) bool
}

var (
	ports  = []int{1, 53, 54}
	comms  = []string{"dig", "curl"}
	addrs  = []string{"10.0.0.1", "10.1.2.3", "192.0.2.1", "::1"}
	events = []string{"udp.sendmsg", "udp.recvmsg"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// randomTest returns a condition without and, or, not.
func randomTest(r *rand.Rand) random {
	name := pick(r, []string{"rport", "lport", "size", "pid", "cpu"})
	port := pick(r, ports)
	number := func(text string, ok func(n int) bool) random {
		return random{text, func(f fields) bool {
			n, has := f[name].(int)
			return has && ok(n)
		}}
	}
	word := func(name, text string, ok func(s string) bool) random {
		return random{text, func(f fields) bool {
			s, has := f[name].(string)
			return has && ok(s)
		}}
	}
	switch r.IntN(20) {
	case 0:
		return number(fmt.Sprintf("%s == %d", name, port), func(n int) bool { return n == port })
	case 1:
		return number(fmt.Sprintf("%s != %d", name, port), func(n int) bool { return n != port })
	case 2:
		return number(fmt.Sprintf("%d < %s", port, name), func(n int) bool { return n > port })
	case 3:
		return number(fmt.Sprintf("%s <= %d", name, port), func(n int) bool { return n <= port })
	case 4:
		return number(fmt.Sprintf("%s in [53, 54]", name), func(n int) bool { return n == 53 || n == 54 })
	case 5:
		return number(fmt.Sprintf("%s not in [53, 54]", name), func(n int) bool { return n != 53 && n != 54 })
	case 6:
		return number(fmt.Sprintf("%s in 2..53", name), func(n int) bool { return n >= 2 && n <= 53 })
	case 7:
		return number(fmt.Sprintf("%s not in 2..53", name), func(n int) bool { return n < 2 || n > 53 })
	case 8:
		return number(fmt.Sprintf("%s + 1 == 54", name), func(n int) bool { return n == 53 })
	case 9:
		return random{name + " == nil", func(f fields) bool { return f[name] == nil }}
	case 10:
		return random{name + " != nil", func(f fields) bool { return f[name] != nil }}
	case 11:
		return word("comm", `comm == "dig"`, func(s string) bool { return s == "dig" })
	case 12:
		return word("comm", `comm != "dig"`, func(s string) bool { return s != "dig" })
	case 13:
		return word("comm", `comm contains "url"`, func(s string) bool { return s == "curl" })
	case 14:
		a := pick(r, addrs)
		return word("raddr", fmt.Sprintf("raddr == %q", a), func(s string) bool { return s == a })
	case 15:
		a := pick(r, addrs)
		return word("raddr", fmt.Sprintf("raddr != %q", a), func(s string) bool { return s != a })
	case 16:
		return word("raddr", `raddr in "10.0.0.0/8"`, func(s string) bool { return strings.HasPrefix(s, "10.") })
	case 17:
		return word("raddr", `raddr not in ["10.0.0.0/8"]`, func(s string) bool { return !strings.HasPrefix(s, "10.") })
	case 18:
		e := pick(r, events)
		return word("event", fmt.Sprintf("event == %q", e), func(s string) bool { return s == e })
	}
	return random{"syn", func(f fields) bool { b, _ := f["syn"].(bool); return b }}
}

func randomCondition(r *rand.Rand, depth int) random {
	if depth == 0 {
		return randomTest(r)
	}
	a, b, c := randomCondition(r, depth-1), randomCondition(r, depth-1), randomCondition(r, r.IntN(depth))
	switch r.IntN(8) {
	case 0, 1, 2:
		return random{"(" + a.text + " && " + b.text + ")", func(f fields) bool { return a.is(f) && b.is(f) }}
	case 3, 4:
		return random{"(" + a.text + " or " + b.text + ")", func(f fields) bool { return a.is(f) || b.is(f) }}
	case 5:
		return random{"!(" + a.text + ")", func(f fields) bool { return !a.is(f) }}
	case 6:
		return random{"(" + a.text + " ? " + b.text + " : " + c.text + ")", func(f fields) bool {
			if a.is(f) {
				return b.is(f)
			}
			return c.is(f)
		}}
	}
	return c
}

func randomEvent(r *rand.Rand) fields {
	f := fields{"event": pick(r, events), "cpu": pick(r, ports)}
	maybe := func(name string, v any) {
		if r.IntN(3) > 0 {
			f[name] = v
		}
	}
	maybe("rport", pick(r, ports))
	maybe("lport", pick(r, ports))
	maybe("size", pick(r, ports))
	maybe("raddr", pick(r, addrs))
	maybe("syn", r.IntN(2) == 0)
	if r.IntN(3) > 0 { // a task has all of them
		f["pid"], f["tid"], f["comm"] = pick(r, ports), 1, pick(r, comms)
	}
	return f
}

// The condition means what it should, and so do the kernel's part and the
// rest together.
func TestRandomConditions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pushed, exact := 0, 0
	for range 3000 {
		cond := randomCondition(r, r.IntN(5))
		f, err := Parse(cond.text, schema)
		if err != nil {
			t.Fatalf("%s: %v", cond.text, err)
		}
		whole := f.Program()
		plans := map[string]Plan{}
		for _, name := range events {
			plans[name] = f.Kernel(name, probe{})
			if plans[name].Kernel != "" {
				pushed++
				if plans[name].Rest == nil {
					exact++
				}
			}
		}
		for range 20 {
			ev := randomEvent(r)
			e := ev.event()
			want := cond.is(ev)
			if got := whole.Match(e); got != want {
				t.Fatalf("%s\n%v: %v, want %v", cond.text, ev, got, want)
			}
			plan := plans[e.Name]
			if got := !plan.Never && kernelMatch(plan.Kernel, ev) && plan.Rest.Match(e); got != want {
				t.Fatalf("%s\n%v: %v, want %v\n%s", cond.text, ev, got, want, plan)
			}
		}
	}
	t.Logf("of 6000 plans %d have a part in the kernel, %d all", pushed, exact)
	if pushed < 1500 || exact < 500 {
		t.Errorf("only %d plans have a part in the kernel, %d all", pushed, exact)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`rport == 53`, `raddr in "10.0.0.0/8" && !(comm contains "x")`, `rport not in [1, 2] or size in 1..5`,
		`(rport ?? 0) > 1 ? syn : !syn`, `any([1, 2], # == rport)`, `comm | lower() == "x"`, `"ü\x1b" == comm`, `1..`, `a?.b`,
		`syn == (rport != nil)`, `raddr == "::ffff:1.2.3.4/100"`, `len(comm) > 2`, `-rport ** 2 < 1e400`, `[rport][0] == 1`,
		`{"a": rport}.a == 1`, `not not syn`, `rport[1:2] == nil`, `if syn { true } else { false }`, `time.Year() > 2000`,
	} {
		f.Add(s)
	}
	some := fields{"rport": 53, "raddr": "10.0.0.1", "comm": "x", "size": 2, "syn": true}.event()
	none := fields{}.event()
	f.Fuzz(func(t *testing.T, where string) {
		if strings.Contains(where, "repeat") || strings.Contains(where, "..") && len(where) > 40 {
			t.Skip("may be slow, as asked for")
		}
		filter, err := Parse(where, schema)
		if err != nil {
			e := err.(*Error)
			if strings.ContainsAny(e.Message, "\n\r") || e.Offset < 0 || e.Offset > len(e.Text) || !strings.HasSuffix(e.Caret(), "^") {
				t.Errorf("%q: %#v", where, e)
			}
			return
		}
		whole := filter.Program()
		plan := filter.Kernel("udp.sendmsg", probe{})
		if strings.Contains(where, "now") {
			return
		}
		for _, e := range [][2]any{{some, fields{"rport": 53, "raddr": "10.0.0.1", "comm": "x", "size": 2, "syn": true}}, {none, fields{}}} {
			event, values := some, e[1].(fields)
			if e[0] == none {
				event = none
			}
			want := whole.Match(event)
			if got := !plan.Never && kernelMatch(plan.Kernel, values) && plan.Rest.Match(event); got != want {
				t.Errorf("%q: %v in parts, %v as a whole", where, got, want)
			}
		}
	})
}
