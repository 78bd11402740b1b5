package ktype

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

// A btfBuilder writes BTF by hand, for what this machine's kernel does not
// have. Types get the IDs 1, 2, … in the order of the calls.
type btfBuilder struct {
	types, strs bytes.Buffer
	layout      []byte
	base        int // bytes of names in the base
}

func newBuilder() *btfBuilder {
	b := &btfBuilder{}
	b.strs.WriteByte(0)
	return b
}

func (b *btfBuilder) str(s string) uint32 {
	if s == "" {
		return 0
	}
	off := b.base + b.strs.Len()
	b.strs.WriteString(s + "\x00")
	return uint32(off)
}

// add writes a type; kflag is bit 31 of info.
func (b *btfBuilder) add(name string, kind, vlen uint32, kflag bool, sizeRef uint32, rest ...uint32) {
	info := kind<<24 | vlen
	if kflag {
		info |= 1 << 31
	}
	binary.Write(&b.types, le, append([]uint32{b.str(name), info, sizeRef}, rest...))
}

func (b *btfBuilder) bytes() []byte {
	var out bytes.Buffer
	hdr := uint32(24)
	if b.layout != nil {
		hdr = 32
	}
	binary.Write(&out, le, []uint32{0x1eb9f, hdr, 0, uint32(b.types.Len()), uint32(b.types.Len()), uint32(b.strs.Len())})
	if b.layout != nil {
		binary.Write(&out, le, []uint32{uint32(b.types.Len() + b.strs.Len()), uint32(len(b.layout))})
	}
	out.Write(b.types.Bytes())
	out.Write(b.strs.Bytes())
	out.Write(b.layout)
	return out.Bytes()
}

// odd has what is rare in kernels.
func odd() *btfBuilder {
	b := newBuilder()
	b.add("unsigned int", kindInt, 0, false, 4, 32)                                        // 1
	b.add("", kindInt, 0, false, 4, 3<<16|5)                                               // 2: bits 3–7, as old tools wrote bit fields
	b.add("old", kindStruct, 2, false, 8, b.str("a"), 1, 0, b.str("b"), 2, 32)             // 3
	b.add("new", kindStruct, 2, true, 8, b.str("a"), 1, 0, b.str("b"), 1, 7<<24|34)        // 4
	b.add("twice", kindFwd, 0, false, 0)                                                   // 5
	b.add("twice", kindStruct, 1, false, 4, b.str("first"), 1, 0)                          // 6
	b.add("twice", kindStruct, 1, false, 4, b.str("second"), 1, 0)                         // 7
	b.add("", kindPtr, 0, false, 5)                                                        // 8: to the forward declaration
	b.add("only_declared", kindFwd, 0, true, 0)                                            // 9
	b.add("old_enum", kindEnum, 2, false, 4, b.str("MINUS"), 0xffffffff, b.str("ZERO"), 0) // 10
	b.add("", kindStruct, 1, false, 4, b.str("counter"), 1, 0)                             // 11
	b.add("atomic_t", kindTypedef, 0, false, 11)                                           // 12
	b.add("alias_t", kindTypedef, 0, false, 12)                                            // 13
	b.add("", kindFuncProto, 2, false, 1, b.str("fmt"), 8, 0, 0)                           // 14: variadic
	b.add("printk", kindFunc, 0, false, 14)                                                // 15
	b.add("", kindArray, 0, false, 0, 1, 1, 3)                                             // 16
	b.add("", kindArray, 0, false, 0, 16, 1, 2)                                            // 17: [2][3]
	b.add("grid", kindStruct, 1, false, 24, b.str("g"), 17, 0)                             // 18
	b.add("self", kindStruct, 1, false, 4, b.str("me"), 19, 0)                             // 19: contains itself
	b.add("loop", kindTypedef, 0, false, 20)                                               // 20
	b.add("far", kindStruct, 1, false, 4, b.str("x"), 4711, 0)                             // 21
	b.add("", kindPtr, 0, false, 22)                                                       // 22: points to itself
	b.add("chase", kindStruct, 1, false, 8, b.str("p"), 22, 0)                             // 23
	b.add("note", kindDeclTag, 0, false, 4, 0xffffffff)                                    // 24
	b.add("rcu", kindTypeTag, 0, false, 6)                                                 // 25
	b.add("", kindPtr, 0, false, 25)                                                       // 26
	b.add("tagged", kindStruct, 1, false, 8, b.str("p"), 26, 0)                            // 27
	b.add("", kindVolatile, 0, false, 1)                                                   // 28
	b.add("__be32", kindTypedef, 0, false, 28)                                             // 29
	b.add("huge", kindArray, 0, false, 0, 4, 1, 0xffffffff)                                // 30
	b.add("big", kindStruct, 1, false, 8, b.str("a"), 30, 0)                               // 31
	return b
}

