package dwarfloc

import (
	"debug/dwarf"
	"errors"
	"io"
	"path"
	"strings"
)

// A Row says which source line the code from Addr on, up to the next row's, is of.
type Row struct {
	Addr uint64
	File string // as the compiler was given it, below where it was run
	Line int
	// Stmt: a statement begins here. Other rows are of code that was moved.
	Stmt bool
	// End: Addr is behind the last instruction of a sequence.
	End bool
}

// A Unit is the sections of one unit, of one source file. Abbrev, Line and the
// strings are whole sections, Info is the unit alone.
type Unit struct {
	Info, Abbrev, Line, Str, LineStr, StrOffsets, Addr, RngLists []byte
}

// Rows reads the table of lines of the unit, in its order (DWARF 5, section 6.2).
func (u Unit) Rows() ([]Row, error) {
	lr, err := u.lines()
	if lr == nil || err != nil {
		return nil, err
	}
	var all []Row
	var e dwarf.LineEntry
	for {
		switch err := lr.Next(&e); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		r := Row{Addr: e.Address, Line: e.Line, Stmt: e.IsStmt, End: e.EndSequence}
		if e.File != nil {
			r.File = e.File.Name
		}
		all = append(all, r)
	}
}

// Files lists the source files of which the unit has code, or declarations.
func (u Unit) Files() ([]string, error) {
	lr, err := u.lines()
	if lr == nil || err != nil {
		return nil, err
	}
	var names []string
	for _, f := range lr.Files() {
		if f == nil { // before DWARF 5 the first is none
			names = append(names, "")
			continue
		}
		names = append(names, f.Name)
	}
	return names, nil
}

func (u Unit) lines() (*dwarf.LineReader, error) {
	d, err := dwarf.New(u.Abbrev, nil, nil, u.Info, u.Line, nil, nil, u.Str)
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{".debug_line_str": u.LineStr, ".debug_str_offsets": u.StrOffsets, ".debug_addr": u.Addr, ".debug_rnglists": u.RngLists} {
		if data == nil {
			continue
		}
		if err := d.AddSection(name, data); err != nil {
			return nil, err
		}
	}
	root, err := d.Reader().Next()
	if err != nil || root == nil {
		return nil, err
	}
	return d.LineReader(root)
}

// IsFile tells whether a file is the one that somebody means: the same path, or
// the end of it.
func IsFile(file, meant string) bool {
	file, meant = path.Clean(file), path.Clean(meant)
	return file == meant || strings.HasSuffix(file, "/"+strings.TrimPrefix(meant, "/"))
}
