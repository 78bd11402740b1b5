package ktype

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
)

// compile makes a shared object (what a vmlinux is like) or, with "-r", a
// relocatable file (what a module is) of the C files in testdata.
func compile(t testing.TB, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "vmlinux")
	args := append([]string{"-O2", "-fPIC", "-nostdlib", "-o", out}, flags...)
	if flags[len(flags)-1] != "-r" {
		args = append(args, "-shared", "-Wl,--build-id")
	}
	return gcc(t, out, append(args, "testdata/odd.c", "testdata/elsewhere.c")...)
}

// gcc runs it; what it does not know is no fault.
func gcc(t testing.TB, out string, args ...string) string {
	t.Helper()
	cmd := exec.Command("gcc", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(text), "not recognized") || strings.Contains(string(text), "not supported") || strings.Contains(string(text), "zstd") {
			t.Skipf("%s", text)
		}
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

var versions = map[string][]string{
	"2":                   {"-gdwarf-2", "-gstrict-dwarf"},
	"3":                   {"-gdwarf-3"},
	"4":                   {"-gdwarf-4"},
	"5":                   {"-gdwarf-5"},
	"4 compressed":        {"-gdwarf-4", "-gz=zlib"},
	"5 zlib":              {"-gdwarf-5", "-gz=zlib"},
	"4 module":            {"-gdwarf-4", "-r"},
	"5 module":            {"-gdwarf-5", "-r"},
	"5 compressed module": {"-gdwarf-5", "-gz=zlib", "-r"},
	"LTO":                 {"-g", "-flto", "-ffat-lto-objects"},
}

const oddWant = `struct odd kind 6 size 160 signed false incomplete false
 before at 0 bits 0:0: u32 kind 1 size 4 signed false incomplete false
 low at 4 bits 0:3: unsigned int kind 1 size 4 signed false incomplete false
 middle at 4 bits 3:7: unsigned int kind 1 size 4 signed false incomplete false
 signed_bits at 5 bits 2:5: int kind 1 size 4 signed true incomplete false
 small at 6 bits 0:2: unsigned char kind 1 size 1 signed false incomplete false
 far at 8 bits 0:33: unsigned long long kind 1 size 8 signed false incomplete false
  at 14 bits 0:0: union {…} kind 7 size 2 signed false incomplete false
   at 0 bits 0:0: struct {…} kind 6 size 2 signed false incomplete false
   a at 0 bits 0:0: char kind 1 size 1 signed true incomplete false
   b at 1 bits 0:0: char kind 1 size 1 signed true incomplete false
  both at 0 bits 0:0: short kind 1 size 2 signed true incomplete false
 state at 16 bits 0:4: enum state kind 3 size 4 signed true incomplete false
  STATE_BAD=-1
  STATE_GOOD=0
  STATE_LARGE=300
 text at 24 bits 0:0: char * kind 4 size 8 signed false incomplete false
 call at 32 bits 0:0: function pointer kind 4 size 8 signed false incomplete false
 table at 40 bits 0:0: function pointer kind 5 size 24 signed false incomplete false
  of function pointer kind 4 size 8 signed false incomplete false
 grid at 64 bits 0:0: int[3][2] kind 5 size 24 signed false incomplete false
  of int[3] kind 5 size 12 signed false incomplete false
   of int kind 1 size 4 signed true incomplete false
 none at 88 bits 0:0: int[0] kind 5 size 0 signed false incomplete false
  of int kind 1 size 4 signed true incomplete false
 yes at 88 bits 0:0: _Bool kind 2 size 1 signed false incomplete false
 refs at 92 bits 0:0: atomic_t kind 6 size 4 signed false incomplete false
  counter at 0 bits 0:0: int kind 1 size 4 signed true incomplete false
 alias at 96 bits 0:0: alias_t kind 1 size 4 signed false incomplete false
 opaque at 104 bits 0:0: struct only_declared * kind 4 size 8 signed false incomplete false
 other at 112 bits 0:0: struct elsewhere * kind 4 size 8 signed false incomplete false
 nothing at 120 bits 0:0: void * kind 4 size 8 signed false incomplete false
 large at 128 bits 0:0: long double kind 9 size 16 signed false incomplete false
 named at 144 bits 0:0: union {…} kind 7 size 4 signed false incomplete false
  x at 0 bits 0:0: int kind 1 size 4 signed true incomplete false
  y at 0 bits 0:0: float kind 9 size 4 signed false incomplete false
 rest at 148 bits 0:0: int[0] kind 5 size 0 signed false incomplete false
  of int kind 1 size 4 signed true incomplete false`

// TestDWARFZstd: gcc may not know this compression although objcopy does.
func TestDWARFZstd(t *testing.T) {
	file := compile(t, "-gdwarf-5")
	if text, err := exec.Command("objcopy", "--compress-debug-sections=zstd", file).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, text)
	}
	d, err := OpenDWARF(file)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := d.TypeNamed("struct odd"); err != nil || dump(s, 0) != oddWant {
		t.Errorf("%v, %v", s, err)
	}
}

