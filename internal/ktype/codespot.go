package ktype

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Place is a place in the source code.
type Place struct {
	Module string // "" for the kernel itself
	// Func is a function. Line counts from that of its name, and Label, if not
	// "", is one in it. Neither: where it begins.
	Func    string
	Label   string
	HasLine bool
	// File, in place of Func, is a source file or the end of its path, in
	// which Line counts from 1.
	File string
	Line int
}

// String returns the place as it is written.
func (p Place) String() string {
	s := p.Func + p.File
	if p.Module != "" {
		s = p.Module + ":" + s
	}
	switch {
	case p.Label != "":
		return s + "%" + p.Label
	case p.HasLine || p.Line != 0:
		return fmt.Sprintf("%s:%d", s, p.Line)
	}
	return s
}

// A Spot is a place in the code that a place in the source became. There are
// several where the function was inlined.
type Spot struct {
	Symbol string // that the kernel knows, with its module
	Offset uint64 // bytes from it
	Func   string // the function in the source
	File   string
	Line   int // in File
	// Into is the function into which Func was inlined, "" for none.
	Into   string
	Locals []fetchargs.Local
	// Entry and EntryOffset are, as Symbol and Offset, where the function is
	// entered that has the code.
	Entry       string
	EntryOffset uint64
}

// A PlaceError is a place that the source, or what was compiled of it, does not
// have.
type PlaceError struct {
	Place Place
	Msg   string
}

func (e *PlaceError) Error() string { return e.Place.String() + ": " + e.Msg }

func (p Place) none(format string, a ...any) error { return &PlaceError{p, fmt.Sprintf(format, a...)} }

// Spots finds a place in the code. The error is a [*PlaceError] where there is no
// such place.
func (d *DWARF) Spots(p Place) ([]Spot, error) {
	files, err := d.filesOf(p)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		spots, err := f.spots(p)
		if err != nil || len(spots) > 0 {
			return spots, err
		}
	}
	if p.File != "" {
		return nil, p.none("%s has no code of such a file", d.Source())
	}
	return nil, p.none("%s has no function %s", d.Source(), p.Func)
}

// filesOf are the files in which a place may be: without a module, the kernel's
// and then those of modules that are loaded and mention the name.
func (d *DWARF) filesOf(p Place) ([]*moduleFile, error) {
	if p.Module != "" && p.Module != "vmlinux" {
		m, err := d.modules.open(p.Module)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		return []*moduleFile{m}, nil
	}
	files := []*moduleFile{{"", d.vmlinux}}
	if p.Module == "" && p.Func != "" {
		if all, err := d.vmlinux.functions(p.Func); err != nil || len(all) > 0 {
			return files, err
		}
		files = append(files, d.modules.naming(p.Func)...)
	}
	return files, nil
}

func (f *moduleFile) spots(p Place) ([]Spot, error) {
	if p.File != "" {
		return f.fileSpots(p)
	}
	named, err := f.functions(p.Func)
	if err != nil {
		return nil, err
	}
	var spots []Spot
	var why error
	for _, d := range named {
		found, err := f.funcSpots(p, d)
		var none *PlaceError
		if errors.As(err, &none) { // another function of the name may have it
			why = err
			continue
		}
		if err != nil {
			return nil, err
		}
		spots = append(spots, found...)
	}
	if len(spots) > 0 {
		why = nil
	}
	return distinct(spots), why
}

// distinct leaves out what was found twice, because a file in which it is was
// compiled twice.
func distinct(spots []Spot) []Spot {
	slices.SortStableFunc(spots, func(a, b Spot) int {
		return cmp.Or(strings.Compare(a.Symbol, b.Symbol), cmp.Compare(a.Offset, b.Offset))
	})
	return slices.CompactFunc(spots, func(a, b Spot) bool { return a.Symbol == b.Symbol && a.Offset == b.Offset })
}

// funcSpots finds a place in all copies of one function.
func (f *moduleFile) funcSpots(p Place, d die) ([]Spot, error) {
	u, err := f.codeUnit(d.u.off)
	if err != nil {
		return nil, err
	}
	file, first, err := u.declared(d)
	if err != nil {
		return nil, err
	}
	copies, err := f.copies(d)
	if err != nil {
		return nil, err
	}
	if len(copies) == 0 {
		return nil, p.none("the compiler left nothing of the function (%s:%d)", file, first)
	}
	var spots []Spot
	var lines []int
	var labels []string
	for _, c := range copies {
		var pcs []uint64
		line := first + p.Line
		switch {
		case p.Label != "":
			pcs, labels, line, err = c.label(p.Label, labels)
		case p.HasLine && p.Line != 0:
			if pcs, err = c.statements(file, first+p.Line); len(pcs) == 0 && err == nil {
				lines, err = c.linesWithCode(file, lines)
			}
		default:
			pcs = []uint64{c.start()}
		}
		if err != nil {
			return nil, err
		}
		for _, pc := range pcs {
			s, err := f.spot(c, pc, file, line, first)
			if err != nil {
				return nil, err
			}
			spots = append(spots, s)
		}
	}
	switch {
	case len(spots) > 0:
		return spots, nil
	case p.Label != "" && len(labels) == 0:
		return nil, p.none("the function has no label, or none of which code is left")
	case p.Label != "":
		slices.Sort(labels)
		return nil, p.none("there is no such label, or no code of it is left; there are %s", strings.Join(slices.Compact(labels), ", "))
	}
	return nil, p.none("no statement begins at line %d of the function (%s:%d)%s", p.Line, file, first+p.Line, nearest(lines, first+p.Line, first))
}

