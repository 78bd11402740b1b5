package elfsym

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A NotFoundError is a function that a file does not have.
type NotFoundError struct {
	File string
	Name string
	Why  string
	// Known are the functions that it has.
	Known []string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("%s: %s", e.File, e.Why) }

// Find finds a function by its name, by NAME@VERSION, or by its address
// (0x401000) as the symbol table or a disassembler shows it. Of the versions of
// a name it is the one that programs are linked with now. The error is a
// [*NotFoundError].
func (f *File) Find(name string) (Func, error) {
	if strings.HasPrefix(name, "0x") {
		addr, err := strconv.ParseUint(name, 0, 64)
		if _, ok := f.Offset(addr); err != nil || !ok {
			return Func{}, f.notFound(name, "no code is at %s", name)
		}
		return Func{Name: name, Addr: addr}, nil
	}
	base, version, _ := strings.Cut(name, "@")
	version = strings.TrimPrefix(version, "@")
	var found []Func
	for _, fn := range f.funcs {
		if (fn.Name == base || fn.Name == name) && (version == "" || version == fn.Version || fn.Name == name) {
			found = append(found, fn)
		}
	}
	if now := slices.DeleteFunc(slices.Clone(found), func(fn Func) bool { return fn.old }); len(now) > 0 {
		found = now
	}
	found = slices.CompactFunc(found, func(a, b Func) bool { return a.Addr == b.Addr })
	switch {
	case len(found) == 0:
		return Func{}, f.missing(name)
	case len(found) > 1:
		return Func{}, f.notFound(name, "%d functions are called %s, at 0x%x, 0x%x, …: give one of these addresses instead", len(found), name, found[0].Addr, found[1].Addr)
	case found[0].Indirect:
		return Func{}, f.notFound(name, "which function %s is is chosen when a program starts; probe one of those there are%s", name, f.variants(base))
	}
	return found[0], nil
}

// Match returns the functions whose names match a pattern, each place once.
func (f *File) Match(pattern string) ([]Func, error) {
	var found []Func
	for _, fn := range f.funcs {
		ok, err := path.Match(pattern, fn.Name)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if n := len(found); ok && (n == 0 || found[n-1].Addr != fn.Addr) {
			found = append(found, fn)
		}
	}
	return found, nil
}

// Resolve returns the function in which a byte of the file is, and how far from
// its start.
func (f *File) Resolve(off uint64) (name string, distance uint64, ok bool) {
	addr, ok := f.address(off)
	if !ok {
		return "", 0, false
	}
	i, _ := slices.BinarySearchFunc(f.funcs, addr+1, func(fn Func, addr uint64) int {
		if fn.Addr < addr {
			return -1
		}
		return 1
	})
	for i--; i >= 0; i-- {
		fn := &f.funcs[i]
		if distance = addr - fn.Addr; fn.Size == 0 && distance < maxFunc || distance < fn.Size {
			return fn.Name, distance, true
		}
		if distance > maxFunc {
			break
		}
	}
	return "", 0, false
}

// maxFunc bounds how long a function of unknown size is taken to be.
const maxFunc = 64 << 10

// variants lists functions between which one that is indirect chooses: their
// names usually begin with its own.
func (f *File) variants(name string) string {
	var names []string
	for _, fn := range f.funcs {
		if !fn.Indirect && strings.HasPrefix(strings.TrimLeft(fn.Name, "_"), strings.TrimLeft(name, "_")+"_") && !slices.Contains(names, fn.Name) {
			names = append(names, fn.Name)
		}
	}
	if len(names) == 0 {
		return ", by its address"
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return ", for example " + strings.Join(names, ", ")
}

func (f *File) missing(name string) error {
	if len(f.funcs) == 0 {
		return f.notFound(name, "it has no symbols: it was stripped; give an address, u:%s:0x…", f.Name)
	}
	return f.notFound(name, "there is no function %s", name)
}

func (f *File) notFound(name, format string, args ...any) error {
	e := &NotFoundError{File: f.Name, Name: name, Why: fmt.Sprintf(format, args...)}
	for _, fn := range f.funcs {
		e.Known = append(e.Known, fn.Name)
	}
	return e
}
