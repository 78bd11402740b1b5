package ktype

import (
	"debug/dwarf"
	"math"
	"slices"

	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// An instance is one copy of a function's code: its own, or that in a function
// into which it was inlined.
type instance struct {
	unit   *codeUnit
	fn     die
	in     *instance // the function in which the copy is; nil for code of its own
	ranges []dwarfloc.Range
}

// outer is the function whose frame the code has.
func (i *instance) outer() *instance {
	for i.in != nil {
		i = i.in
	}
	return i
}

// start is the address at which the code is entered.
func (i *instance) start() uint64 {
	if pc, ok := i.unit.address(i.fn, attrEntrypc); ok {
		return pc
	}
	if pc, ok := i.unit.address(i.fn, dwarf.AttrLowpc); ok {
		if n, ok := i.fn.number(attrEntrypc); ok {
			return pc + n
		}
		return pc
	}
	return i.ranges[0].Low
}

// name is that of the function in the source.
func (i *instance) name() string {
	d, err := i.fn.origin()
	if err != nil {
		return ""
	}
	return d.name()
}

// instances calls visit for all copies of functions below an entry, those within
// after those around them.
func (u *codeUnit) instances(d die, in *instance, visit func(*instance)) error {
	return u.instancesIn(d, in, 0, visit)
}

// maxScopes is how deep blocks and copies lie in each other.
const maxScopes = 1000

func (u *codeUnit) instancesIn(d die, in *instance, depth int, visit func(*instance)) error {
	if depth > maxScopes {
		return u.fault("entry %#x lies in %d others", d.off, depth)
	}
	for c, err := range d.children() {
		if err != nil {
			return err
		}
		inner := in
		switch c.ab.tag {
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			ranges, err := u.ranges(c)
			if err != nil {
				return err
			}
			if len(ranges) == 0 {
				continue // declared, or of no copy
			}
			inner = &instance{unit: u, fn: c, ranges: ranges}
			if c.ab.tag == dwarf.TagInlinedSubroutine {
				inner.in = in
			}
			visit(inner)
		case dwarf.TagLexDwarfBlock:
		default:
			continue
		}
		if err := u.instancesIn(c, inner, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// functions returns the entries with a name: definitions, and what inlined copies
// have in common.
func (f *dwarfFile) functions(name string) ([]die, error) {
	c, err := f.codeInfo()
	if err != nil {
		return nil, err
	}
	if all, known := c.named[name]; known {
		return all, nil
	}
	var all []die
	u := &dwarfUnit{}
	for _, h := range f.heads {
		if err := f.readUnit(u, h); err != nil {
			return nil, err
		}
		root, err := u.entry(int(u.first))
		if err != nil || root.ab == nil || !root.ab.children || otherLanguage(root) {
			continue
		}
		at, err := root.end()
		for err == nil {
			var d die
			if d, err = u.entry(at); err != nil || d.ab == nil {
				break
			}
			if kind := indexKind(d.ab); (kind == kindFunc || kind == kindAbstract) && d.ab.name.form != 0 {
				if v, ok := d.attr(dwarf.AttrName); ok && string(u.text(v)) == name {
					kept, err := f.entryAt(d.off, nil)
					if err != nil {
						return nil, err
					}
					all = append(all, kept)
				}
			}
			at, err = d.next()
		}
		if err != nil {
			return nil, err
		}
	}
	c.named[name] = all
	return all, nil
}

// copies returns all copies of a function.
func (f *dwarfFile) copies(of die) ([]*instance, error) {
	u, err := f.codeUnit(of.u.off)
	if err != nil {
		return nil, err
	}
	var all []*instance
	err = u.instances(u.root, nil, func(i *instance) {
		if d, err := i.fn.origin(); err == nil && d.off == of.off {
			all = append(all, i)
		}
	})
	return all, err
}

// copyAt returns the copy in which an address is of the function that has a line.
// At one address may begin a line and the function that is called there.
func (u *codeUnit) copyAt(pc uint64, file string, line int) (found *instance, err error) {
	err = u.instances(u.root, nil, func(i *instance) {
		if within(i.ranges, pc) && i.has(file, line) {
			found = i // those within come later
		}
	})
	return found, err
}

// has tells whether a line is one of the function.
func (i *instance) has(file string, line int) bool {
	in, first, err := i.declared()
	if err != nil || in != file || line < first {
		return false
	}
	return line < i.unit.end(file, first)
}

// A firstLine is where a function of a unit is declared.
type firstLine struct {
	file string
	line int
}

// end is the line of the next function after one that begins at first.
func (u *codeUnit) end(file string, first int) int {
	if u.first == nil {
		u.first = []firstLine{}
		for d, err := range u.root.children() {
			if err != nil {
				break
			}
			if kind := indexKind(d.ab); (kind == kindFunc || kind == kindAbstract) && d.ab.link.form == 0 {
				if file, line, err := u.declared(d); err == nil {
					u.first = append(u.first, firstLine{file, line})
				}
			}
		}
	}
	end := math.MaxInt
	for _, f := range u.first {
		if f.file == file && f.line > first {
			end = min(end, f.line)
		}
	}
	return end
}

// scopes are the function and the blocks in it around an address, the innermost
// last.
func (i *instance) scopes(pc uint64) ([]die, error) {
	all := []die{i.fn}
	for d := i.fn; ; {
		var inner die
		for c, err := range d.children() {
			if err != nil {
				return nil, err
			}
			if c.ab.tag != dwarf.TagLexDwarfBlock {
				continue
			}
			ranges, err := i.unit.ranges(c)
			if err != nil {
				return nil, err
			}
			if within(ranges, pc) {
				inner = c
				break
			}
		}
		if inner.ab == nil {
			return all, nil
		}
		all = append(all, inner)
		d = inner
	}
}

// declared returns the file and line of a function's declaration.
func (u *codeUnit) declared(d die) (file string, line int, err error) {
	_, files, err := u.table()
	if err != nil {
		return "", 0, err
	}
	n, _ := d.number(dwarf.AttrDeclLine)
	at, _ := d.number(dwarf.AttrDeclFile)
	if at >= uint64(len(files)) {
		return "", 0, u.fault("entry %#x is of file %d, which does not exist", d.off, at)
	}
	return files[at], int(n), nil
}

// statements returns the addresses in a copy at which statements of a line begin:
// one for each block that was copied. A line may begin again where the compiler
// took it apart, which is the same statement.
func (i *instance) statements(file string, line int) ([]uint64, error) {
	rows, _, err := i.unit.table()
	if err != nil {
		return nil, err
	}
	type candidate struct {
		pc     uint64
		scopes []die
	}
	var all []candidate
	if !i.has(file, line) {
		return nil, nil
	}
	for _, r := range rows {
		if r.Stmt && !r.End && r.Line == line && r.File == file && within(i.ranges, r.Addr) {
			scopes, err := i.scopes(r.Addr)
			if err != nil {
				return nil, err
			}
			all = append(all, candidate{r.Addr, scopes})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		if d := len(a.scopes) - len(b.scopes); d != 0 {
			return d
		}
		if a.pc < b.pc {
			return -1
		}
		return 1
	})
	var pcs []uint64
	var kept []uint32 // scopes
	for _, c := range all {
		if slices.ContainsFunc(c.scopes, func(d die) bool { return slices.Contains(kept, d.off) }) {
			continue
		}
		kept = append(kept, c.scopes[len(c.scopes)-1].off)
		pcs = append(pcs, c.pc)
	}
	slices.Sort(pcs)
	return pcs, nil
}
