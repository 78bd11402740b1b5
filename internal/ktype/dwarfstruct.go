package ktype

import (
	"debug/dwarf"

	"github.com/skprobe/skprobe/fetchargs"
)

// convertStruct: DWARF 5, section 5.7.
func (d die) convertStruct(depth int) (*fetchargs.Type, error) {
	s := &fetchargs.Type{Kind: fetchargs.Struct, Size: d.size()}
	prefix, kind := "struct ", uint32(kindStruct)
	if d.ab.tag == dwarf.TagUnionType {
		s.Kind, prefix, kind = fetchargs.Union, "union ", kindUnion
	}
	if d.flag(dwarf.AttrDeclaration) {
		return d.convertDeclaration(prefix, s.Kind, kind, depth)
	}
	if name := d.name(); name != "" {
		s.Name = prefix + name
	}
	for m, err := range d.children() {
		if err != nil {
			return nil, err
		}
		if m.ab.tag != dwarf.TagMember {
			continue
		}
		c, err := m.convertMember(s, depth)
		if err != nil {
			return nil, err
		}
		s.Members = append(s.Members, c)
	}
	return s, nil
}

// convertDeclaration looks for the definition of a type that this unit only
// declares: another source file has it, or for a module that of the kernel.
func (d die) convertDeclaration(prefix string, kind fetchargs.TypeKind, defined uint32, depth int) (*fetchargs.Type, error) {
	t := &fetchargs.Type{Kind: kind, Incomplete: true}
	name := d.name()
	if name == "" {
		return t, nil
	}
	t.Name = prefix + name
	for _, f := range [...]*dwarfFile{d.u.in, d.u.in.base} {
		if f == nil {
			continue
		}
		if def, ok, err := f.find(name, 1<<defined); err != nil {
			return nil, err
		} else if ok {
			return def.convert(depth)
		}
	}
	return t, nil
}

// maxBits bounds the place of a member, in bits: no struct of a kernel is
// larger than what an int32 counts in bytes.
const maxBits = 8 << 31

func (d die) convertMember(s *fetchargs.Type, depth int) (fetchargs.Member, error) {
	var m fetchargs.Member
	t, err := d.typeOf(depth)
	if err != nil {
		return m, err
	}
	m = fetchargs.Member{Name: d.name(), Type: t}
	bits, err := d.location()
	if err != nil {
		return m, err
	}
	if width, ok := d.number(dwarf.AttrBitSize); ok && width > 0 && width <= 128 {
		m.BitSize = int(width)
		if v, ok := d.number(dwarf.AttrDataBitOffset); ok { // from DWARF 4 on
			bits = v // the byte of the member is not given then
		} else if v, ok := d.number(dwarf.AttrBitOffset); ok {
			// Before, bits counted from the most significant one of a word
			// that starts at the member's byte (DWARF 3, section 5.6.6).
			word, ok := d.number(dwarf.AttrByteSize)
			if !ok {
				word = uint64(t.Size)
			}
			// Clang has a number below 0 where it ends after that word, as
			// in packed structs.
			first := 8*int64(word) - int64(v) - int64(width)
			if word > 64 || int64(v) < -8*64 || first < 0 {
				return m, d.u.fault("bit field %s of %s lies outside of its word", m.Name, s)
			}
			bits += uint64(first)
		}
	}
	if bits > maxBits {
		return m, d.u.fault("member %s of %s is at byte %d", m.Name, s, bits/8)
	}
	m.Offset = int(bits / 8)
	if m.BitSize != 0 {
		m.BitOffset = int(bits % 8)
	} else if bits%8 != 0 {
		return m, d.u.fault("member %s of %s starts at bit %d", m.Name, s, bits)
	}
	return m, nil
}

// location returns DW_AT_data_member_location in bits: a number, or the
// expression DW_OP_plus_uconst N that DWARF 2 had for it. Members of unions
// have none.
func (d die) location() (uint64, error) {
	v, ok := d.attr(dwarf.AttrDataMemberLoc)
	if !ok {
		if off, ok := d.number(dwarf.AttrDataBitOffset); ok {
			return off, nil
		}
		return 0, nil
	}
	off := v.num
	if !v.isConst() {
		const plusUconst = 0x23
		c := cursor{data: v.bytes}
		op := c.uint(1)
		off = c.uleb()
		if c.bad || op != plusUconst || c.off != len(v.bytes) {
			return 0, d.u.fault("the place of member %q must be computed", d.name())
		}
	}
	return 8 * min(off, maxBits), nil
}