// spot describes an address in a copy, where a line begins. Lines of variables count from first.
func (f *moduleFile) spot(c *instance, pc uint64, file string, line, first int) (Spot, error) {
	s := Spot{Func: c.name(), File: file, Line: line}
	outer := c.outer()
	if c.in != nil {
		s.Into = outer.name()
	}
	var err error
	if s.Symbol, s.Offset, err = f.symbolOf(pc, outer.name()); err != nil {
		return s, err
	}
	if s.Entry, s.EntryOffset, err = f.symbolOf(outer.start(), outer.name()); err != nil {
		return s, err
	}
	s.Locals, err = c.locals(pc, first)
	return s, err
}

// symbolOf writes an address in a function as bytes from a symbol.
func (f *moduleFile) symbolOf(pc uint64, function string) (symbol string, offset uint64, err error) {
	code, err := f.codeInfo()
	if err != nil {
		return "", 0, err
	}
	sym, ok := symbolAt(code.functions, pc, function)
	if !ok {
		return "", 0, f.cannot("no symbol is at %#x, where %s is", pc, function)
	}
	if sym.several && f.module == "" {
		// From the first symbol of the kernel, because the name alone does
		// not say which.
		if i := slices.IndexFunc(code.functions, func(s codeSymbol) bool { return s.name == sym.name }); i >= 0 {
			if text, ok := f.textStart(); ok {
				sym.name, sym.addr = "_text", text
			}
		}
	}
	symbol = sym.name
	if f.module != "" {
		symbol = f.module + ":" + symbol
	}
	return symbol, pc - sym.addr, nil
}

// textStart is the address of the symbol at which the kernel begins.
func (f *dwarfFile) textStart() (uint64, bool) {
	all, _ := f.elf.Symbols()
	for _, s := range all {
		if s.Name == "_text" {
			return s.Value, true
		}
	}
	return 0, false
}

// label returns where a label is in a copy and on which line, and appends the names
// of all.
func (c *instance) label(name string, names []string) (pcs []uint64, all []string, line int, err error) {
	var look func(d die) error
	look = func(d die) error {
		for in, err := range d.children() {
			if err != nil {
				return err
			}
			switch in.ab.tag {
			case dwarf.TagLexDwarfBlock:
				if err := look(in); err != nil {
					return err
				}
			case dwarf.TagLabel:
				at, err := in.origin()
				if err != nil {
					return err
				}
				pc, ok := c.unit.address(in, dwarf.AttrLowpc)
				if !ok {
					continue
				}
				names = append(names, at.name())
				if at.name() == name {
					n, _ := at.number(dwarf.AttrDeclLine)
					line = int(n)
					pcs = append(pcs, pc)
				}
			}
		}
		return nil
	}
	err = look(c.fn)
	return pcs, names, line, err
}

// linesWithCode appends the lines at which statements of a copy begin.
func (c *instance) linesWithCode(file string, lines []int) ([]int, error) {
	rows, _, err := c.unit.table()
	first, end := 0, 0
	if err == nil {
		_, first, err = c.declared()
		end = c.unit.end(file, first)
	}
	for _, r := range rows {
		if r.Stmt && !r.End && r.File == file && r.Line >= first && r.Line < end && within(c.ranges, r.Addr) {
			lines = append(lines, r.Line)
		}
	}
	return lines, err
}

// nearest names the lines around one, counted from first.
func nearest(lines []int, line, first int) string {
	before, after := 0, 0
	for _, n := range lines {
		switch {
		case n < line:
			before = max(before, n)
		case after == 0 || n < after:
			after = n
		}
	}
	switch {
	case before == 0 && after == 0:
		return ""
	case before == 0:
		return fmt.Sprintf("; the first is at line %d", after-first)
	case after == 0:
		return fmt.Sprintf("; the last is at line %d", before-first)
	}
	return fmt.Sprintf("; the nearest are at lines %d and %d", before-first, after-first)
}
