package ktype

import (
	"debug/elf"
	"errors"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

// Files in testdata/clang are what clang 14 made of lines.c and odd.c, in testdata:
//
//	clang --target=ARCH-linux-gnu -nostdinc -O2 -g -gdwarf-5 -ffunction-sections -ffile-prefix-map=$PWD=. -c -o clang/lines-GOARCH.o lines.c
//	clang --target=ARCH-linux-gnu -nostdinc -O2 -g -gdwarf-4 -ffile-prefix-map=$PWD=. -c -o clang/odd-GOARCH.o odd.c
//
// They are to be made again where those are changed.

var clangMachines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// TestClangTypes: clang writes integers' names otherwise than GCC, and bit fields
// that end after their word with a place below 0.
func TestClangTypes(t *testing.T) {
	for arch := range clangMachines {
		t.Run(arch, func(t *testing.T) {
			d, err := OpenDWARF("testdata/clang/odd-" + arch + ".o")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"unsigned long", "long unsigned", "long unsigned int"} {
				if got, err := d.TypeNamed(name); err != nil || got.Name != "unsigned long" || got.Size != 8 || got.Signed {
					t.Errorf("%s: %v, %v", name, got, err)
				}
			}
			if _, err := d.TypeNamed("unsigned longer"); !errors.Is(err, fetchargs.ErrNoType) {
				t.Errorf("unsigned longer: %v", err)
			}
			packed, err := d.TypeNamed("struct packed")
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]fetchargs.Member{
				"c": {Offset: 0}, "i": {Offset: 1, BitSize: 20}, "j": {Offset: 3, BitOffset: 4, BitSize: 12}, "l": {Offset: 5},
			} {
				m, ok := packed.Member(name)
				if !ok || m.Offset != want.Offset || m.BitOffset != want.BitOffset || m.BitSize != want.BitSize {
					t.Errorf("%s: %+v, want %+v", name, m, want)
				}
			}
			// char is signed on one machine and not on the other.
			if c, _ := packed.Member("c"); c.Type.Signed != (arch == "amd64") {
				t.Errorf("char: %+v", c.Type)
			}
		})
	}
}

func TestClangBTF(t *testing.T) {
	b := newBuilder()
	b.add("unsigned long", kindInt, 0, false, 8, 64)
	for _, name := range []string{"unsigned long", "long unsigned int"} {
		if got, err := parseOdd(t, b).TypeNamed(name); err != nil || got.Name != "unsigned long" || got.Size != 8 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestClangLines: a unit with code in several sections has a list of ranges.
func TestClangLines(t *testing.T) {
	registers := map[string][2]string{"amd64": {"%di", "%si"}, "arm64": {"%x0", "%x1"}}
	for arch, machine := range clangMachines {
		t.Run(arch, func(t *testing.T) {
			d, err := OpenDWARF("testdata/clang/lines-" + arch + ".o")
			if err != nil {
				t.Fatal(err)
			}
			if got := d.vmlinux.elf.Machine; got != machine {
				t.Fatal(got)
			}
			start := d.mustSpots(t, Place{Func: "first", Line: 0, HasLine: true})
			if len(start) != 1 || start[0].Offset != 0 {
				t.Fatalf("%+v", start)
			}
			for i, name := range []string{"p", "n"} {
				if l := local(t, start[0], name); l.String() != registers[arch][i] {
					t.Errorf("%s at the start: %s", name, l)
				}
			}
			at := d.mustSpots(t, Place{File: "lines.c", Line: mark(t, "used")})
			if len(at) != 1 || at[0].Symbol != "third" || at[0].Line != mark(t, "used") {
				t.Errorf("%+v", at)
			}
			copies := map[string]bool{}
			for _, s := range d.mustSpots(t, Place{Func: "halve"}) {
				copies[s.Into] = true
			}
			if len(copies) < 2 {
				t.Errorf("halve is inlined into %v", copies)
			}
			if _, err := d.Spots(Place{File: "lines.c", Line: 100000}); err == nil || !strings.Contains(err.Error(), "lines.c") {
				t.Error(err)
			}
		})
	}
}
