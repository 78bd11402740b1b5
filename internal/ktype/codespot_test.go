package ktype

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// mark is the line of testdata/lines.c that has @name.
func mark(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("testdata/lines.c")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; strings.Contains(line, "@"+name+" ") {
			return n
		}
	}
	t.Fatalf("nothing is marked @%s", name)
	return 0
}

// relative is the line of a mark counted from a function's.
func relative(t *testing.T, name string) int { return mark(t, name) - mark(t, "first") }

// compileLines compiles testdata/lines.c as a file that is linked or, with "-r", as
// one that is not.
func compileLines(t *testing.T, flags ...string) *DWARF {
	t.Helper()
	out := filepath.Join(t.TempDir(), "lines.o")
	args := append([]string{"-O2", "-fno-PIC", "-o", out}, flags...)
	if flags[len(flags)-1] != "-c" {
		args = append(args, "-shared", "-nostdlib", "-fPIC")
	}
	d, err := OpenDWARF(gcc(t, out, append(args, "testdata/lines.c")...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *DWARF) mustSpots(t *testing.T, p Place) []Spot {
	t.Helper()
	spots, err := d.Spots(p)
	if err != nil {
		t.Fatal(err)
	}
	return spots
}

func local(t *testing.T, s Spot, name string) *fetchargs.Local {
	t.Helper()
	for i := range s.Locals {
		if s.Locals[i].Name == name {
			return &s.Locals[i]
		}
	}
	t.Fatalf("no %s in %v", name, s.Locals)
	return nil
}

func TestSpots(t *testing.T) {
	for name, flags := range map[string][]string{
		"4": {"-gdwarf-4"}, "5": {"-gdwarf-5"}, "5 zlib": {"-gdwarf-5", "-gz=zlib"},
		"4 module": {"-gdwarf-4", "-fno-asynchronous-unwind-tables", "-c"}, "5 module": {"-gdwarf-5", "-fno-asynchronous-unwind-tables", "-c"},
		"5 sections": {"-gdwarf-5", "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-c"},
		"frame":      {"-gdwarf-5", "-fno-asynchronous-unwind-tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSpots(t, compileLines(t, flags...))
		})
	}
}

func testSpots(t *testing.T, d *DWARF) {
	// A line of a function, and the same of the file.
	at := d.mustSpots(t, Place{Func: "first", HasLine: true, Line: relative(t, "frame")})
	if len(at) != 1 || at[0].Symbol != "first" || at[0].Func != "first" || at[0].Line != mark(t, "frame") || at[0].Into != "" || !strings.HasSuffix(at[0].File, "testdata/lines.c") {
		t.Errorf("%+v", at)
	}
	for _, file := range []string{"lines.c", "testdata/lines.c"} {
		same := d.mustSpots(t, Place{File: file, Line: mark(t, "frame")})
		if len(same) != 1 || same[0].Offset != at[0].Offset || same[0].Symbol != "first" {
			t.Errorf("%s: %+v", file, same)
		}
	}
	if l := local(t, at[0], "frame"); !l.Memory || l.Base.Name != "sp" && l.Base.Name != "bp" || l.Type.String() != "char[40]" {
		t.Errorf("frame: %+v %s", l, l)
	}
	for name, typ := range map[string]string{"p": "struct packet *", "n": "long"} {
		if l := local(t, at[0], name); l.Base.Kind != fetchargs.Register || l.Memory || l.Type.String() != typ {
			t.Errorf("%s is %s in %s", name, l.Type, l)
		}
	}
	if l := local(t, at[0], "got"); !strings.Contains(l.Why, "optimised out here; alive at lines ") {
		t.Errorf("got: %q", l.Why)
	}
	// The start of the function.
	start := d.mustSpots(t, Place{Func: "first", HasLine: true})
	if len(start) != 1 || start[0].Offset != 0 || start[0].Line != mark(t, "first") {
		t.Errorf("%+v", start)
	}
	for name, register := range map[string]string{"p": "%di", "n": "%si"} {
		if l := local(t, start[0], name); l.String() != register {
			t.Errorf("%s at the start: %s", name, l)
		}
	}
	// A label.
	out := d.mustSpots(t, Place{Func: "first", Label: "out"})
	if len(out) != 1 || out[0].Symbol != "first" || out[0].Offset <= at[0].Offset {
		t.Errorf("%+v", out)
	}
	// What is nowhere any more, but was in a register when the function was entered.
	late := d.mustSpots(t, Place{File: "lines.c", Line: mark(t, "unused")})
	if len(late) != 1 || late[0].Symbol != "third" || late[0].Offset == 0 || late[0].Entry != "third" || late[0].EntryOffset != 0 {
		t.Errorf("%+v", late)
	}
	if l := local(t, late[0], "n"); l.String() != "%di at entry" || !l.AtEntry {
		t.Errorf("n of third: %s", l)
	}
	if l := local(t, late[0], "used"); l.Why != "computed" {
		t.Errorf("used: %s", l)
	}
	// Each copy of what was inlined.
	copies := d.mustSpots(t, Place{Func: "halve"})
	into := map[string]Spot{}
	for _, s := range copies {
		into[s.Into] = s
		if s.Func != "halve" || s.Symbol != s.Into || s.Offset == 0 || s.Entry != s.Into || s.EntryOffset != 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(copies) != 2 || len(into) != 2 || into["first"].Symbol == "" {
		t.Fatalf("%+v", copies)
	}
	for function, by := range map[string]string{"first": "2", "second": "3"} {
		if l := local(t, into[function], "by"); l.String() != by {
			t.Errorf("in %s, by is %s", function, l)
		}
	}
	if both := d.mustSpots(t, Place{File: "lines.c", Line: mark(t, "halve")}); len(both) != 2 {
		t.Errorf("%+v", both)
	}
	// The nearest statement.
	next := d.mustSpots(t, Place{File: "lines.c", Line: mark(t, "nothing")})
	if len(next) != 1 || next[0].Line != mark(t, "nothing")+1 {
		t.Errorf("%+v", next)
	}
	// A constant.
	end := d.mustSpots(t, Place{File: "lines.c", Line: mark(t, "end")})
	if l := local(t, end[0], "unused"); l.String() != "4" {
		t.Errorf("unused: %s", l)
	}
}

// TestMemoryAtEntry does not take what lies in memory now for what lay there when
// the function was entered.
func TestMemoryAtEntry(t *testing.T) {
	d := compileLines(t, "-gdwarf-5")
	all, err := d.vmlinux.functions("third")
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	copies, err := d.vmlinux.copies(all[0])
	if err != nil || len(copies) != 1 {
		t.Fatal(copies, err)
	}
	i := copies[0]
	for _, c := range []struct {
		v         dwarfloc.Value
		pc        uint64
		want, why string
	}{
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 5, Bits: 64}, 4, "%di at entry", ""},
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 5, Add: 8, Bits: 64}, 4, "%di+8 at entry", ""},
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 5, Bits: 64}, 0, "%di", ""},
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 5, Memory: true, Bits: 64}, 4, "", "not kept: it is in memory now, at what %di was when third was entered"},
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 4, Loads: []int64{8}, Bits: 64}, 4, "", "not kept: it is in memory now, at what %si was when third was entered"},
		{dwarfloc.Value{From: dwarfloc.AtEntry, Reg: 5, Loads: []int64{8}, Bits: 64}, 0, "+8(%di)", ""},
	} {
		l := fetchargs.Local{Name: "x", Type: &fetchargs.Type{Kind: fetchargs.Int, Name: "long", Size: 8}}
		i.place(&l, c.v, i.start()+c.pc)
		if l.Why != c.why || c.why == "" && l.String() != c.want {
			t.Errorf("%+v at +%d: %s (%s)", c.v, c.pc, &l, l.Why)
		}
	}
}

