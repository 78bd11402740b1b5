package filter

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// probe compares as a probe does that fetches rport, lport, pid and comm by
// themselves, IPv4 addresses only where the family says so, and size not.
type probe struct{}

func (probe) Compare(name string, op event.Op, o event.Operand) (text string, exact, ok bool) {
	switch name {
	case "rport", "pid", "cpu", "syn":
		return fmt.Sprintf("%s %s %d", name, op, o.Num), true, true
	case "lport": // big-endian
		return fmt.Sprintf("lport %s %d", op, o.Num), true, op == event.Eq || op == event.Ne
	case "comm":
		return fmt.Sprintf("comm %s %q", op, o.Text), true, !strings.ContainsAny(o.Text, " ()")
	case "family":
		n, ok := family.Lookup(o.Text)
		return fmt.Sprintf("family %s %d", op, n), true, ok
	case "raddr":
		if !o.Prefix.Addr().Is4() {
			return "", false, false
		}
		first := binary.BigEndian.Uint32(o.Prefix.Addr().AsSlice())
		last := first | uint32(1<<(32-o.Prefix.Bits())-1)
		if op == event.Eq {
			return fmt.Sprintf("kind != 2 || raddr >= %d && raddr <= %d", first, last), false, true
		}
		return fmt.Sprintf("kind != 2 || raddr < %d || raddr > %d", first, last), false, true
	}
	return "", false, false
}

// kernel evaluates the text of a kernel filter as the kernel does: a small
// part of kernel/trace/trace_events_filter.c.
type kernel struct {
	tokens []string
	fields fields
}

func kernelMatch(text string, f fields) bool {
	if text == "" {
		return true
	}
	all := fields{"cpu": 0, "kind": 0}
	for name, v := range f {
		all[name] = v
	}
	if s, ok := all["raddr"].(string); ok {
		if addr := netip.MustParseAddr(s); addr.Is4() {
			all["kind"], all["raddr"] = 2, int(binary.BigEndian.Uint32(addr.AsSlice()))
		} else {
			all["kind"], all["raddr"] = 10, 0
		}
	}
	if b, ok := all["syn"].(bool); ok {
		all["syn"] = 0
		if b {
			all["syn"] = 4 // a bit somewhere
		}
	}
	text = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text)
	k := &kernel{strings.Fields(text), all}
	ok := k.or()
	if len(k.tokens) > 0 {
		panic("trailing " + strings.Join(k.tokens, " "))
	}
	return ok
}

func (k *kernel) next() string {
	t := k.tokens[0]
	k.tokens = k.tokens[1:]
	return t
}

func (k *kernel) accept(t string) bool {
	if len(k.tokens) == 0 || k.tokens[0] != t {
		return false
	}
	k.next()
	return true
}

func (k *kernel) or() bool {
	v := k.and()
	for k.accept("||") {
		v = k.and() || v
	}
	return v
}

func (k *kernel) and() bool {
	v := k.test()
	for k.accept("&&") {
		v = k.test() && v
	}
	return v
}

func (k *kernel) test() bool {
	if k.accept("(") {
		v := k.or()
		if !k.accept(")") {
			panic("no )")
		}
		return v
	}
	name, op, want := k.next(), k.next(), k.next()
	have, ok := k.fields[name]
	if !ok {
		return false
	}
	sign := 0
	if s, ok := have.(string); ok {
		unquoted, err := strconv.Unquote(want)
		if err != nil {
			panic(err)
		}
		sign = strings.Compare(s, unquoted)
	} else {
		n, err := strconv.Atoi(want)
		if err != nil {
			panic(err)
		}
		sign = cmp.Compare(have.(int), n)
	}
	for o := event.Eq; o <= event.Ge; o++ {
		if o.String() == op {
			return holds(o, sign)
		}
	}
	panic("operator " + op)
}