func TestDWARFTypes(t *testing.T) {
	for name, flags := range versions {
		t.Run(name, func(t *testing.T) {
			file := compile(t, flags...)
			d, err := OpenDWARF(file)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"struct odd": oddWant,
				"struct packed": "struct packed kind 6 size 13 signed false incomplete false\n c at 0 bits 0:0: char kind 1 size 1 signed true incomplete false" +
					"\n i at 1 bits 0:20: int kind 1 size 4 signed true incomplete false\n j at 3 bits 4:12: int kind 1 size 4 signed true incomplete false" +
					"\n l at 5 bits 0:0: long kind 1 size 8 signed true incomplete false",
				"enum flags":           "enum flags kind 3 size 4 signed false incomplete false\n FLAG_LOW=1\n FLAG_HIGH=2147483648",
				"enum wide":            "enum wide kind 3 size 8 signed false incomplete false\n WIDE=1099511627776",
				"long unsigned":        "unsigned long kind 1 size 8 signed false incomplete false",
				"const u32":            "u32 kind 1 size 4 signed false incomplete false",
				"atomic_t":             "atomic_t kind 6 size 4 signed false incomplete false\n counter at 0 bits 0:0: int kind 1 size 4 signed true incomplete false",
				"struct only_declared": "struct only_declared kind 6 size 0 signed false incomplete true",
				"float":                "float kind 9 size 4 signed false incomplete false",
				"void":                 "void kind 0 size 0 signed false incomplete false",
			} {
				got, err := d.TypeNamed(name)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if s := dump(got, 0); s != want {
					t.Errorf("%s:\n%s", name, cmp.Diff(want, s))
				}
			}
			odd, err := d.TypeNamed("struct odd")
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := odd.Member("other"); !ok || m.Type.Elem().Incomplete || m.Type.Elem().Size != 16 {
				t.Errorf("the definition in another unit is not found: %v", m.Type.Elem())
			}
			if m, ok := odd.Member("call"); !ok || fetchargs.Declare(m.Type, "call") != "int (*call)(struct odd *, char *)" {
				t.Errorf("call: %s", fetchargs.Declare(m.Type, "call"))
			}
			if _, err := d.TypeNamed("odd"); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "there is struct odd") {
				t.Error(err)
			}
			if _, err := d.TypeNamed("union only_declared"); !errors.Is(err, fetchargs.ErrNoType) {
				t.Error(err)
			}
			againstStdlib(t, d, file)
		})
	}
}

func TestDWARFFunctions(t *testing.T) {
	for name, flags := range versions {
		t.Run(name, func(t *testing.T) {
			d, err := OpenDWARF(compile(t, flags...))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"defined":       "int defined(struct odd *object, u32 number)",
				"caller":        "int caller(struct odd *o)",
				"both_ways":     "int both_ways(struct odd *first, unsigned long second)",
				"variadic":      "int variadic(char *format)",
				"no_parameters": "void no_parameters(void)",
				"in_elsewhere":  "int in_elsewhere(struct elsewhere *where)",
			} {
				got, err := d.FuncNamed(name)
				if err != nil {
					t.Error(err)
				} else if got.String() != want {
					t.Errorf("%s: %s", name, got)
				}
			}
			for _, name := range []string{"only_inlined", "specialised"} {
				if _, err := d.FuncNamed(name); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "the compiler inlined it") {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, name := range []string{"nowhere", "bridge:caller"} {
				if _, err := d.FuncNamed(name); !errors.Is(err, fetchargs.ErrNoType) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// againstStdlib reads each named struct and union with debug/dwarf and
// compares sizes and places.
func againstStdlib(t *testing.T, d *DWARF, file string) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		if e.Tag != dwarf.TagStructType && e.Tag != dwarf.TagUnionType {
			continue
		}
		typ, err := data.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		want := typ.(*dwarf.StructType)
		at, err := d.vmlinux.entryAt(uint32(e.Offset), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := at.convert(0)
		if err != nil {
			t.Fatal(err)
		}
		if want.Incomplete {
			continue
		}
		n++
		if int64(got.Size) != want.ByteSize || len(got.Members) != len(want.Field) {
			t.Errorf("%s: %d bytes, %d members; want %d, %d", want, got.Size, len(got.Members), want.ByteSize, len(want.Field))
			continue
		}
		for i, w := range want.Field {
			m := got.Members[i]
			bits := w.ByteOffset * 8
			if w.BitSize != 0 && w.DataBitOffset == 0 && w.ByteSize != 0 {
				bits += w.ByteSize*8 - w.BitOffset - w.BitSize
			} else if w.BitSize != 0 {
				bits = w.DataBitOffset
			}
			if m.Name != w.Name || int64(m.BitSize) != w.BitSize || int64(m.Offset*8+m.BitOffset) != bits {
				t.Errorf("%s: %+v, want %+v", want, m, w)
			}
		}
	}
	if n < 4 {
		t.Errorf("%d structs", n)
	}
}
