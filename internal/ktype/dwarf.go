package ktype

import (
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// DWARF is the debug information of one kernel, from a vmlinux that was built
// or installed with it, and of its modules. It implements [fetchargs.Types].
// References in comments are to the DWARF standard, version 5.
//
// Types are converted when they are asked for, to the same spelling as those
// of [BTF]. A DWARF and the types it returns are not for use by several
// goroutines at once.
type DWARF struct {
	vmlinux *dwarfFile
	modules *moduleFiles    // nil when only vmlinux is known
	used    map[string]bool // modules of which something was taken
}

// OpenDWARF opens a vmlinux with debug information, or the file of a module.
// If its debug information was split off, it is looked for by its build id
// below /usr/lib/debug. Types of modules are not known until
// [DWARF.UseModules].
//
// The error is a [FileError]; it wraps [fs.ErrNotExist] where there is no such
// file.
func OpenDWARF(path string) (*DWARF, error) {
	f, err := openDwarfFile(path)
	if errors.Is(err, errNoDebugInfo) && f.id != "" {
		if split, splitErr := openDwarfFile(buildIDFile("/", f.id)); splitErr == nil && split.id == f.id {
			f.close()
			f, err = split, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		f.close()
		return nil, err
	}
	return &DWARF{vmlinux: f, used: map[string]bool{}}, nil
}

// Source says which file the layouts come from.
func (d *DWARF) Source() string { return "DWARF " + d.vmlinux.file }

// BuildID returns that of the file, in hex, "" when it has none.
func (d *DWARF) BuildID() string { return d.vmlinux.id }

// CheckKernel returns an error unless the file belongs to that build of the
// kernel. A file or a kernel without build id passes.
func (d *DWARF) CheckKernel(running Kernel) error {
	if id := d.vmlinux.id; id != "" && running.BuildID != "" && id != running.BuildID {
		return &FileError{File: d.vmlinux.file,
			Msg: fmt.Sprintf("debug information of another kernel: its build id is %s, that of the running kernel (%s) is %s", id, running.Release, running.BuildID),
			Do:  "offsets may differ: install the debug package of this very kernel, or force its use"}
	}
	return nil
}

// TypeNamed returns the type of that C name. Of several types of one name it
// is the first that is defined, in vmlinux before modules.
func (d *DWARF) TypeNamed(name string) (*fetchargs.Type, error) {
	q, err := parseTypeName(name)
	if err != nil {
		return nil, err
	}
	if q.void {
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}, nil
	}
	return q.look(func(q typeQuery) (*fetchargs.Type, error) { return d.typeNamed(name, q) })
}

func (d *DWARF) typeNamed(name string, q typeQuery) (*fetchargs.Type, error) {
	if t, err := d.vmlinux.typeNamed(q, q.kinds); t != nil || err != nil {
		return t, err
	}
	for _, m := range d.modules.naming(q.name) {
		if t, err := m.typeNamed(q, q.kinds); t != nil || err != nil {
			d.used[m.module] = true
			return t, err
		}
	}
	if q.forward != 0 {
		if t, err := d.vmlinux.typeNamed(q, 1<<kindFwd); t != nil && err == nil && t.String() == name {
			return t, nil
		}
	}
	hint := ""
	for _, prefix := range [...]string{"struct ", "union ", "enum "} {
		if o, err := parseTypeName(prefix + q.name); err == nil && prefix+q.name != name {
			if _, ok, err := d.vmlinux.find(q.name, o.kinds); ok && err == nil {
				hint = fmt.Sprintf("; there is %s%s", prefix, q.name)
			}
		}
	}
	return nil, fmt.Errorf("%s in %s: %w%s", name, d.Source(), fetchargs.ErrNoType, hint)
}

func (f *dwarfFile) typeNamed(q typeQuery, kinds uint32) (*fetchargs.Type, error) {
	e, ok, err := f.find(q.name, kinds)
	if err != nil || !ok {
		return nil, err
	}
	return e.convert(0)
}

// FuncNamed returns the prototype of a function that is there to be probed: one
// that was only inlined, or was compiled with other parameters than those of
// the source, is not. The name may have a module in front,
// "bridge:br_dev_xmit", which spares looking for it in all modules.
func (d *DWARF) FuncNamed(name string) (*fetchargs.Type, error) {
	mod, fn := "", plainFunc(name)
	if fn != name {
		mod = name[:len(name)-len(fn)-1]
	}
	if mod == "" || mod == "vmlinux" {
		if t, err := d.vmlinux.funcNamed(fn); t != nil || err != nil {
			return t, err
		}
	}
	var mods []*moduleFile
	if mod == "" {
		mods = d.modules.naming(fn)
	} else if mod != "vmlinux" {
		m, err := d.modules.open(mod)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w: %v", name, fetchargs.ErrNoType, err)
		}
		mods = append(mods, m)
	}
	for _, m := range mods {
		if t, err := m.funcNamed(fn); t != nil || err != nil {
			d.used[m.module] = true
			return t, err
		}
	}
	hint := ""
	if _, ok, err := d.vmlinux.find(fn, 1<<kindFunc|1<<kindAbstract); ok && err == nil {
		hint = "; the compiler inlined it, or changed its parameters and its name"
	}
	return nil, fmt.Errorf("function %s in %s: %w%s", name, d.Source(), fetchargs.ErrNoType, hint)
}

// funcNamed returns the prototype of a function that has code under its own
// name, or nil.
func (f *dwarfFile) funcNamed(name string) (*fetchargs.Type, error) {
	kinds := uint32(1 << kindFunc)
	if f.symbols != nil {
		if !f.symbols[nameKey([]byte(name), kindFunc)] {
			return nil, nil
		}
		kinds |= 1 << kindAbstract
	}
	e, ok, err := f.find(name, kinds)
	if err != nil || !ok {
		return nil, err
	}
	return e.convert(0)
}
