package fetchargs

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// filled is a record of a plan in which each argument has the bytes given for
// it, and stale bytes where it has none.
func filled(plan *Plan, values map[string]uint64) []byte {
	places := plan.Predict(false)
	rec := []byte(strings.Repeat("\xee", 200))
	size := 16
	for i, a := range plan.Args {
		if v, ok := values[a.Fetch()]; ok {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], v)
			copy(rec[places[i].Offset:places[i].Offset+places[i].Size], b[:])
		}
		size = places[i].Offset + places[i].Size
	}
	return rec[:size]
}

func TestAbsent(t *testing.T) {
	f := table()
	plan, slots := planned(t, f.at("f", AMD64, Dialect420), "sk->daddr", "sk->next->family", "sk->next->next->family", "sk")
	layout, err := plan.Layout(plan.Predict(false))
	if err != nil {
		t.Fatal(err)
	}
	const good = 0xffff_8880_0000_1000
	for _, c := range []struct {
		name           string
		sk, next, more uint64
		present        string
	}{
		{"all", good, good, good, "1111"},
		{"NULL", 0, good, good, "0001"},
		{"small", 8, good, good, "0001"},
		{"user", 0x7fff_0000_1000, good, good, "0001"},
		{"ERR_PTR", ^uint64(11), good, good, "0001"},
		{"poison", 0xdead_0000_0000_0100, good, good, "0001"},
		{"five levels, arm64 with 52 bits", 0xfff0_0000_0000_0000, good, good, "1111"},
		{"next is NULL", good, 0, good, "1001"},
		{"next is ERR_PTR", good, ^uint64(0), good, "1001"},
		{"next->next is NULL", good, good, 0, "1101"},
	} {
		rec := filled(plan, map[string]uint64{"%di:x64": c.sk, "+40(%di):x64": c.next, "+40(+40(%di)):x64": c.more})
		present, err := layout.Present(rec)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range slots {
			if layout.Bytes(rec, present, s) == nil {
				got += "0"
			} else {
				got += "1"
			}
		}
		if got != c.present {
			t.Errorf("%s: present %s, want %s\n%s", c.name, got, c.present, line(plan))
		}
	}
}

func TestTexts(t *testing.T) {
	f := table()
	plan, slots := planned(t, f.at("f", AMD64, Dialect420), "sk->name:string")
	layout, err := plan.Layout(plan.Predict(false))
	if err != nil {
		t.Fatal(err)
	}
	head := filled(plan, nil)
	for _, c := range []struct {
		loc  uint32
		text string
		want string // "-": absent
	}{
		{20 | 4<<16, "eth0\x00", "eth0"}, // a length without its NUL
		{20 | 5<<16, "eth0\x00", "eth0"},
		{20 | 1<<16, "\x00", ""},
		{20, "eth0\x00", "-"},         // a fault
		{20 | 0<<16, "", "-"},         // and at the end
		{20 | 5<<16, "eth", "-"},      // cut off
		{21 | 5<<16, "eth0\x00", "-"}, // one past the end
		{0xffff | 1<<16, "x", "-"},
		{20 | 0xffff<<16, "x", "-"},
		{20 | 6<<16, "a\x00b\x00c\x00", "a"},
	} {
		rec := append(head[:20:20], c.text...)
		binary.LittleEndian.PutUint32(rec[16:], c.loc)
		present, err := layout.Present(rec)
		if err != nil {
			t.Fatal(err)
		}
		got := layout.Bytes(rec, present, slots[0])
		if c.want == "-" && got != nil || c.want != "-" && (got == nil || string(got) != c.want) {
			t.Errorf("%#x %q = %q (absent: %t), want %q", c.loc, c.text, got, got == nil, c.want)
		}
	}
}

