package ktype

import (
	"fmt"
	"math"

	"github.com/skprobe/skprobe/fetchargs"
)

// maxDepth bounds how deep types contain or qualify each other by value; in
// kernels it stays under 20.
const maxDepth = 64

// convert returns the type with an ID. What it contains is converted with it,
// what it points to when that is asked for. Each ID is converted once.
func (r *rawBTF) convert(id uint32, depth int) (*fetchargs.Type, error) {
	if id == 0 {
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}, nil
	}
	if id < r.firstID && r.base != nil {
		return r.base.convert(id, depth)
	}
	if t := r.memo[id]; t != nil {
		return t, nil
	}
	raw, ok := r.at(id)
	if !ok {
		if r.cut != "" {
			return nil, r.fault("type %d cannot be read: %s", id, r.cut)
		}
		return nil, r.fault("type %d does not exist", id)
	}
	if depth > maxDepth || r.busy[id] {
		return nil, r.fault("type %d contains itself", id)
	}
	r.busy[id] = true
	t, err := raw.convert(depth + 1)
	delete(r.busy, id)
	if err != nil {
		return nil, err
	}
	r.memo[id] = t
	return t, nil
}

func (r *rawBTF) fault(format string, a ...any) error {
	return &FileError{File: r.file, Msg: "BTF: " + fmt.Sprintf(format, a...), Do: "the file is damaged or made for another kernel"}
}

func (t rawType) convert(depth int) (*fetchargs.Type, error) {
	name := t.in.str(t.name)
	switch t.kind {
	case kindInt:
		return t.convertInt(name), nil
	case kindFloat:
		return &fetchargs.Type{Kind: fetchargs.Float, Name: name, Size: int(t.sizeRef)}, nil
	case kindPtr:
		return fetchargs.PointerTo(func() *fetchargs.Type {
			elem, err := t.in.convert(t.sizeRef, 0)
			if err != nil || t.in.endless(t.sizeRef) {
				return nil
			}
			return elem
		}), nil
	case kindArray:
		elem, err := t.in.convert(le.Uint32(t.rest), depth)
		if err != nil {
			return nil, err
		}
		n := le.Uint32(t.rest[8:])
		if uint64(n)*uint64(elem.Size) > math.MaxInt32 {
			return nil, t.in.fault("array %d of %d elements is larger than 2 GB", t.id, n)
		}
		return fetchargs.ArrayOf(elem, int(n)), nil
	case kindStruct, kindUnion:
		return t.convertStruct(name, depth)
	case kindEnum, kindEnum64:
		return t.convertEnum(name), nil
	case kindFwd:
		return t.convertForward(name, depth)
	case kindTypedef:
		return t.convertTypedef(name, depth)
	case kindConst, kindVolatile, kindRestrict, kindTypeTag, kindVar:
		return t.in.convert(t.sizeRef, depth)
	case kindFunc:
		proto, ok := t.in.at(t.sizeRef)
		if !ok || proto.kind != kindFuncProto {
			return nil, t.in.fault("function %s has no prototype", name)
		}
		return proto.convertProto(name, depth)
	case kindFuncProto:
		return t.convertProto("", depth)
	}
	return nil, t.in.fault("type %d is of kind %d, which is none of C's", t.id, t.kind)
}

// endless tells whether pointers and arrays from a type on never come to one
// that is neither. In C they do; printing such a type would not end.
func (r *rawBTF) endless(id uint32) bool {
	for range maxDepth {
		t, ok := r.at(id)
		if !ok {
			return false
		}
		switch t.kind {
		case kindPtr, kindTypedef, kindConst, kindVolatile, kindRestrict, kindTypeTag, kindVar:
			id = t.sizeRef
		case kindArray:
			id = le.Uint32(t.rest)
		default:
			return false
		}
	}
	return true
}

func (t rawType) convertInt(name string) *fetchargs.Type {
	const signed, boolean = 1, 4 // BTF_INT_SIGNED, BTF_INT_BOOL
	enc := le.Uint32(t.rest) >> 24 & 0xf
	kind := fetchargs.Int
	if enc&boolean != 0 {
		kind = fetchargs.Bool
	}
	return &fetchargs.Type{Kind: kind, Name: canonicalInt(name), Size: int(t.sizeRef), Signed: enc&signed != 0}
}

// legacyBits returns the place and width in bits of an integer that stands for
// a bit field, as older tools wrote it; width 0 for an ordinary one.
func (r *rawBTF) legacyBits(id uint32) (off, width int) {
	for range maxDepth {
		t, ok := r.at(id)
		if !ok {
			return 0, 0
		}
		switch t.kind {
		case kindInt:
			v := le.Uint32(t.rest)
			off, width = int(v>>16&0xff), int(v&0xff)
			if off == 0 && width == int(t.sizeRef)*8 {
				return 0, 0
			}
			return off, width
		case kindTypedef, kindConst, kindVolatile, kindRestrict, kindTypeTag:
			id = t.sizeRef
		default:
			return 0, 0
		}
	}
	return 0, 0
}

