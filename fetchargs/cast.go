package fetchargs

import "strings"

// cast makes a value one of another type. It reads no more bytes than the
// value has: see narrowed.
func (r *resolver) cast(n castNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	typ, err := r.typeNamed(n)
	if err != nil {
		return Ref{}, err
	}
	from := x.Type
	x = x.rvalue()
	switch {
	case typ.Kind == Struct || typ.Kind == Union || typ.Kind == Array:
		return Ref{}, r.fail(n, ErrNotFetchable, "a value cannot become a %s; cast to a pointer to it", typ)
	case x.bitSize != 0:
		return Ref{}, r.fail(n, ErrNotFetchable, "a bit field cannot be cast")
	case (from.Kind == Struct || from.Kind == Union) && (typ.Kind == Pointer || from.Size > 8):
		return Ref{}, r.fail(n, ErrNotFetchable, "%s is no number; name a member, or cast its address: (%s)&…", from, typ)
	case typ.Kind == Pointer && x.Type.Size < typ.Size:
		return Ref{}, r.fail(n, ErrNotFetchable, "%s has %d bytes and can be no pointer", x.Type, x.Type.Size)
	}
	size := min(typ.Size, x.Type.Size)
	if typ.Kind == Bool {
		size = x.Type.Size // it asks whether any bit is set
	}
	if size < x.Type.Size && x.off != 0 && !x.lvalue {
		return Ref{}, r.fail(n, ErrNotFetchable, "a sum cannot be made smaller: cast first, then add")
	}
	if size != typ.Size {
		typ = narrowed(typ, x.Type, size)
	}
	x.Type = typ
	return x, nil
}

// narrowed is the type of a value of type from that was cast to a wider type:
// a cast reads no more bytes than there are, and the value, with its sign,
// stays what it was.
func narrowed(to, from *Type, size int) *Type {
	return &Type{Kind: to.Kind, Name: to.Name, Size: size, Signed: from.Signed, Values: to.Values}
}

func (r *resolver) typeNamed(n castNode) (*Type, error) {
	typ := builtinType(n.typ)
	if typ == nil {
		if r.t.Types == nil {
			return nil, r.fail(n, ErrNoType, "no type information for %q", n.typ)
		}
		var err error
		if typ, err = r.t.Types.TypeNamed(n.typ); err != nil {
			return nil, r.fail(n, ErrNoType, "this kernel has no type %q", n.typ)
		}
	}
	for range n.stars {
		elem := typ
		typ = PointerTo(func() *Type { return elem })
	}
	return typ, nil
}

// builtinType knows the types that are the same everywhere, so that they need
// no type information.
func builtinType(name string) *Type {
	switch name {
	case "void":
		return voidType
	case "char", "signed char":
		return charType
	case "bool", "_Bool":
		return &Type{Kind: Bool, Name: name, Size: 1}
	}
	base, unsigned := strings.CutPrefix(name, "unsigned")
	size := map[string]int{"": 4, "int": 4, "char": 1, "short": 2, "short int": 2, "long": 8, "long int": 8, "long long": 8,
		"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4, "s64": 8}[strings.TrimSpace(base)]
	if size == 0 || base == "" && !unsigned {
		return nil
	}
	return &Type{Kind: Int, Name: name, Size: size, Signed: !unsigned && name[0] != 'u'}
}
