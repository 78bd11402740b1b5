package ktype

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// codeInfo is what a file says of its code. It is read when the first place in it
// is asked for.
type codeInfo struct {
	line, loc, loclists, ranges, rnglists, addr []byte
	frames                                      *dwarfloc.Frames
	functions, objects                          []codeSymbol // by address
	units                                       map[uint32]*codeUnit
	named                                       map[string][]die // functions that were looked for
}

// A codeSymbol is a symbol with an address.
type codeSymbol struct {
	name       string
	addr, size uint64
	several    bool // others have the name too
}

func (f *dwarfFile) codeInfo() (_ *codeInfo, err error) {
	if f.code != nil {
		return f.code, nil
	}
	c := &codeInfo{units: map[uint32]*codeUnit{}, named: map[string][]die{}}
	for name, to := range map[string]*[]byte{
		".debug_line": &c.line, ".debug_loc": &c.loc, ".debug_loclists": &c.loclists,
		".debug_ranges": &c.ranges, ".debug_rnglists": &c.rnglists, ".debug_addr": &c.addr,
	} {
		if *to, err = f.sectionData(name); err != nil {
			return nil, err
		}
	}
	if c.line == nil {
		return nil, f.cannot("it has no lines (.debug_line)")
	}
	frames, err := f.sectionData(".debug_frame")
	if err != nil {
		return nil, err
	}
	if frames != nil {
		c.frames = dwarfloc.ReadFrames(frames, false, 0)
	} else if s := f.elf.Section(".eh_frame"); s != nil && f.elf.Type != elf.ET_REL {
		if frames, err = f.sectionData(".eh_frame"); err != nil {
			return nil, err
		}
		c.frames = dwarfloc.ReadFrames(frames, true, s.Addr)
	}
	f.code = c
	return c, f.readCodeSymbols(c)
}

// readCodeSymbols reads the symbol table with its addresses.
func (f *dwarfFile) readCodeSymbols(c *codeInfo) error {
	all, err := f.elf.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		all, err = f.elf.DynamicSymbols()
	}
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return f.unreadable(".symtab", err)
	}
	bases := f.sectionBases()
	count := map[string]int{}
	for _, s := range all {
		count[s.Name]++
		if int(s.Section) >= len(bases) || s.Section == elf.SHN_UNDEF || strings.HasPrefix(s.Name, "__pfx_") || strings.HasPrefix(s.Name, "__cfi_") {
			continue
		}
		sym := codeSymbol{name: s.Name, addr: s.Value + bases[s.Section], size: s.Size}
		switch elf.ST_TYPE(s.Info) {
		case elf.STT_FUNC:
			c.functions = append(c.functions, sym)
		case elf.STT_OBJECT:
			c.objects = append(c.objects, sym)
		}
	}
	for _, list := range [][]codeSymbol{c.functions, c.objects} {
		for i := range list {
			list[i].several = count[list[i].name] > 1
		}
		slices.SortStableFunc(list, func(a, b codeSymbol) int {
			switch {
			case a.addr < b.addr:
				return -1
			case a.addr > b.addr:
				return 1
			}
			return strings.Compare(a.name, b.name)
		})
	}
	return nil
}

// symbolAt returns the symbol in which an address is. Of several it is the one
// that is called prefer, or the first whose name no other has.
func symbolAt(list []codeSymbol, addr uint64, prefer string) (codeSymbol, bool) {
	i := sort.Search(len(list), func(i int) bool { return list[i].addr > addr })
	var found codeSymbol
	for i--; i >= 0; i-- {
		s := list[i]
		if found.name != "" && s.addr != found.addr {
			break
		}
		if addr-s.addr >= max(s.size, 1) {
			continue
		}
		if found.name == "" || s.name == prefer || found.several && !s.several {
			found = s
		}
		if found.name == prefer {
			break
		}
	}
	return found, found.name != ""
}

// A codeUnit is a unit with what its lists and lines need.
type codeUnit struct {
	*dwarfUnit
	code  *codeInfo
	root  die
	low   uint64 // DW_AT_low_pc
	rows  []dwarfloc.Row
	files []string
	first []firstLine
	lines error // why there are no rows
	read  bool
}

