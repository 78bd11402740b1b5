// Package elfsym finds functions in programs and libraries, and names places in
// them. It reads ELF files and nothing else.
package elfsym

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A File is a program or library whose functions are known.
type File struct {
	// Name is the path that it was opened by.
	Name string
	// Go tells that it was made by the Go compiler: its functions have a
	// calling convention of their own, and stacks that move.
	Go bool

	segments []segment
	funcs    []Func // by address, and then by name
}

// A segment is a part of the file that is mapped where it says.
type segment struct {
	addr, off, size uint64
	code            bool
}

// A Func is a function of a file.
type Func struct {
	Name string
	// Version of a dynamic symbol, "" for none: "GLIBC_2.2.5".
	Version string
	Addr    uint64 // as the symbol table has it
	Size    uint64 // 0 where it is not known
	// Indirect: which function it is is chosen when the program starts. What
	// is at Addr is the code that chooses.
	Indirect bool

	old bool // of several versions, not the one that programs are linked with now
}

// ErrNoELF: the file is no program or library.
var ErrNoELF = errors.New("no ELF file")

// Open reads the symbols of a file: of its own tables, of the debug file that
// its build id leads to, and of Go's tables where it has no others.
func Open(name string) (*File, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if st, err := r.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", name, ErrNoELF)
	}
	e, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %v", name, ErrNoELF, err)
	}
	f := &File{Name: name, Go: e.Section(".gopclntab") != nil || e.Section(".go.buildinfo") != nil}
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD {
			f.segments = append(f.segments, segment{p.Vaddr, p.Off, p.Filesz, p.Flags&elf.PF_X != 0})
		}
	}
	f.read(e)
	slices.SortStableFunc(f.funcs, func(a, b Func) int {
		return cmp.Or(cmp.Compare(a.Addr, b.Addr), strings.Compare(a.Name, b.Name))
	})
	return f, nil
}

// read takes the functions of the symbol tables.
func (f *File) read(e *elf.File) {
	if all, err := e.DynamicSymbols(); err == nil {
		f.add(e, all)
	}
	if all, err := e.Symbols(); err == nil {
		f.add(e, all)
		return
	}
	if f.Go {
		f.readGo(e)
		return
	}
	if d := debugFile(e); d != nil {
		defer d.Close()
		if all, err := d.Symbols(); err == nil {
			f.add(e, all)
		}
	}
}

func (f *File) add(e *elf.File, symbols []elf.Symbol) {
	for _, s := range symbols {
		kind := elf.ST_TYPE(s.Info)
		if kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC || s.Section == elf.SHN_UNDEF || s.Value == 0 {
			continue
		}
		fn := Func{Name: s.Name, Version: s.Version, Addr: s.Value, Size: s.Size, Indirect: kind == elf.STT_GNU_IFUNC}
		// In .symtab the version is a part of the name.
		if name, version, ok := strings.Cut(s.Name, "@"); ok {
			fn.Name, fn.Version = name, strings.TrimPrefix(version, "@")
			fn.old = !strings.HasPrefix(version, "@")
		}
		if s.HasVersion && s.VersionIndex.IsHidden() {
			fn.old = true
		}
		f.funcs = append(f.funcs, fn)
	}
}

// Offset is where in the file the byte at an address is: what the kernel wants
// to know for a probe.
func (f *File) Offset(addr uint64) (uint64, bool) {
	for _, s := range f.segments {
		if s.code && addr >= s.addr && addr-s.addr < s.size {
			return addr - s.addr + s.off, true
		}
	}
	return 0, false
}

// address is the reverse of Offset.
func (f *File) address(off uint64) (uint64, bool) {
	for _, s := range f.segments {
		if off >= s.off && off-s.off < s.size && s.code {
			return off - s.off + s.addr, true
		}
	}
	return 0, false
}
