package fetchargs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// planned asks for expressions (":n" after one for n bytes, ":string",
// ":ustring", and "name=" before one for a scalar) and returns the arguments.
func planned(t *testing.T, target Target, exprs ...string) (*Plan, []Slot) {
	t.Helper()
	p := NewPlanner(target.Dialect)
	var slots []Slot
	for _, text := range exprs {
		slot, err := plannedOne(p, &target, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		slots = append(slots, slot)
	}
	plan, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	return plan, slots
}

func plannedOne(p *Planner, target *Target, text string) (Slot, error) {
	text, kind, _ := strings.Cut(text, ":")
	name, expr, isScalar := strings.Cut(text, "=")
	if !isScalar {
		expr = text
	}
	ref, err := resolve(target, expr)
	switch {
	case err != nil:
		return -1, err
	case isScalar:
		_, err := p.Scalar(name, ref, 0, ref.Type.Signed)
		return -1, err
	case kind == "string" || kind == "ustring":
		return p.Text(ref, kind == "ustring")
	}
	size := 0
	fmt.Sscan(kind, &size)
	return p.Value(ref, size)
}

func line(plan *Plan) string {
	var all []string
	for _, a := range plan.Args {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

func TestPlan(t *testing.T) {
	f := table()
	for _, c := range []struct {
		exprs     []string
		now, d419 string
		d310      string
	}{
		// A parameter alone; two that are one; different widths.
		{[]string{"len", "len"}, "a0=%si:x64", "a0=%si:x64", "a0=%si:u64"},
		{[]string{"d", "(u16)d"}, "a0=%cx:u32 a1=%cx:u16", "a0=%cx:u32 a1=%cx:u16", "a0=%cx:u32 a1=%cx:u16"},
		// One word, with the pointer that leads to it.
		{[]string{"sk->dport"}, "a0=%di:x64 a1=+12(%di):u16", "a0=%di:x64 a1=+12(%di):u16", "a0=%di:u64 a1=+12(%di):u16"},
		// Neighbours: one word, or one array; a word between them is dearer than
		// another argument.
		{[]string{"sk->dport", "sk->family", "sk->daddr"},
			"a0=%di:x64 a1=+0(%di):u32 a2=+12(%di):x64",
			"a0=%di:x64 a1=+0(%di):u32 a2=+12(%di):x64",
			"a0=%di:u64 a1=+0(%di):u32 a2=+12(%di):u64"},
		{[]string{"sk->pair.lo", "sk->word", "sk->next"},
			"a0=%di:x64 a1=+24(%di):x64[3]",
			"a0=%di:x64 a1=+24(%di):u32 a2=+32(%di):x64 a3=+40(%di):x64", ""},
		{[]string{"sk->pair.lo", "sk->next"}, "a0=%di:x64 a1=+24(%di):u32 a2=+40(%di):x64", "", ""},
		// Behind another pointer each argument is dearer, and an array's
		// element is not.
		{[]string{"sk->next->pair.lo", "sk->next->next"}, "a0=%di:x64 a1=+40(%di):x64 a2=+24(+40(%di)):x64[3]", "", ""},
		{[]string{"sk->pair.lo", "sk->pair.hi"}, "a0=%di:x64 a1=+24(%di):x64", "a0=%di:x64 a1=+24(%di):x64", "a0=%di:u64 a1=+24(%di):u64"},
		// Far apart: two arguments.
		{[]string{"sk->daddr", "sk->err"}, "a0=%di:x64 a1=+0(%di):u32 a2=+76(%di):u32", "", ""},
		// Long values without arrays: words side by side.
		{[]string{"sk->name"}, "a0=%di:x64 a1=+48(%di):x64[2]", "a0=%di:x64 a1=+48(%di):x64 a2=+56(%di):x64", "a0=%di:u64 a1=+48(%di):u64 a2=+56(%di):u64"},
		// The words of a long value lie together, whatever else is fetched.
		{[]string{"sk->any", "*(u8 *)sk->text:24", "*(u64 *)sk->text"},
			"a0=%di:x64 a1=+64(%di):x64 a2=+112(%di):x64 a3=+0(+64(%di)):x64[3]",
			"a0=%di:x64 a1=+64(%di):x64 a2=+112(%di):x64 a3=+0(+64(%di)):x64 a4=+8(+64(%di)):x64 a5=+16(+64(%di)):x64", ""},
		// A pointer that is followed is fetched with its neighbours.
		{[]string{"sk->next->dport", "sk->word"}, "a0=%di:x64 a1=+32(%di):x64[2] a2=+12(+40(%di)):u16", "", ""},
		// Text needs what leads to its pointer, not the pointer.
		{[]string{"sk->text:string"}, "a0=%di:x64 a1=+0(+64(%di)):string", "", ""},
		{[]string{"sk->name:string"}, "a0=+48(%di):string", "a0=+48(%di):string", "a0=+48(%di):string"},
		{[]string{"sk->text:ustring"}, "a0=%di:x64 a1=+0(+64(%di)):ustring", "a0=%di:x64 a1=+0(+64(%di)):string", "a0=%di:u64 a1=+0(+64(%di)):string"},
		{[]string{"$comm:string"}, "a0=$comm:string", "", ""},
		// Globals need no pointer.
		{[]string{"@jiffies"}, "a0=@jiffies:x64", "a0=@jiffies:x64", "a0=@jiffies:u64"},
		{[]string{"((struct sock *)@g)->dport"}, "a0=+12(@g):u16 a1=@g:x64", "", ""},
		// Scalars stand alone, and serve values too.
		{[]string{"port=sk->dport", "sk->dport"}, "port=+12(%di):u16 a1=%di:x64", "", ""},
		{[]string{"port=sk->dport", "other=sk->dport", "sk->family"}, "port=+12(%di):u16 a1=%di:x64 a2=+16(%di):u16", "", ""},
		{[]string{"err=sk->err", "flag=sk->flag"}, "err=+76(%di):s32 flag=+72(%di):b2@3/8", "", ""},
		// Names that are the kernel's own, or taken.
		{[]string{"comm=sk->dport", "CPU=sk->family", "common_pid=sk->daddr"}, "comm_=+12(%di):u16 CPU_=+16(%di):u16 common_pid_=+0(%di):u32", "", ""},
		{[]string{"x_2=d", "x=e", "x=len"}, "x_2=%cx:s32 x=%r8:s32 x_3=%si:x64", "", ""},
		{[]string{"a1=d", "len", "e"}, "a1=%cx:s32 a2=%si:x64 a3=%r8:u32", "", ""},
	} {
		for d, want := range map[Dialect]string{Dialect53: c.now, Dialect419: c.d419, Dialect310: c.d310} {
			if want == "" {
				continue
			}
			plan, _ := planned(t, f.at("f", AMD64, d), c.exprs...)
			if got := line(plan); got != want {
				t.Errorf("%v\n got %s\nwant %s", c.exprs, got, want)
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	f := table()
	deep := func(n int) string { return strings.Repeat("*", n) + "(u64 " + strings.Repeat("*", n) + ")sk" }
	for expr, want := range map[string]error{
		"len:9": ErrNotFetchable, "g:4": ErrNotFetchable, "$comm": ErrNotFetchable, "sk->rest": ErrNoType, "sk->hidden->x": ErrNoType,
		"&@jiffies": ErrNotFetchable, "len:string": ErrNotFetchable, "sk->name:513": ErrLimit,
		deep(13): ErrLimit, "x=sk->big": ErrNotFetchable, "x=len + 1": ErrNotFetchable, "x=&sk->pair": ErrNotFetchable, "x=$comm": ErrNotFetchable,
	} {
		target := f.at("f", AMD64, Dialect420)
		p := NewPlanner(target.Dialect)
		if _, err := plannedOne(p, &target, expr); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", expr, err, want)
		}
	}
	target := f.at("f", AMD64, Dialect420)
	if plan, _ := planned(t, target, deep(12)); !strings.Contains(line(plan), strings.Repeat("+0(", 12)+"%di") {
		t.Errorf("twelve loads: %s", line(plan))
	}
	// More pointers than there are bits for, and more arguments.
	p := NewPlanner(Dialect419)
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		_, err = plannedOne(p, &target, fmt.Sprintf("(*(struct sock **)(sk->name + %d))->dport", 8*i))
	}
	if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "63 pointers") {
		t.Errorf("a hundred pointers: %v", err)
	}
	p = NewPlanner(Dialect419)
	for i := range 129 {
		if _, err := plannedOne(p, &target, fmt.Sprintf("*(u8 *)(sk->name + %d)", 16*i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Build(); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "130 arguments") {
		t.Errorf("129 bytes that do not touch: %v", err)
	}
}

func TestRetain(t *testing.T) {
	f := table()
	target := f.at("f", AMD64, Dialect420)
	p := NewPlanner(target.Dialect)
	for _, s := range []string{"port=sk->dport", "family=sk->family", "len"} {
		if _, err := plannedOne(p, &target, s); err != nil {
			t.Fatal(err)
		}
	}
	p.Retain(func(name string) bool { return name == "family" })
	plan, err := p.Build()
	if err != nil || line(plan) != "family=+16(%di):u16 a1=%si:x64" {
		t.Errorf("%s, %v", line(plan), err)
	}
}

func TestInfo(t *testing.T) {
	f := table()
	plan, slots := planned(t, f.at("f", AMD64, Dialect420), "sk->next->dport", "sk->family", "sk->next")
	for i, want := range []string{"sk->next->dport +12(+40(%di)):u16 +0 2 [40 12]", "sk->family +16(%di):u16 +0 2 [16]", "sk->next +40(%di):x64 +0 8 [40]"} {
		in := plan.Info(slots[i])
		if got := fmt.Sprintf("%s %s +%d %d %v", in.Expr, in.Arg.Fetch(), in.Off, in.Size, in.Offsets); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