// What lies in a program's memory is there where the last pointer is a program's
// address, also if the same pointer is followed as one of the kernel.
func TestLayoutOfProgramsMemory(t *testing.T) {
	f := table()
	target := f.at("f", AMD64, Dialect53)
	p := NewPlanner(target.Dialect)
	ref, err := resolve(&target, "sk->next->word")
	if err != nil {
		t.Fatal(err)
	}
	kernel, err1 := p.Value(ref, 8)
	program, err2 := p.ProgramValue(ref, 16)
	plan, err3 := p.Build()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if !plan.MayFault() {
		t.Error("the plan does not tell that what it reads may not be there")
	}
	layout, err := plan.Layout(plan.Predict(false))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sk, next        uint64
		kernel, program bool
	}{
		{0xffff_8880_0000_0000, 0xffff_8880_0000_1000, true, false},
		{0xffff_8880_0000_0000, 0x7ffd_0000_1000, false, true},
		{0xffff_8880_0000_0000, 0, false, false},
		{0x7ffd_0000_0000, 0x7ffd_0000_1000, false, false},
	} {
		rec := filled(plan, map[string]uint64{"%di:x64": c.sk, "+40(%di):x64": c.next})
		present, err := layout.Present(rec)
		if err != nil {
			t.Fatal(err)
		}
		if k, p := layout.Bytes(rec, present, kernel) != nil, layout.Bytes(rec, present, program) != nil; k != c.kernel || p != c.program {
			t.Errorf("%#x, %#x: there for the kernel: %t, of the program: %t; %s", c.sk, c.next, k, p, line(plan))
		}
	}
	if len, err := resolve(&target, "len"); err != nil {
		t.Error(err)
	} else if _, err := p.ProgramValue(len, 8); err == nil {
		t.Error("a number is taken for memory")
	}
}

func TestLayoutRefuses(t *testing.T) {
	f := table()
	plan, slots := planned(t, f.at("f", AMD64, Dialect419), "sk->name")
	good := plan.Predict(false)
	layout, err := plan.Layout(good)
	if err != nil {
		t.Fatal(err)
	}
	if layout.Size != 40 {
		t.Errorf("a record has %d bytes", layout.Size)
	}
	for n := range 40 {
		if _, err := layout.Present(make([]byte, n)); err == nil {
			t.Errorf("a record of %d bytes is accepted", n)
		}
	}
	rec := make([]byte, 40)
	binary.LittleEndian.PutUint64(rec[16:], 0xffff_8880_0000_0000)
	copy(rec[24:], "0123456789abcdef")
	present, _ := layout.Present(rec)
	if got := string(layout.Bytes(rec, present, slots[0])); got != "0123456789abcdef" {
		t.Errorf("a value of two words: %s", got)
	}
	for name, change := range map[string]func(p []ArgPlace) []ArgPlace{
		"missing":         func(p []ArgPlace) []ArgPlace { return p[:2] },
		"too small":       func(p []ArgPlace) []ArgPlace { p[1].Size = 4; return p },
		"apart":           func(p []ArgPlace) []ArgPlace { p[2].Offset += 8; return p },
		"in other order":  func(p []ArgPlace) []ArgPlace { p[1].Offset, p[2].Offset = 32, 24; return p },
		"wider":           func(p []ArgPlace) []ArgPlace { p[1].Size, p[2].Offset = 16, 40; return p },
		"negative offset": func(p []ArgPlace) []ArgPlace { p[0].Offset = -8; return p },
	} {
		if _, err := plan.Layout(change(append([]ArgPlace(nil), good...))); err == nil {
			t.Errorf("a format with an argument %s is accepted", name)
		}
	}
}

func TestPredict(t *testing.T) {
	f := table()
	plan, _ := planned(t, f.at("f", AMD64, Dialect420), "g", "on", "sk->name:string")
	for i, want := range []ArgPlace{{"a0", 16, 2}, {"a1", 18, 1}, {"a2", 19, 4}} {
		if got := plan.Predict(false)[i]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		want.Offset += 8
		if got := plan.Predict(true)[i]; got != want {
			t.Errorf("in a return probe %+v, want %+v", got, want)
		}
	}
}