func parseOdd(t testing.TB, b *btfBuilder) *BTF {
	t.Helper()
	raw, err := parseBTF("odd", b.bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &BTF{raw: raw, modules: map[string]*rawBTF{}, used: map[string]bool{}}
}

func TestOddTypes(t *testing.T) {
	b := parseOdd(t, odd())
	for name, want := range map[string]string{
		"struct old": "struct old kind 6 size 8 signed false incomplete false\n a at 0 bits 0:0: unsigned int kind 1 size 4 signed false incomplete false" +
			"\n b at 4 bits 3:5:  kind 1 size 4 signed false incomplete false",
		"struct new": "struct new kind 6 size 8 signed false incomplete false\n a at 0 bits 0:0: unsigned int kind 1 size 4 signed false incomplete false" +
			"\n b at 4 bits 2:7: unsigned int kind 1 size 4 signed false incomplete false",
		"struct twice":        "struct twice kind 6 size 4 signed false incomplete false\n first at 0 bits 0:0: unsigned int kind 1 size 4 signed false incomplete false",
		"union only_declared": "union only_declared kind 7 size 0 signed false incomplete true",
		"enum old_enum":       "enum old_enum kind 3 size 4 signed true incomplete false\n MINUS=-1\n ZERO=0",
		"alias_t":             "atomic_t kind 6 size 4 signed false incomplete false\n counter at 0 bits 0:0: unsigned int kind 1 size 4 signed false incomplete false",
		"__be32":              "__be32 kind 1 size 4 signed false incomplete false",
		"struct grid": "struct grid kind 6 size 24 signed false incomplete false\n g at 0 bits 0:0: unsigned int[3][2] kind 5 size 24 signed false incomplete false" +
			"\n  of unsigned int[3] kind 5 size 12 signed false incomplete false\n   of unsigned int kind 1 size 4 signed false incomplete false",
		"struct tagged": "struct tagged kind 6 size 8 signed false incomplete false\n p at 0 bits 0:0: struct twice * kind 4 size 8 signed false incomplete false",
	} {
		got, err := b.TypeNamed(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := dump(got, 0); d != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, d, want)
		}
	}
	for name, want := range map[string]string{
		"struct self": "contains itself", "loop": "contains itself", "struct far": "type 4711 does not exist", "struct big": "larger than 2 GB",
	} {
		if _, err := b.TypeNamed(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f, err := b.FuncNamed("printk")
	if err != nil || len(f.Members) != 1 || f.Members[0].Type.Elem().Incomplete {
		t.Errorf("printk: %v, %v", f, err)
	}
	// Printing a pointer that points to itself must end.
	if s, err := b.TypeNamed("struct chase"); err == nil {
		_ = s.Members[0].Type.String()
	}
}

// TestUnknownKinds: a kernel that is newer than this program.
func TestUnknownKinds(t *testing.T) {
	b := odd()
	b.add("what", 25, 2, false, 0, 1, 2, 3, 4, 5) // 4 bytes and twice 8
	b.add("after", kindStruct, 1, false, 4, b.str("x"), 1, 0)

	cut := parseOdd(t, b)
	if cut.Incomplete() == "" {
		t.Error("nothing is said about the kind that is not known")
	}
	if _, err := cut.TypeNamed("struct new"); err != nil {
		t.Error(err)
	}
	if _, err := cut.TypeNamed("struct after"); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "kind 25 of type 32 is newer than this program") {
		t.Error(err)
	}

	b.layout = make([]byte, 4*26)
	b.layout[4*25], b.layout[4*25+1] = 4, 8
	whole := parseOdd(t, b)
	if s, err := whole.TypeNamed("struct after"); err != nil || whole.Incomplete() != "" {
		t.Errorf("%v, %v, %q", s, err, whole.Incomplete())
	}
}

func TestModules(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "btf")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	base := odd().bytes()
	m := &btfBuilder{base: odd().strs.Len()}
	m.strs.WriteByte(0)
	m.add("port", kindStruct, 1, false, 4, m.str("no"), 1, 0)            // 32
	m.add("", kindPtr, 0, false, 32)                                     // 33
	m.add("", kindFuncProto, 1, false, 1, m.str("p"), 33)                // 34
	m.add("br_xmit", kindFunc, 0, false, 34)                             // 35
	m.add("only_declared", kindUnion, 1, false, 4, m.str("known"), 1, 0) // 36
	for name, data := range map[string][]byte{"vmlinux": base, "bridge": m.bytes(), "broken": []byte("br_xmit\x00"), "empty": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"br_xmit", "bridge:br_xmit"} {
		b, err := OpenBTF(filepath.Join(dir, "vmlinux"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := b.FuncNamed(name)
		if err != nil || f.String() != "unsigned int br_xmit(struct port *p)" {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if u, err := b.TypeNamed("union only_declared"); err != nil || u.Incomplete {
			t.Errorf("the definition in a module is not found: %v, %v", u, err)
		}
		if s, err := b.TypeNamed("struct twice"); err != nil || s.Members[0].Name != "first" {
			t.Errorf("%v, %v", s, err)
		}
		for _, missing := range []string{"nowhere", "bridge:printk", "nomodule:br_xmit", "../btf/bridge:br_xmit", "vmlinux:br_xmit"} {
			if _, err := b.FuncNamed(missing); !errors.Is(err, fetchargs.ErrNoType) {
				t.Errorf("%s: %v", missing, err)
			}
		}
	}
}

func TestOpenBTFErrors(t *testing.T) {
	dir := t.TempDir()
	good := odd().bytes()
	change := func(at int, v byte) string {
		c := bytes.Clone(good)
		c[at] = v
		return string(c)
	}
	for name, c := range map[string]struct{ data, want string }{
		"empty":      {"", "0 bytes are no BTF"},
		"short":      {string(good[:20]), "20 bytes are no BTF"},
		"half":       {string(good[:len(good)/2]), "end after the file"},
		"text":       {strings.Repeat("hello ", 100), "not BTF: starts with 0x6568"},
		"version":    {change(2, 9), "version 9"},
		"header":     {change(4, 8), "header of 8 bytes"},
		"big-endian": {"\xeb\x9f" + string(good[2:]), "big-endian"},
		"bad name":   {change(27, 0xff), "name of type 1"},
		"elf":        {"\x7fELF" + strings.Repeat("\x00", 60), "damaged ELF file"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.data), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := OpenBTF(file)
		if fe, ok := errors.AsType[*FileError](err); !ok || fe.Do == "" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := OpenBTF(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := OpenBTF(dir); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Error(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxBTF+1); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBTF(huge); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// FuzzOpenBTF must neither panic nor hang, whatever the file has.
func FuzzOpenBTF(f *testing.F) {
	good := odd()
	f.Add(good.bytes())
	good.layout = []byte{0, 0, 0, 0, 4, 0, 0, 0}
	f.Add(good.bytes())
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBTF(file)
		if err != nil {
			return
		}
		for id := range uint32(len(b.raw.starts)) + 2 {
			typ, err := b.raw.convert(id, 0)
			if err != nil {
				continue
			}
			_ = typ.String()
			for _, m := range typ.Members {
				_ = m.Type.String()
				m.Type.Elem()
			}
		}
		b.TypeNamed("struct new")
		b.FuncNamed("printk")
	})
}
