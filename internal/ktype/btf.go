package ktype

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

const vmlinuxBTF = "/sys/kernel/btf/vmlinux"

// BTF is the type information of one kernel in the BPF Type Format, see
// Documentation/bpf/btf.rst of the kernel. It implements [fetchargs.Types].
//
// Types are converted when they are asked for. A BTF and the types it returns
// are not for use by several goroutines at once.
type BTF struct {
	raw     *rawBTF
	modDir  string             // where module BTF is, "" when there is none
	modules map[string]*rawBTF // those that were read
	used    map[string]bool    // modules of which something was taken
}

// OpenBTF reads type information from a file of raw BTF, as the kernel shows
// it in /sys/kernel/btf and BTFHub packs it, or from the .BTF section of an
// ELF file. With path "" it is that of the running kernel, and that of its
// modules is read when a name is not found in the kernel's own.
//
// The error is a [FileError]; it wraps [fs.ErrNotExist] where this kernel has
// no BTF.
func OpenBTF(path string) (*BTF, error) {
	modDir := ""
	if path == "" {
		path = vmlinuxBTF
	}
	if filepath.Base(path) == "vmlinux" && filepath.Base(filepath.Dir(path)) == "btf" {
		modDir = filepath.Dir(path)
	}
	data, err := readBTF(path)
	if err != nil {
		return nil, err
	}
	raw, err := parseBTF(path, data, nil)
	if err != nil {
		return nil, err
	}
	return &BTF{raw: raw, modDir: modDir, modules: map[string]*rawBTF{}, used: map[string]bool{}}, nil
}

// Source says which file the layouts come from.
func (b *BTF) Source() string { return "BTF " + b.raw.file }

// Incomplete says why a part of the file could not be read, for people, or
// returns "". A kernel may use a kind of type that this program does not know
// and its BTF not describe; what comes before it is usable.
func (b *BTF) Incomplete() string { return b.raw.cut }

// TypeNamed returns the type of that C name. Of several types of one name it
// is the first that has members, in vmlinux before modules.
func (b *BTF) TypeNamed(name string) (*fetchargs.Type, error) {
	q, err := parseTypeName(name)
	if err != nil {
		return nil, err
	}
	if q.void {
		return b.raw.convert(0, 0)
	}
	return q.look(func(q typeQuery) (*fetchargs.Type, error) { return b.typeNamed(name, q) })
}

func (b *BTF) typeNamed(name string, q typeQuery) (*fetchargs.Type, error) {
	id := b.raw.find(q.name, q.kinds)
	if id != 0 {
		if t, _ := b.raw.at(id); t.vlen != 0 || q.forward == 0 || t.kind != kindEnum && t.sizeRef != 0 {
			return b.raw.convert(id, 0)
		}
	}
	for _, m := range b.modulesNaming(q.name) {
		if id := m.findOwn(q.name, q.kinds); id != 0 {
			b.used[filepath.Base(m.file)] = true
			return m.convert(id, 0)
		}
	}
	if id == 0 && q.forward != 0 {
		id = b.raw.find(q.name, q.forward)
	}
	if id != 0 {
		return b.raw.convert(id, 0)
	}
	return nil, b.missing(name, q)
}

func (b *BTF) missing(name string, q typeQuery) error {
	hint := ""
	for _, prefix := range [...]string{"struct ", "union ", "enum "} {
		if o, err := parseTypeName(prefix + q.name); err == nil && b.raw.find(q.name, o.kinds) != 0 && prefix+q.name != name {
			hint = fmt.Sprintf("; there is %s%s", prefix, q.name)
		}
	}
	if b.raw.cut != "" {
		hint += "; " + b.raw.cut
	}
	return fmt.Errorf("%s in %s: %w%s", name, b.Source(), fetchargs.ErrNoType, hint)
}

// FuncNamed returns the prototype of a function. The name may have a module in
// front, "bridge:br_dev_xmit", which spares looking for it in all modules.
func (b *BTF) FuncNamed(name string) (*fetchargs.Type, error) {
	mod, fn, in := strings.Cut(name, ":")
	if !in {
		mod, fn = "", name
	}
	if mod == "" || mod == "vmlinux" {
		if id := b.raw.find(fn, 1<<kindFunc); id != 0 {
			return b.raw.convert(id, 0)
		}
	}
	var mods []*rawBTF
	if mod == "" {
		mods = b.modulesNaming(fn)
	} else if mod != "vmlinux" {
		m, err := b.module(mod)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w: %v", name, fetchargs.ErrNoType, err)
		}
		mods = append(mods, m)
	}
	for _, m := range mods {
		if id := m.findOwn(fn, 1<<kindFunc); id != 0 {
			b.used[filepath.Base(m.file)] = true
			return m.convert(id, 0)
		}
	}
	hint := ""
	if b.raw.cut != "" {
		hint = "; " + b.raw.cut
	}
	return nil, fmt.Errorf("function %s in %s: %w%s", name, b.Source(), fetchargs.ErrNoType, hint)
}

// module reads the BTF of one module.
func (b *BTF) module(name string) (*rawBTF, error) {
	if m := b.modules[name]; m != nil {
		return m, nil
	}
	if b.modDir == "" {
		return nil, &FileError{File: b.raw.file, Msg: "has no type information of modules"}
	}
	if name != filepath.Base(name) || name == "vmlinux" {
		return nil, fmt.Errorf("%q is not the name of a module", name)
	}
	// The kernel spells modules with "_" where their files have "-".
	file := filepath.Join(b.modDir, strings.ReplaceAll(name, "-", "_"))
	data, err := readBTF(file)
	if err != nil {
		return nil, err
	}
	m, err := parseBTF(file, data, b.raw)
	if err == nil {
		b.modules[name] = m
	}
	return m, err
}

// modulesNaming returns the modules, in the order of their names, whose BTF
// has that name somewhere. A module that cannot be read has none.
func (b *BTF) modulesNaming(name string) []*rawBTF {
	if b.modDir == "" {
		return nil
	}
	dir, err := os.ReadDir(b.modDir)
	if err != nil {
		return nil
	}
	sort.Slice(dir, func(i, j int) bool { return dir[i].Name() < dir[j].Name() })
	needle := []byte("\x00" + name + "\x00")
	inBase := bytes.Contains(b.raw.strs, needle) // then modules do not repeat it
	var found []*rawBTF
	for _, e := range dir {
		if e.Name() == "vmlinux" {
			continue
		}
		if m := b.modules[e.Name()]; m != nil {
			found = append(found, m)
			continue
		}
		file := filepath.Join(b.modDir, e.Name())
		data, err := readBTF(file)
		if err != nil || !inBase && !bytes.Contains(data, needle) {
			continue
		}
		m, err := parseBTF(file, data, b.raw)
		if err != nil {
			continue
		}
		for range m.named(name, namedKinds) {
			b.modules[e.Name()] = m
			found = append(found, m)
			break
		}
	}
	return found
}
