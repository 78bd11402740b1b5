package ktype

import (
	"debug/dwarf"
	"errors"
)

// An abbrev says which attributes entries with its code have, and in which
// forms (DWARF 5, section 7.5.3).
type abbrev struct {
	tag      dwarf.Tag
	children bool
	attrs    []attrForm

	// What the scan for names wants to know without looking at each attribute.
	fixed   int // bytes of all attributes, or -1 when the values tell
	sibling place
	name    place
	link    place // DW_AT_specification or DW_AT_abstract_origin
	has     attrSet
}

type attrForm struct {
	attr     dwarf.Attr
	form     uint16
	implicit int64 // the value, for DW_FORM_implicit_const
}

// A place is where an attribute lies after the entry's code: off is -1 when
// attributes before it vary in length, form is 0 when there is none.
type place struct {
	off  int
	form uint16
}

type attrSet uint8

const (
	hasDeclaration attrSet = 1 << iota
	hasCode                // DW_AT_low_pc, DW_AT_ranges or DW_AT_entry_pc
)

// Attributes of which debug/dwarf has no constant.
const (
	attrGNUDwoName dwarf.Attr = 0x2130
	attrEntrypc    dwarf.Attr = 0x52
)

// abbrevTable is the abbreviations of a unit; codes count from 1, with gaps
// in broken or merged files only.
type abbrevTable struct {
	dense  []abbrev // dense[code-1]
	sparse map[uint64]*abbrev
}

func (t *abbrevTable) at(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

var errAbbrev = errors.New("the abbreviations are damaged")

// parseAbbrevs reads the table that starts at data. attrs are reused from an
// earlier table, whose entries are then no longer good.
func parseAbbrevs(t *abbrevTable, data []byte, version, addrSize uint8) error {
	c := cursor{data: data}
	t.dense, t.sparse = t.dense[:0], nil
	for {
		code := c.uleb()
		if code == 0 && !c.bad {
			return nil
		}
		a := abbrev{tag: dwarf.Tag(c.uleb()), children: c.uint(1) != 0}
		if code == uint64(len(t.dense))+1 && cap(t.dense) > len(t.dense) {
			a.attrs = t.dense[:len(t.dense)+1][len(t.dense)].attrs[:0]
		}
		for {
			attr, form := c.uleb(), c.uleb()
			if c.bad || attr > 0xffffffff || form > 0xffff {
				return errAbbrev
			}
			if attr == 0 && form == 0 {
				break
			}
			f := attrForm{attr: dwarf.Attr(attr), form: uint16(form)}
			if form == formImplicit {
				f.implicit = c.sleb()
			}
			a.attrs = append(a.attrs, f)
		}
		a.plan(version, addrSize)
		switch {
		case code == uint64(len(t.dense))+1 && t.sparse[code] == nil:
			t.dense = append(t.dense, a)
		case t.at(code) != nil:
			return errAbbrev
		default:
			if t.sparse == nil {
				t.sparse = map[uint64]*abbrev{}
			}
			t.sparse[code] = &a
		}
	}
}

func (a *abbrev) plan(version, addrSize uint8) {
	off := 0
	for _, f := range a.attrs {
		switch f.attr {
		case dwarf.AttrSibling:
			a.sibling = place{off, f.form}
		case dwarf.AttrName:
			a.name = place{off, f.form}
		case dwarf.AttrAbstractOrigin, dwarf.AttrSpecification:
			a.link = place{off, f.form}
		case dwarf.AttrDeclaration:
			a.has |= hasDeclaration
		case dwarf.AttrLowpc, dwarf.AttrRanges, attrEntrypc:
			a.has |= hasCode
		}
		if n := fixedSize(f.form, version, addrSize); n >= 0 && off >= 0 {
			off += n
		} else {
			off = -1
		}
	}
	a.fixed = off
}