func TestNoSpots(t *testing.T) {
	d := compileLines(t, "-gdwarf-5")
	for _, c := range []struct {
		place Place
		says  []string
	}{
		{Place{Func: "nope", HasLine: true, Line: 1}, []string{"nope:1: ", "has no function nope"}},
		{Place{File: "nope.c", Line: 1}, []string{"nope.c:1: ", "no code of such a file"}},
		{Place{File: "lines.c", Line: 1000}, []string{"lines.c:1000: no statement begins there or after it; the last is at line "}},
		{Place{Func: "first", Label: "nope"}, []string{"first%nope: there is no such label", "there are out"}},
		{Place{Func: "second", Label: "nope"}, []string{"the function has no label"}},
		{Place{Func: "first", HasLine: true, Line: relative(t, "nothing")}, []string{"no statement begins at line", "testdata/lines.c:", "the nearest are at lines "}},
		{Place{Func: "first", HasLine: true, Line: 1000}, []string{"; the last is at line "}},
		{Place{Module: "nope", Func: "first", HasLine: true, Line: 1}, []string{"nope:first:1: "}},
	} {
		_, err := d.Spots(c.place)
		var none *PlaceError
		if err == nil || c.place.Module == "" && !errors.As(err, &none) {
			t.Errorf("%s: %v", c.place, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s does not say %q", err, s)
			}
		}
	}
}

// TestFunctionsOfFile lists the functions that have code of their own.
func TestFunctionsOfFile(t *testing.T) {
	for _, flags := range [][]string{{"-gdwarf-4"}, {"-gdwarf-5"}} {
		d := compileLines(t, flags...)
		for _, file := range []string{"lines.c", "testdata/lines.c"} {
			names, err := d.Functions("", file)
			if err != nil || !slices.Equal(names, []string{"first", "second", "third"}) {
				t.Errorf("%v: %s: %q %v", flags, file, names, err)
			}
		}
		var none *PlaceError
		if names, err := d.Functions("", "nope.c"); !errors.As(err, &none) || !strings.HasPrefix(err.Error(), "nope.c: ") {
			t.Errorf("%q %v", names, err)
		}
		if names, err := d.Functions("nope", "lines.c"); err == nil {
			t.Errorf("%q", names)
		}
	}
}

// TestFunctionsOfModuleFile finds the file in the module that is named, and in a
// loaded one where none is.
func TestFunctionsOfModuleFile(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"proc/modules": "lines_mod 16384 0 - Live 0x0\n",
		"lib/modules/" + testRelease + "/modules.dep": "kernel/net/lines-mod.ko:\n",
	} {
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDWARF(compile(t, "-g"))
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(root, "lines.o")
	gcc(t, module, "-O2", "-g", "-c", "-o", module, "testdata/lines.c")
	install(t, root, "usr/lib/debug/lib/modules/"+testRelease+"/kernel/net/lines-mod.ko", module)
	d.modules = newModuleFiles(root, testRelease, d.vmlinux)
	want := []string{"lines_mod:first", "lines_mod:second", "lines_mod:third"}
	for _, name := range []string{"lines_mod", "lines-mod", ""} {
		if names, err := d.Functions(name, "testdata/lines.c"); err != nil || !slices.Equal(names, want) {
			t.Errorf("%q: %q, %v", name, names, err)
		}
	}
	var none *PlaceError
	if names, err := d.Functions("lines_mod", "odd.c"); !errors.As(err, &none) {
		t.Errorf("a file of vmlinux: %q, %v", names, err)
	}
}