// codeUnit returns the unit that begins at an offset.
func (f *dwarfFile) codeUnit(off uint32) (*codeUnit, error) {
	c, err := f.codeInfo()
	if err != nil {
		return nil, err
	}
	if u := c.units[off]; u != nil {
		return u, nil
	}
	du, err := f.unitAt(off)
	if err != nil {
		return nil, err
	}
	u := &codeUnit{dwarfUnit: du, code: c}
	if u.root, err = du.entry(int(du.first)); err != nil {
		return nil, err
	}
	u.low, _ = u.address(u.root, dwarf.AttrLowpc)
	c.units[off] = u
	return u, nil
}

// lines are what the table of lines of a unit is read from.
func (c *codeInfo) lines(u *dwarfUnit) dwarfloc.Unit {
	f := u.in
	return dwarfloc.Unit{Info: u.data, Abbrev: f.abbrev, Line: c.line, Str: f.str, LineStr: f.lineStr, StrOffsets: f.strOffsets, Addr: c.addr, RngLists: c.rnglists}
}

// table reads the table of lines.
func (u *codeUnit) table() ([]dwarfloc.Row, []string, error) {
	if !u.read {
		u.read = true
		w := u.code.lines(u.dwarfUnit)
		if u.files, u.lines = w.Files(); u.lines == nil {
			u.rows, u.lines = w.Rows()
		}
		if u.lines != nil {
			u.lines = u.fault("the lines of the unit at %#x: %v", u.off, u.lines)
		}
	}
	return u.rows, u.files, u.lines
}

// addrAt is entry i of the unit in .debug_addr.
func (u *codeUnit) addrAt(i uint64) (uint64, error) {
	base := uint64(8)
	if v, ok := u.root.attr(dwarf.AttrAddrBase); ok {
		base = v.num
	}
	if i > 1<<32 || base+8*i+8 > uint64(len(u.code.addr)) {
		return 0, u.fault("address %d of the unit at %#x does not exist", i, u.off)
	}
	return le.Uint64(u.code.addr[base+8*i:]), nil
}

// address returns an attribute that is an address.
func (u *codeUnit) address(d die, attr dwarf.Attr) (uint64, bool) {
	v, ok := d.attr(attr)
	if !ok {
		return 0, false
	}
	switch v.form {
	case formAddr:
		return v.num, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4:
		addr, err := u.addrAt(v.num)
		return addr, err == nil
	}
	return 0, false
}

// lists returns the section with lists of ranges or locations, and where in it an
// attribute's list is.
func (u *codeUnit) lists(v dieValue, old, section []byte, base dwarf.Attr) (dwarfloc.Lists, uint64, error) {
	l := dwarfloc.Lists{Version: u.version, Section: old, Base: u.low, Addr: u.addrAt}
	if u.version >= 5 {
		l.Section = section
	}
	off := v.num
	if v.form == formRnglistx || v.form == formLoclistx {
		start := uint64(12)
		if b, ok := u.root.attr(base); ok {
			start = b.num
		}
		if off > 1<<32 || start+4*off+4 > uint64(len(l.Section)) {
			return l, 0, u.fault("list %d of the unit at %#x does not exist", off, u.off)
		}
		off = start + uint64(le.Uint32(l.Section[start+4*off:]))
	}
	return l, off, nil
}

// ranges returns the addresses of an entry's code.
func (u *codeUnit) ranges(d die) ([]dwarfloc.Range, error) {
	if v, ok := d.attr(dwarf.AttrRanges); ok {
		l, off, err := u.lists(v, u.code.ranges, u.code.rnglists, dwarf.AttrRnglistsBase)
		if err != nil {
			return nil, err
		}
		all, err := l.Ranges(off)
		if err != nil {
			return nil, u.fault("the ranges of entry %#x: %v", d.off, err)
		}
		return all, nil
	}
	low, ok := u.address(d, dwarf.AttrLowpc)
	if !ok {
		return nil, nil
	}
	high, ok := u.address(d, dwarf.AttrHighpc)
	if n, isLen := d.number(dwarf.AttrHighpc); isLen {
		high, ok = low+n, true
	}
	if !ok || high <= low {
		return nil, nil
	}
	return []dwarfloc.Range{{Low: low, High: high}}, nil
}

func within(ranges []dwarfloc.Range, pc uint64) bool {
	return slices.ContainsFunc(ranges, func(r dwarfloc.Range) bool { return r.Has(pc) })
}