func TestPlan(t *testing.T) {
	for _, c := range []struct{ where, send, recv string }{
		{`rport == 53`, "kernel: rport == 53", ""},
		{`!(rport == 53)`, "skprobe: !(rport == 53)", ""},
		{`rport != 53`, "kernel: rport != 53", ""},
		{`53 < rport`, "kernel: rport > 53", ""},
		{`size > 0`, "skprobe: size > 0", ""},
		{`rport == 53 && size > 0`, "kernel: rport == 53; and by skprobe: size > 0", ""},
		{`rport == 53 || size > 0`, "skprobe: rport == 53 || size > 0", ""},
		{`rport in [53, 5353]`, "kernel: rport == 53 || rport == 5353", ""},
		{`rport not in [53, 5353]`, "kernel: rport != 53 && rport != 5353", ""},
		{`not (rport in [53, 5353])`, "skprobe: !(rport == 53) && !(rport == 5353)", ""},
		{`rport in [53, 5353] && pid == 7`, "kernel: (rport == 53 || rport == 5353) && pid == 7", ""},
		{`rport in 1..1023`, "kernel: rport >= 1 && rport <= 1023", ""},
		{`rport not in 1..1023`, "kernel: rport < 1 || rport > 1023", ""},
		{`lport == 53`, "kernel: lport == 53", ""},
		{`lport < 53`, "skprobe: lport < 53", ""},
		{`lport < 53 && rport > 1 || pid == 1`, "kernel: rport > 1 || pid == 1; and by skprobe: (lport < 53 && rport > 1) || pid == 1", ""},
		{`comm == "dig"`, `kernel: comm == "dig"`, ""},
		{`comm == "d\"g"`, `skprobe: comm == "d\"g"`, ""},
		{`comm == "d*"`, `skprobe: comm == "d*"`, ""},
		{`comm == ""`, `skprobe: comm == ""`, ""},
		{`comm > "c"`, `skprobe: comm > "c"`, ""},
		{`family == "inet"`, "kernel: family == 2", ""},
		{`syn`, "kernel: syn != 0", ""},
		{`syn == false`, "kernel: syn == 0", ""},
		{`!syn`, "skprobe: !(syn == true)", ""},
		{`!(cpu == 1)`, "kernel: cpu != 1", ""},
		{`!(cpu == 1 || cpu > 3)`, "kernel: cpu != 1 && cpu <= 3", ""},
		{`raddr == "10.0.0.0/8"`, `kernel: kind != 2 || raddr >= 167772160 && raddr <= 184549375; and by skprobe: raddr == "10.0.0.0/8"`, ""},
		{`raddr == "10.0.0.0/8" && pid == 1`, `kernel: (kind != 2 || raddr >= 167772160 && raddr <= 184549375) && pid == 1; and by skprobe: raddr == "10.0.0.0/8"`, ""},
		{`raddr == "::1"`, `skprobe: raddr == "::1"`, ""},
		{`rport == nil`, "skprobe: rport == nil", ""},
		{`event == "udp.sendmsg"`, "-", "never"},
		{`event != "udp.sendmsg"`, "never", "-"},
		{`event endsWith "recvmsg" and rport == 53`, "never", "kernel: rport == 53"},
		{`event == "udp.sendmsg" ? rport == 53 : lport == 53`, "kernel: rport == 53", "kernel: lport == 53"},
		{`!(event == "udp.sendmsg" && size > 0)`, "skprobe: !(size > 0)", "-"},
		{`event != nil && cpu != nil`, "-", "-"},
		{`false`, "never", "never"},
		{`1 == 1`, "-", "-"},
	} {
		f, err := Parse(c.where, schema)
		if err != nil {
			t.Fatal(err)
		}
		if c.recv == "" {
			c.recv = c.send
		}
		for name, want := range map[string]string{"udp.sendmsg": c.send, "udp.recvmsg": c.recv} {
			switch want {
			case "-":
				want = name + ": not filtered"
			case "never":
				want = name + ": no event passes the filter"
			default:
				want = name + ": filtered by the " + want
				want = strings.Replace(want, "the skprobe", "skprobe", 1)
			}
			if got := f.Kernel(name, probe{}).String(); got != want {
				t.Errorf("%s: got\n  %s, want\n  %s", c.where, got, want)
			}
		}
	}
	var none *Filter
	if got := none.Kernel("x", probe{}); got != (Plan{Event: "x"}) {
		t.Errorf("no filter: %+v", got)
	}
}

// What does not fit into the kernel's filter is left to user space.
func TestPlanLength(t *testing.T) {
	list := func(n int) string {
		var ports []string
		for i := range n {
			ports = append(ports, strconv.Itoa(10000+i))
		}
		return "rport in [" + strings.Join(ports, ", ") + "]"
	}
	f, err := Parse(list(300)+" && pid == 1 && "+list(100), schema)
	if err != nil {
		t.Fatal(err)
	}
	plan := f.Kernel("udp.sendmsg", probe{})
	if !strings.HasPrefix(plan.Kernel, "pid == 1 && (rport == 10000 || ") || len(plan.Kernel) > maxKernel {
		t.Errorf("%d bytes: %s", len(plan.Kernel), plan.Kernel)
	}
	if e := (fields{"rport": 10250}).event(); !plan.Rest.Match(e) {
		t.Error("the long list must be left")
	}
}
