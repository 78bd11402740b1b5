package ktype

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

// recordedNames returns the functions and types that tools name, from the
// source of recordkernel, whose package cannot be imported.
func recordedNames(t *testing.T) (funcs, types []string) {
	t.Helper()
	src, err := os.ReadFile("../cmd/recordkernel/roots.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile("(?s)var functions = strings.Fields\\(`(.*?)`\\)").FindSubmatch(src)
	block := regexp.MustCompile(`(?s)var structs = \[\]string\{(.*?)\n\}`).FindSubmatch(src)
	if list == nil || block == nil {
		t.Fatal("roots.go is written in another way now")
	}
	funcs = strings.Fields(string(list[1]))
	for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllSubmatch(block[1], -1) {
		types = append(types, string(m[1]))
	}
	if len(funcs) < 100 || len(types) < 50 {
		t.Fatalf("%d functions, %d types", len(funcs), len(types))
	}
	return funcs, types
}

// A comparison walks over two sources at the same time.
type comparison struct {
	t     *testing.T
	done  map[[2]*fetchargs.Type]bool
	seen  map[string]bool // named structs, unions and enums that were compared
	wrong int
	quiet bool // count only
}

func (c *comparison) fault(path, format string, a ...any) {
	if c.wrong++; c.wrong <= 50 && !c.quiet {
		c.t.Errorf("%s: %s", path, fmt.Sprintf(format, a...))
	}
}

// same compares all that can be reached from two types, pointers included down
// to a depth.
func (c *comparison) same(path string, btf, dw *fetchargs.Type, depth int) {
	if c.done[[2]*fetchargs.Type{btf, dw}] {
		return
	}
	c.done[[2]*fetchargs.Type{btf, dw}] = true
	if dw.Kind == fetchargs.Array && btf.Kind == fetchargs.Array {
		c.sameArray(path, btf, dw, depth)
		return
	}
	if btf.Kind != dw.Kind || btf.Name != dw.Name || btf.Size != dw.Size || btf.Incomplete != dw.Incomplete || len(btf.Members) != len(dw.Members) || len(btf.Values) != len(dw.Values) {
		c.fault(path, "BTF has %s\nDWARF %s", short(btf), short(dw))
		return
	}
	// pahole 1.24 takes the sign of char for unknown.
	if btf.Signed != dw.Signed && !(dw.Kind == fetchargs.Int && dw.Size == 1 && !btf.Signed) {
		c.fault(path, "signed is %v in BTF and %v in DWARF", btf.Signed, dw.Signed)
	}
	switch btf.Kind {
	case fetchargs.Struct, fetchargs.Union, fetchargs.Enum:
		c.seen[btf.String()] = true
	}
	for i, v := range btf.Values {
		if v != dw.Values[i] {
			c.fault(path, "value %v in BTF, %v in DWARF", v, dw.Values[i])
		}
	}
	for i, m := range btf.Members {
		d := dw.Members[i]
		at := path + "." + m.Name
		if m.Name != d.Name || m.Offset != d.Offset || m.BitOffset != d.BitOffset || m.BitSize != d.BitSize {
			c.fault(at, "%s at %d.%d:%d in BTF, %s at %d.%d:%d in DWARF", m.Name, m.Offset, m.BitOffset, m.BitSize, d.Name, d.Offset, d.BitOffset, d.BitSize)
		}
		c.same(at, m.Type, d.Type, depth)
	}
	switch {
	case btf.Kind == fetchargs.Func:
		c.same(path+"()", btf.Elem(), dw.Elem(), depth)
	case btf.Kind == fetchargs.Pointer && depth > 0:
		c.same(path+"*", btf.Elem(), dw.Elem(), depth-1)
	}
}

// sameArray: BTF has one dimension where C has more.
func (c *comparison) sameArray(path string, btf, dw *fetchargs.Type, depth int) {
	n, elem := btf.Len, btf.Elem()
	for elem.Kind == fetchargs.Array {
		n, elem = n*elem.Len, elem.Elem()
	}
	dn, delem := dw.Len, dw.Elem()
	for delem.Kind == fetchargs.Array {
		dn, delem = dn*delem.Len, delem.Elem()
	}
	if n != dn || btf.Size != dw.Size {
		c.fault(path, "%s of %d bytes in BTF, %s of %d bytes in DWARF", btf, btf.Size, dw, dw.Size)
	}
	c.same(path+"[]", elem, delem, depth)
}

func short(t *fetchargs.Type) string {
	return fmt.Sprintf("%s, kind %d, size %d, incomplete %v, %v, %v", t, t.Kind, t.Size, t.Incomplete, t.MemberNames(), t.Values)
}

// TestDWARFAgainstBTF: the same kernel says the same of itself in both.
func TestDWARFAgainstBTF(t *testing.T) {
	root, vmlinux := debugKernel(t)
	dw, err := OpenDWARF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	release := strings.TrimPrefix(filepath.Base(vmlinux), "vmlinux-")
	dw.modules = newModuleFiles(root, release, dw.vmlinux)
	btf, err := OpenBTF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	funcs, types := recordedNames(t)
	c := &comparison{t: t, done: map[[2]*fetchargs.Type]bool{}, seen: map[string]bool{}}
	both := map[string]int{}
	for _, name := range types {
		b, berr := btf.TypeNamed(name)
		d, derr := dw.TypeNamed(name)
		c.pair(name, b, d, berr, derr, both)
	}
	for _, name := range funcs {
		b, berr := btf.FuncNamed(name)
		d, derr := dw.FuncNamed(name)
		c.pair(name+"()", b, d, berr, derr, both)
	}
	t.Logf("%v, and %d structs, unions and enums below them; %d differences", both, len(c.seen), c.wrong)
	if both["compared"] < 200 {
		t.Error("too few")
	}
}

// TestDWARFAgainstBTFWhole compares every name of the kernel. What differs is
// what has more than one definition under its name, of which each source takes
// another; functions in assembler, which BTF gives a prototype without
// parameters; and the few types that are declared inside of a function, which
// no tool names.
func TestDWARFAgainstBTFWhole(t *testing.T) {
	_, vmlinux := debugKernel(t)
	dw, err := OpenDWARF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	btf, err := OpenBTF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	c := &comparison{t: t, done: map[[2]*fetchargs.Type]bool{}, seen: map[string]bool{}, quiet: true}
	var types, funcs, assembler int
	var wrongTypes, wrongFuncs, inner []string
	done := map[string]bool{}
	for id := range uint32(len(btf.raw.starts)) {
		r, _ := btf.raw.at(id + 1)
		name := btf.raw.str(r.name)
		switch r.kind {
		case kindStruct:
			name = "struct " + name
		case kindUnion:
			name = "union " + name
		case kindEnum, kindEnum64:
			name = "enum " + name
		case kindFunc:
			b, err := btf.FuncNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			d, err := dw.FuncNamed(name)
			if err != nil && len(b.Members) == 0 {
				assembler++
				continue
			}
			funcs++
			if before := c.wrong; err != nil {
				t.Error(err)
			} else if c.same(name, b, d, 0); c.wrong != before {
				wrongFuncs = append(wrongFuncs, name)
			}
			continue
		case kindTypedef, kindInt:
		default:
			continue
		}
		if r.name == 0 || done[name] {
			continue
		}
		done[name] = true
		b, err := btf.TypeNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := dw.TypeNamed(name)
		types++
		if before := c.wrong; err != nil {
			inner = append(inner, name)
		} else if c.same(name, b, d, 0); c.wrong != before {
			wrongTypes = append(wrongTypes, name)
		}
	}
	t.Logf("%d types, %d functions, %d functions in assembler, inside of functions %q; %d types and %d functions differ: %q",
		types, funcs, assembler, inner, len(wrongTypes), len(wrongFuncs), wrongTypes)
	if types < 10000 || funcs < 20000 || assembler > 200 || len(wrongTypes) > 10 || len(inner) > 20 || len(wrongFuncs) > funcs/50 {
		t.Errorf("functions that differ: %q", wrongFuncs)
	}
}

// TestDWARFAgainstBTFOfModules: the modules as they are installed have BTF,
// those of the debug package have DWARF and relocations.
func TestDWARFAgainstBTFOfModules(t *testing.T) {
	root, vmlinux := debugKernel(t)
	dw, err := OpenDWARF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	release := strings.TrimPrefix(filepath.Base(vmlinux), "vmlinux-")
	dw.modules = newModuleFiles(root, release, dw.vmlinux)
	dw.modules.loaded = []string{"bridge", "nf_conntrack", "nf_nat", "sctp", "tun", "veth", "vxlan"}
	base, err := OpenBTF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	c := &comparison{t: t, done: map[[2]*fetchargs.Type]bool{}, seen: map[string]bool{}}
	both := map[string]int{}
	for _, mod := range dw.modules.loaded {
		file := filepath.Join(root, "lib/modules", release, dw.modules.paths[mod])
		data, err := readBTF(file)
		if err != nil {
			t.Error(err)
			continue
		}
		raw, err := parseBTF(file, data, base.raw)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw.starts {
			r, _ := raw.at(raw.firstID + uint32(i))
			if r.kind != kindFunc {
				continue
			}
			name := mod + ":" + raw.str(r.name)
			b, berr := raw.convert(r.id, 0)
			d, derr := dw.FuncNamed(name)
			c.pair(name, b, d, berr, derr, both)
		}
	}
	for _, name := range []string{"br_dev_xmit", "nf_conntrack_in", "tun_net_xmit"} {
		if f, err := dw.FuncNamed(name); err != nil || len(f.Members) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := dw.TypeNamed("struct net_bridge_port"); err != nil || s.Incomplete || !dw.used["bridge"] {
		t.Errorf("%v, %v", s, err)
	}
	t.Logf("%v, and %d structs, unions and enums below them", both, len(c.seen))
	if both["compared"] < 1000 {
		t.Error("too few")
	}
}

func (c *comparison) pair(name string, b, d *fetchargs.Type, berr, derr error, both map[string]int) {
	switch {
	case berr != nil && !errors.Is(berr, fetchargs.ErrNoType), derr != nil && !errors.Is(derr, fetchargs.ErrNoType):
		c.t.Errorf("%s: %v, %v", name, berr, derr)
	case berr == nil && derr == nil:
		both["compared"]++
		c.same(name, b, d, 1)
	case berr != nil && derr != nil:
		both["absent in both"]++
	case berr != nil:
		both["only in DWARF"]++
		c.t.Logf("only in DWARF: %s", d)
	default:
		c.fault(name, "in BTF and not in DWARF: %v", derr)
	}
}
