package ktype

import (
	"debug/dwarf"
	"math"

	"github.com/skprobe/skprobe/fetchargs"
)

// tagAtomic is _Atomic, of which debug/dwarf has no constant.
const tagAtomic dwarf.Tag = 0x47

// convert returns the type that an entry describes, spelt as [BTF] spells it.
// What it contains is converted with it, what it points to when that is asked
// for. Each entry is converted once.
func (d die) convert(depth int) (*fetchargs.Type, error) {
	f := d.u.in
	if t := f.memo[d.off]; t != nil {
		return t, nil
	}
	if depth > maxDepth || f.busy[d.off] {
		return nil, d.u.fault("the type at %#x contains itself", d.off)
	}
	f.busy[d.off] = true
	t, err := d.convertNew(depth + 1)
	delete(f.busy, d.off)
	if err != nil {
		return nil, err
	}
	f.memo[d.off] = t
	return t, nil
}

func (d die) convertNew(depth int) (*fetchargs.Type, error) {
	switch d.ab.tag {
	case dwarf.TagBaseType:
		return d.convertBase(), nil
	case dwarf.TagPointerType:
		return fetchargs.PointerTo(func() *fetchargs.Type {
			to, ok, err := d.ref(dwarf.AttrType)
			if err != nil || !ok || to.endless() {
				return nil
			}
			t, err := to.convert(0)
			if err != nil {
				return nil
			}
			return t
		}), nil
	case dwarf.TagArrayType:
		return d.convertArray(depth)
	case dwarf.TagStructType, dwarf.TagUnionType:
		return d.convertStruct(depth)
	case dwarf.TagEnumerationType:
		return d.convertEnum(depth)
	case dwarf.TagTypedef:
		return d.convertTypedef(depth)
	case dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, tagAtomic:
		return d.typeOf(depth)
	case dwarf.TagSubroutineType, dwarf.TagSubprogram:
		return d.convertFunc(depth)
	case dwarf.TagUnspecifiedType:
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}, nil
	}
	return nil, d.u.fault("entry %#x (%s) is not a type of C", d.off, d.ab.tag)
}

// endless is as that of BTF: types that refer to each other and to nothing
// else cannot be printed.
func (d die) endless() bool {
	for range maxDepth {
		switch d.ab.tag {
		case dwarf.TagPointerType, dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType,
			tagAtomic, dwarf.TagArrayType:
		default:
			return false
		}
		to, ok, err := d.ref(dwarf.AttrType)
		if err != nil || !ok {
			return false
		}
		d = to
	}
	return true
}

// size returns DW_AT_byte_size, 0 where it is missing or absurd.
func (d die) size() int {
	n, _ := d.number(dwarf.AttrByteSize)
	if n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

// convertBase: DWARF 5, section 5.1 and the encodings of table 7.11.
func (d die) convertBase() *fetchargs.Type {
	const boolean, float, signed, signedChar = 2, 4, 5, 6
	t := &fetchargs.Type{Kind: fetchargs.Int, Name: canonicalInt(d.name()), Size: d.size()}
	switch enc, _ := d.number(dwarf.AttrEncoding); enc {
	case boolean:
		t.Kind = fetchargs.Bool
	case float:
		t.Kind = fetchargs.Float
	case signed, signedChar:
		t.Signed = true
	}
	return t
}

// convertArray: an array has a DW_TAG_subrange_type for each dimension, the
// outermost first (DWARF 5, section 5.5).
func (d die) convertArray(depth int) (*fetchargs.Type, error) {
	t, err := d.typeOf(depth)
	if err != nil {
		return nil, err
	}
	var dims []uint64
	for r, err := range d.children() {
		if err != nil {
			return nil, err
		}
		if r.ab.tag == dwarf.TagSubrangeType {
			dims = append(dims, r.elements())
		}
	}
	if len(dims) == 0 {
		dims = append(dims, 0)
	}
	for i := len(dims) - 1; i >= 0; i-- {
		n := dims[i]
		if n > math.MaxInt32 || n*uint64(t.Size) > math.MaxInt32 {
			return nil, d.u.fault("array %#x of %d elements is larger than 2 GB", d.off, n)
		}
		t = fetchargs.ArrayOf(t, int(n))
	}
	return t, nil
}

// elements returns the length of a dimension: DW_AT_count, or one more than
// DW_AT_upper_bound. It is 0 for "[]", for "[0]", whose upper bound compilers
// write as -1 in the widest form they have, and where code computes it.
func (d die) elements() uint64 {
	if n, ok := d.number(dwarf.AttrCount); ok {
		return n
	}
	v, ok := d.attr(dwarf.AttrUpperBound)
	switch {
	case !ok || !v.isConst() || v.signed() && int64(v.num) < 0:
		return 0
	case v.form == formData4 && v.num == math.MaxUint32, v.num == math.MaxUint64:
		return 0
	}
	return v.num + 1
}

// convertEnum: an enum is signed when one of its values is negative, which is
// what BTF says of it.
func (d die) convertEnum(depth int) (*fetchargs.Type, error) {
	if d.flag(dwarf.AttrDeclaration) {
		return d.convertDeclaration("enum ", fetchargs.Enum, kindEnum, depth)
	}
	e := &fetchargs.Type{Kind: fetchargs.Enum, Size: d.size()}
	if name := d.name(); name != "" {
		e.Name = "enum " + name
	}
	for v, err := range d.children() {
		if err != nil {
			return nil, err
		}
		if v.ab.tag != dwarf.TagEnumerator {
			continue
		}
		val, _ := v.attr(dwarf.AttrConstValue)
		if val.signed() && int64(val.num) < 0 {
			e.Signed = true
		}
		e.Values = append(e.Values, fetchargs.Enumerator{Name: v.name(), Value: int64(val.num)})
	}
	return e, nil
}

// convertTypedef names the numbers and anonymous types; others keep their name.
func (d die) convertTypedef(depth int) (*fetchargs.Type, error) {
	of, err := d.typeOf(depth)
	if err != nil {
		return nil, err
	}
	return typedefOf(d.name(), of), nil
}
