package ktype

import (
	"debug/dwarf"
	"fmt"
	"iter"
)

// A die is a debugging information entry (DWARF 5, section 2.1): a type, a
// member, a function.
type die struct {
	u    *dwarfUnit
	off  uint32 // in .debug_info; the name of the entry for references
	ab   *abbrev
	vals int // where its attributes are, in u.data
}

// A dieValue is the value of an attribute. Which part counts is told by form.
type dieValue struct {
	form  uint16
	num   uint64 // constants, references (absolute), offsets and indices
	bytes []byte // blocks, expressions, and strings that lie in the entry
}

// signed tells that the form itself has a sign (DW_FORM_sdata).
func (v dieValue) signed() bool { return v.form == formSdata || v.form == formImplicit }

// isConst tells constants from references, blocks and lists.
func (v dieValue) isConst() bool {
	switch v.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicit:
		return true
	}
	return false
}

func (v dieValue) isRef() bool {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata, formRefAddr:
		return true
	}
	return false
}

// entry reads the head of the entry at a place in the unit's data. It is the
// zero die at the end of a list of children.
func (u *dwarfUnit) entry(at int) (die, error) {
	c := cursor{data: u.data, off: at}
	code := c.uleb()
	if c.bad {
		return die{}, u.fault("entry at %#x lies outside of its unit", u.off+uint32(at))
	}
	if code == 0 {
		return die{vals: c.off}, nil
	}
	ab := u.abbrevs.at(code)
	if ab == nil {
		return die{}, u.fault("entry at %#x has no abbreviation", u.off+uint32(at))
	}
	return die{u: u, off: u.off + uint32(at), ab: ab, vals: c.off}, nil
}

// attr returns the value of an attribute.
func (d die) attr(want dwarf.Attr) (dieValue, bool) {
	c := cursor{data: d.u.data, off: d.vals}
	for _, f := range d.ab.attrs {
		if f.attr == want {
			v, err := d.u.value(&c, f)
			return v, err == nil && !c.bad
		}
		if c.skipForm(f.form, d.u.version, d.u.addrSize) != nil || c.bad {
			return dieValue{}, false
		}
	}
	return dieValue{}, false
}

// value reads a value and steps over it.
func (u *dwarfUnit) value(c *cursor, f attrForm) (dieValue, error) {
	v := dieValue{form: f.form}
	if n := fixedSize(f.form, u.version, u.addrSize); n >= 0 && n <= 8 {
		v.num = c.uint(n)
	}
	switch f.form {
	case formImplicit:
		v.num = uint64(f.implicit)
	case formFlagPresent:
		v.num = 1
	case formSdata:
		v.num = uint64(c.sleb())
	case formUdata, formStrx, formAddrx, formLoclistx, formRnglistx:
		v.num = c.uleb()
	case formRefUdata:
		v.num = c.uleb() + uint64(u.off)
	case formRef1, formRef2, formRef4, formRef8:
		v.num += uint64(u.off)
	case formString:
		v.bytes = c.str()
	case formExprloc, formBlock:
		v.bytes = c.take(int(min(c.uleb(), 1<<31)))
	case formBlock1:
		v.bytes = c.take(int(c.uint(1)))
	case formBlock2:
		v.bytes = c.take(int(c.uint(2)))
	case formBlock4:
		v.bytes = c.take(int(c.uint(4)))
	case formIndirect:
		in := c.uleb()
		if in == formIndirect || in == formImplicit || in > 0xffff {
			return v, errForm
		}
		return u.value(c, attrForm{attr: f.attr, form: uint16(in)})
	case formData16:
		v.bytes = c.take(16)
	default:
		if fixedSize(f.form, u.version, u.addrSize) < 0 {
			return v, errForm
		}
	}
	return v, nil
}

// name returns DW_AT_name, or "".
func (d die) name() string {
	v, ok := d.attr(dwarf.AttrName)
	if !ok {
		return ""
	}
	return string(d.u.text(v))
}

// ref follows an attribute that refers to another entry.
func (d die) ref(attr dwarf.Attr) (to die, ok bool, err error) {
	v, ok := d.attr(attr)
	if !ok {
		return die{}, false, nil
	}
	switch {
	case v.form == formGNURefAlt || v.form == formRefSup4 || v.form == formRefSup8:
		return die{}, false, d.u.in.cannot("its types are in another file (made by dwz -m)")
	case !v.isRef() || v.num > 0xffffffff:
		return die{}, false, d.u.fault("%s of entry %#x is no reference that is known", attr, d.off)
	}
	to, err = d.u.in.entryAt(uint32(v.num), d.u)
	return to, err == nil, err
}

// number returns a constant attribute.
func (d die) number(attr dwarf.Attr) (uint64, bool) {
	v, ok := d.attr(attr)
	return v.num, ok && v.isConst()
}

// flag tells whether an attribute is there and not false.
func (d die) flag(attr dwarf.Attr) bool {
	v, ok := d.attr(attr)
	return ok && v.num != 0
}

// end returns the place after the attributes.
func (d die) end() (int, error) {
	if d.ab.fixed >= 0 {
		return d.vals + d.ab.fixed, nil
	}
	c := cursor{data: d.u.data, off: d.vals}
	for _, f := range d.ab.attrs {
		if err := c.skipForm(f.form, d.u.version, d.u.addrSize); err != nil {
			return 0, d.u.fault("entry at %#x: %v", d.off, err)
		}
	}
	if c.bad {
		return 0, d.u.fault("entry at %#x goes on after its unit", d.off)
	}
	return c.off, nil
}

// after returns the place behind the entry and all that is below it.
func (d die) after() (int, error) {
	end, err := d.end()
	if err != nil || !d.ab.children {
		return end, err
	}
	// Most entries with children name their sibling; Clang's do not.
	if v, ok := d.attr(dwarf.AttrSibling); ok && v.isRef() && v.num > uint64(d.off) && v.num < uint64(d.u.off)+uint64(len(d.u.data)) {
		if at := int(uint32(v.num) - d.u.off); at >= end {
			return at, nil
		}
	}
	for depth := 1; depth > 0; {
		in, err := d.u.entry(end)
		if err != nil {
			return 0, err
		}
		if in.ab == nil {
			end = in.vals
			depth--
			continue
		}
		if end, err = in.end(); err != nil {
			return 0, err
		}
		if in.ab.children {
			depth++
		}
	}
	return end, nil
}

// children yields the entries directly below one.
func (d die) children() iter.Seq2[die, error] {
	return func(yield func(die, error) bool) {
		if !d.ab.children {
			return
		}
		at, err := d.end()
		for err == nil {
			var in die
			if in, err = d.u.entry(at); err != nil || in.ab == nil {
				break
			}
			if !yield(in, nil) {
				return
			}
			at, err = in.after()
		}
		if err != nil {
			yield(die{}, err)
		}
	}
}

func (u *dwarfUnit) fault(format string, a ...any) error {
	return &FileError{File: u.in.file, Msg: "DWARF: " + fmt.Sprintf(format, a...), Do: damaged}
}

const damaged = "the file is damaged or truncated: install or build it again"
