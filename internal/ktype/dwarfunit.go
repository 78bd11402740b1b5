package ktype

import (
	"debug/dwarf"
	"sort"
)

// Kinds of units: DWARF 5, section 7.5.1, table 7.2.
const (
	unitType         = 2
	unitSkeleton     = 4
	unitSplitCompile = 5
	unitSplitType    = 6
)

// A unitHead is what is kept of each unit (DWARF 5, section 7.5.1.1): one of
// the 2,200 source files of a kernel.
type unitHead struct {
	off, end uint32 // in .debug_info, with the header
	abbrevs  uint32 // in .debug_abbrev
	first    uint8  // bytes of the header
	version  uint8
	addrSize uint8
	kind     uint8
}

// A dwarfUnit is a unit that was read.
type dwarfUnit struct {
	in *dwarfFile
	unitHead
	data       []byte // with the header, so that references count from its start
	abbrevs    abbrevTable
	strOffsets uint64 // DW_AT_str_offsets_base
}

// unitHeads reads the headers of all units.
func (f *dwarfFile) unitHeads() error {
	var buf [32]byte
	for off := int64(0); off < f.info.size; {
		head, err := f.info.read(buf[:], off, min(int64(len(buf)), f.info.size-off))
		if err != nil {
			return f.unreadable(".debug_info", err)
		}
		c := cursor{data: head}
		n := c.uint(4)
		switch {
		case n == 0 && !c.bad: // padding
			off += 4
			continue
		case n == 0xffffffff:
			return f.cannot("it is in the 64-bit format of DWARF, which no kernel build makes")
		case n > uint64(f.info.size-off-4) || n < 7:
			return f.corrupt("unit at %#x of %d bytes in a section of %d", off, n, f.info.size)
		}
		h := unitHead{off: uint32(off), end: uint32(off + 4 + int64(n)), version: uint8(min(c.uint(2), 255))}
		switch {
		case h.version < 2 || h.version > 5:
			return f.cannot("unit at %#x is of version %d of DWARF, and skprobe knows 2 to 5", off, h.version)
		case h.version == 5:
			h.kind, h.addrSize = uint8(c.uint(1)), uint8(c.uint(1))
			h.abbrevs = uint32(c.uint(4))
			switch h.kind {
			case unitSkeleton, unitSplitCompile:
				c.skip(8)
			case unitType, unitSplitType:
				c.skip(12)
			}
		default:
			h.abbrevs, h.addrSize = uint32(c.uint(4)), uint8(c.uint(1))
		}
		h.first = uint8(c.off)
		if c.bad || h.addrSize != 8 || int64(h.abbrevs) >= int64(len(f.abbrev)) || uint32(h.first) > h.end-h.off {
			return f.corrupt("the header of the unit at %#x makes no sense", off)
		}
		f.heads = append(f.heads, h)
		off = int64(h.end)
	}
	return nil
}

// readUnit reads a unit into u, whose memory is used again.
func (f *dwarfFile) readUnit(u *dwarfUnit, h unitHead) error {
	n := int(h.end - h.off)
	if cap(u.data) < n {
		u.data = make([]byte, n)
	}
	data, err := f.info.read(u.data[:n], int64(h.off), int64(n))
	if err != nil {
		return f.unreadable(".debug_info", err)
	}
	u.in, u.unitHead, u.data, u.strOffsets = f, h, data, 8
	if err := parseAbbrevs(&u.abbrevs, f.abbrev[h.abbrevs:], h.version, h.addrSize); err != nil {
		return f.corrupt("%v, of the unit at %#x", err, h.off)
	}
	if root, err := u.entry(int(h.first)); err == nil && root.ab != nil && len(f.strOffsets) > 0 {
		if v, ok := root.attr(dwarf.AttrStrOffsetsBase); ok {
			u.strOffsets = v.num
		}
	}
	return nil
}

// unitAt returns the unit that has an offset of .debug_info. Units of which
// something is used are kept: what they point to is read later.
func (f *dwarfFile) unitAt(off uint32) (*dwarfUnit, error) {
	i := sort.Search(len(f.heads), func(i int) bool { return f.heads[i].end > off })
	if i == len(f.heads) || off < f.heads[i].off {
		return nil, f.corrupt("a reference to %#x, where nothing is", off)
	}
	if u := f.units[i]; u != nil {
		return u, nil
	}
	u := &dwarfUnit{}
	if err := f.readUnit(u, f.heads[i]); err != nil {
		return nil, err
	}
	f.units[i] = u
	return u, nil
}

// entryAt returns the entry at an offset of .debug_info, which most often is in
// the unit near.
func (f *dwarfFile) entryAt(off uint32, near *dwarfUnit) (die, error) {
	if near == nil || off < near.off || off >= near.end {
		var err error
		if near, err = f.unitAt(off); err != nil {
			return die{}, err
		}
	}
	if off-near.off < uint32(near.first) {
		return die{}, f.corrupt("a reference to %#x, where nothing is", off)
	}
	d, err := near.entry(int(off - near.off))
	if err == nil && d.ab == nil {
		err = f.corrupt("a reference to %#x, where no entry is", off)
	}
	return d, err
}

// text returns a string attribute.
func (u *dwarfUnit) text(v dieValue) []byte {
	table, off := u.in.str, v.num
	switch v.form {
	case formString:
		return v.bytes
	case formStrp:
	case formLineStrp:
		table = u.in.lineStr
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4:
		if v.num > 1<<32 || u.strOffsets > 1<<32 {
			return nil
		}
		at := u.strOffsets + 4*v.num
		if at+4 > uint64(len(u.in.strOffsets)) {
			return nil
		}
		off = uint64(le.Uint32(u.in.strOffsets[at:]))
	default:
		return nil
	}
	if off >= uint64(len(table)) {
		return nil
	}
	c := cursor{data: table, off: int(off)}
	return c.str()
}
