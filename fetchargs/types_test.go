package fetchargs

import "strings"

// fixed is a small kernel for tables: types whose layout can be read off.
type fixed map[string]*Type

func (f fixed) TypeNamed(name string) (*Type, error) {
	if t := f[name]; t != nil {
		return t, nil
	}
	return nil, ErrNoType
}

func (f fixed) FuncNamed(name string) (*Type, error) { return f.TypeNamed(name + "()") }
func (f fixed) Source() string                       { return "a table" }

// cType reads "u16", "struct sock *", "char[16]".
func (f fixed) cType(s string) *Type {
	if in, ok := strings.CutSuffix(s, " *"); ok {
		return PointerTo(func() *Type { return f.cType(in) })
	}
	if in, n, ok := strings.Cut(s, "["); ok {
		length := 0
		for _, c := range strings.TrimSuffix(n, "]") {
			length = length*10 + int(c-'0')
		}
		return ArrayOf(f.cType(in), length)
	}
	if t := f[s]; t != nil {
		return t
	}
	if t := builtinType(s); t != nil {
		return t
	}
	return &Type{Kind: Struct, Name: s, Incomplete: true}
}

// table is the kernel of most tests here.
func table() fixed {
	f := fixed{}
	f["float"] = &Type{Kind: Float, Name: "float", Size: 4}
	f["enum state"] = &Type{Kind: Enum, Name: "enum state", Size: 4, Values: []Enumerator{{"OPEN", 1}, {"SHUT", 2}}}
	f["struct pair"] = &Type{Kind: Struct, Name: "struct pair", Size: 8, Members: []Member{
		{Name: "lo", Type: f.cType("u32")}, {Name: "hi", Type: f.cType("u32"), Offset: 4}}}
	f["struct big"] = &Type{Kind: Struct, Name: "struct big", Size: 16}
	inner := &Type{Kind: Union, Size: 8, Members: []Member{
		{Name: "word", Type: f.cType("u64")},
		{Type: &Type{Kind: Struct, Size: 8, Members: []Member{{Name: "left", Type: f.cType("u32")}, {Name: "right", Type: f.cType("u32"), Offset: 4}}}}}}
	f["struct sock"] = &Type{Kind: Struct, Name: "struct sock", Size: 800, Members: []Member{
		{Name: "daddr", Type: f.cType("u32")},
		{Name: "dport", Type: f.cType("u16"), Offset: 12},
		{Name: "family", Type: f.cType("u16"), Offset: 16},
		{Name: "pair", Type: f.cType("struct pair"), Offset: 24},
		{Type: inner, Offset: 32},
		{Name: "next", Type: f.cType("struct sock *"), Offset: 40},
		{Name: "name", Type: f.cType("char[16]"), Offset: 48},
		{Name: "text", Type: f.cType("char *"), Offset: 64},
		{Name: "flag", Type: f.cType("u8"), Offset: 72, BitOffset: 3, BitSize: 2},
		{Name: "err", Type: f.cType("int"), Offset: 76},
		{Name: "tbl", Type: f.cType("struct sock *[4]"), Offset: 80},
		{Name: "any", Type: f.cType("void *"), Offset: 112},
		{Name: "hidden", Type: f.cType("struct opaque *"), Offset: 120},
		{Name: "rest", Type: f.cType("u8[0]"), Offset: 128},
		{Name: "big", Type: f.cType("struct big"), Offset: 600}}}
	f["struct inet"] = &Type{Kind: Struct, Name: "struct inet", Size: 900, Members: []Member{
		{Name: "sk", Type: f["struct sock"]}, {Name: "tos", Type: f.cType("u8"), Offset: 850}}}
	f["f()"] = FuncOf("f", []Member{
		{Name: "sk", Type: f.cType("struct sock *")}, {Name: "len", Type: f.cType("unsigned long")}, {Name: "on", Type: f.cType("bool")},
		{Name: "d", Type: f.cType("int")}, {Name: "e", Type: f.cType("int")}, {Name: "g", Type: f.cType("u16")},
		{Name: "seventh", Type: f.cType("struct sock *")}, {Name: "eighth", Type: f.cType("int")}, {Name: "ninth", Type: f.cType("u8")}},
		f.cType("int"))
	f["by_value()"] = FuncOf("by_value", []Member{
		{Name: "a", Type: f.cType("int")}, {Name: "b", Type: f.cType("struct pair")}, {Name: "c", Type: f.cType("int")}}, voidType)
	return f
}

// at is a place in the table's kernel.
func (f fixed) at(fn string, arch Arch, d Dialect) Target {
	return Target{Arch: arch, Types: f, Dialect: d, Func: f[fn+"()"]}
}