func (t rawType) convertStruct(name string, depth int) (*fetchargs.Type, error) {
	s := &fetchargs.Type{Kind: fetchargs.Struct, Size: int(t.sizeRef)}
	prefix := "struct "
	if t.kind == kindUnion {
		s.Kind, prefix = fetchargs.Union, "union "
	}
	if name != "" {
		s.Name = prefix + name
	}
	s.Members = make([]fetchargs.Member, t.vlen)
	for i := range s.Members {
		b := t.rest[i*12:]
		ref, off, width := le.Uint32(b[4:]), int(le.Uint32(b[8:])), 0
		mt, err := t.in.convert(ref, depth)
		if err != nil {
			return nil, err
		}
		if t.kflag { // bits 24–31 are the width of a bit field
			off, width = off&0xffffff, off>>24
		} else {
			var more int
			more, width = t.in.legacyBits(ref)
			off += more
		}
		m := &s.Members[i]
		*m = fetchargs.Member{Name: t.in.str(le.Uint32(b)), Type: mt, Offset: off / 8, BitSize: width}
		if width != 0 {
			m.BitOffset = off % 8
		} else if off%8 != 0 {
			return nil, t.in.fault("member %d of %s starts at bit %d", i, s, off)
		}
	}
	return s, nil
}

func (t rawType) convertEnum(name string) *fetchargs.Type {
	e := &fetchargs.Type{Kind: fetchargs.Enum, Size: int(t.sizeRef), Signed: t.kflag}
	if name != "" {
		e.Name = "enum " + name
	}
	e.Incomplete = t.vlen == 0
	e.Values = make([]fetchargs.Enumerator, t.vlen)
	for i := range e.Values {
		if t.kind == kindEnum64 {
			b := t.rest[i*12:]
			e.Values[i] = fetchargs.Enumerator{Name: t.in.str(le.Uint32(b)), Value: int64(le.Uint64(b[4:]))}
			continue
		}
		b := t.rest[i*8:]
		v := le.Uint32(b[4:])
		// Before 6.0 values were signed and nothing said so.
		if v > math.MaxInt32 && !t.in.signedEnums {
			e.Signed = true
		}
		e.Values[i] = fetchargs.Enumerator{Name: t.in.str(le.Uint32(b)), Value: int64(v)}
	}
	if e.Signed && t.kind == kindEnum {
		for i := range e.Values {
			e.Values[i].Value = int64(int32(e.Values[i].Value))
		}
	}
	return e
}

// convertForward looks for the definition of a type that is only declared
// here: in a module it may be the base that declares it.
func (t rawType) convertForward(name string, depth int) (*fetchargs.Type, error) {
	f := &fetchargs.Type{Kind: fetchargs.Struct, Name: "struct " + name, Incomplete: true}
	want := uint32(kindStruct)
	if t.kflag {
		f.Kind, f.Name, want = fetchargs.Union, "union "+name, kindUnion
	}
	if name == "" {
		f.Name = ""
		return f, nil
	}
	if id := t.in.find(name, 1<<want); id != 0 {
		return t.in.convert(id, depth)
	}
	return f, nil
}

func (t rawType) convertTypedef(name string, depth int) (*fetchargs.Type, error) {
	of, err := t.in.convert(t.sizeRef, depth)
	if err != nil {
		return nil, err
	}
	return typedefOf(name, of), nil
}

// typedefOf returns what a typedef is: a number or an anonymous type gets its
// name, everything else keeps its own.
func typedefOf(name string, of *fetchargs.Type) *fetchargs.Type {
	switch of.Kind {
	case fetchargs.Int, fetchargs.Bool, fetchargs.Float:
	case fetchargs.Struct, fetchargs.Union, fetchargs.Enum:
		if of.Name != "" {
			return of
		}
	default:
		return of
	}
	c := *of
	c.Name = name
	return &c
}

func (t rawType) convertProto(name string, depth int) (*fetchargs.Type, error) {
	result, err := t.in.convert(t.sizeRef, depth)
	if err != nil {
		return nil, err
	}
	params := make([]fetchargs.Member, 0, t.vlen)
	for i := range t.vlen {
		b := t.rest[i*8:]
		if i == t.vlen-1 && le.Uint64(b) == 0 {
			break // "..."
		}
		pt, err := t.in.convert(le.Uint32(b[4:]), depth)
		if err != nil {
			return nil, err
		}
		params = append(params, fetchargs.Member{Name: t.in.str(le.Uint32(b)), Type: pt})
	}
	return fetchargs.FuncOf(name, params, result), nil
}

// find returns the first ID of that name and kinds, preferring a type with
// members, or 0. It looks into the base first.
func (r *rawBTF) find(name string, kinds uint32) uint32 {
	if r.base != nil {
		if id := r.base.find(name, kinds); id != 0 {
			return id
		}
	}
	return r.findOwn(name, kinds)
}

// findOwn is find without the base.
func (r *rawBTF) findOwn(name string, kinds uint32) uint32 {
	var best rawType
	for t := range r.named(name, kinds) {
		if best.id == 0 || t.vlen != 0 || best.vlen == 0 {
			best = t // IDs come from last to first
		}
	}
	return best.id
}
