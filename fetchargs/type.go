package fetchargs

import (
	"fmt"
	"strings"
)

// TypeKind is the class of a C type.
type TypeKind uint8

// The classes of C types that kernel type information distinguishes.
const (
	Void TypeKind = iota
	Int
	Bool
	Enum
	Pointer
	Array
	Struct
	Union
	Func
	Float
)

// A Type is a C type with the layout that one kernel gave it. Types are
// made by a source of layouts (BTF, DWARF, a saved profile, calibration) and
// are read-only afterwards.
//
// The graph of kernel types is cyclic and large, so what a pointer points to
// is resolved when it is asked for: see [Type.Elem].
type Type struct {
	Kind TypeKind
	// Name is the C spelling: "unsigned int", "struct sock", "u32", or ""
	// for an anonymous struct, union or enum.
	Name string
	// Size is in bytes; 0 for void, functions and types that are only
	// declared.
	Size int
	// Signed tells how an integer or enum extends.
	Signed bool
	// Len is the number of elements of an array.
	Len int
	// Members of a struct or union, parameters of a function.
	Members []Member
	// Values of an enum, in the order of their declaration.
	Values []Enumerator
	// Flags: the values of an enum are bits that are set together.
	Flags bool
	// Incomplete marks a struct or union whose members are not known here,
	// because it is only declared or because a saved profile left it out; or
	// a function whose parameters and result are not known.
	Incomplete bool

	elem func() *Type
	of   *Type
}

// A Member is a field of a struct or union, or a parameter of a function.
type Member struct {
	Name string // "" for an anonymous struct or union
	Type *Type
	// Offset is in bytes from the start of the struct; for a function it is
	// the index of the parameter, from 0.
	Offset int
	// BitOffset counts from the least significant bit of the byte at Offset
	// and is only meaningful where BitSize is not 0.
	BitOffset int
	// BitSize is the width of a bit field, 0 for an ordinary member.
	BitSize int
}

// An Enumerator is one name of an enum.
type Enumerator struct {
	Name  string
	Value int64
}

// PointerTo returns a pointer type of 8 bytes whose target is resolved by
// elem on first use. A nil elem, or one that returns nil, stands for void.
func PointerTo(elem func() *Type) *Type {
	return &Type{Kind: Pointer, Size: 8, elem: elem}
}

// ArrayOf returns an array of n elements.
func ArrayOf(elem *Type, n int) *Type {
	return &Type{Kind: Array, Size: elem.Size * n, Len: n, of: elem}
}

// FuncOf returns a function type: params in order, and the type of the
// result (a Void type where there is none).
func FuncOf(name string, params []Member, result *Type) *Type {
	for i := range params {
		params[i].Offset = i
	}
	return &Type{Kind: Func, Name: name, Members: params, of: result}
}

var voidType = &Type{Kind: Void, Name: "void"}

// Elem returns what a pointer points to, the element of an array, or the
// result of a function. It is never nil: a pointer without a known target
// points to void.
func (t *Type) Elem() *Type {
	if t.of == nil {
		if t.elem != nil {
			t.of = t.elem()
		}
		if t.of == nil {
			t.of = voidType
		}
	}
	return t.of
}

// String returns the C spelling: "struct sock *", "char[16]".
func (t *Type) String() string {
	switch t.Kind {
	case Pointer:
		e := t.Elem()
		if e.Kind == Func {
			return "function pointer" // for C's way to write it see Declare
		}
		s := e.String()
		if strings.HasSuffix(s, "*") {
			return s + "*"
		}
		return s + " *"
	case Array:
		return fmt.Sprintf("%s[%d]", t.Elem(), t.Len)
	case Func:
		return fmt.Sprintf("%s %s(%s)", t.Elem(), t.Name, t.params())
	case Struct, Union, Enum:
		if t.Name == "" {
			return [...]string{Struct: "struct", Union: "union", Enum: "enum"}[t.Kind] + " {…}"
		}
	case Void:
		return "void"
	}
	return t.Name
}

// params returns the parameters of a function as C declares them.
func (t *Type) params() string {
	switch {
	case t.Incomplete:
		return "…"
	case len(t.Members) == 0:
		return "void"
	}
	var all []string
	for _, p := range t.Members {
		all = append(all, Declare(p.Type, p.Name))
	}
	return strings.Join(all, ", ")
}

// Declare returns the C declaration of name with type t, as in a parameter
// list: "struct sock *sk", "char name[16]".
func Declare(t *Type, name string) string {
	if t.Kind == Array {
		return Declare(t.Elem(), fmt.Sprintf("%s[%d]", name, t.Len))
	}
	if t.Kind == Pointer && t.Elem().Kind == Func {
		f := t.Elem()
		return fmt.Sprintf("%s (*%s)(%s)", f.Elem(), name, f.params())
	}
	s := t.String()
	if name == "" {
		return s
	}
	if strings.HasSuffix(s, "*") {
		return s + name
	}
	return s + " " + name
}

// Member finds a member by name, looking into anonymous structs and unions
// as C does, and returns it with its offset from the start of t.
func (t *Type) Member(name string) (Member, bool) {
	for _, m := range t.Members {
		if m.Name == name {
			return m, true
		}
		if m.Name == "" && (m.Type.Kind == Struct || m.Type.Kind == Union) {
			if in, ok := m.Type.Member(name); ok {
				in.Offset += m.Offset
				return in, true
			}
		}
	}
	return Member{}, false
}

// MemberNames lists the names that [Type.Member] finds, in order.
func (t *Type) MemberNames() []string {
	var names []string
	for _, m := range t.Members {
		if m.Name != "" {
			names = append(names, m.Name)
		} else if m.Type.Kind == Struct || m.Type.Kind == Union {
			names = append(names, m.Type.MemberNames()...)
		}
	}
	return names
}

// innerNames lists the members of the members that are structs or unions, with
// a dot between.
func (t *Type) innerNames() []string {
	var names []string
	for _, name := range t.MemberNames() {
		m, _ := t.Member(name)
		if m.Type.Kind != Struct && m.Type.Kind != Union {
			continue
		}
		for _, inner := range m.Type.MemberNames() {
			names = append(names, name+"."+inner)
		}
	}
	return names
}

// Types is a source of type information about one kernel.
type Types interface {
	// TypeNamed returns the type with the given C name: "struct sock",
	// "union x", "enum skb_drop_reason", "u32", "unsigned int". Where the
	// source has no such type the error wraps [ErrNoType].
	TypeNamed(name string) (*Type, error)
	// FuncNamed returns the prototype of a kernel function by its source
	// name, without a module prefix or compiler suffix. Where the source
	// has none the error wraps [ErrNoType].
	FuncNamed(name string) (*Type, error)
	// Source says in a few words where the layouts come from, for people:
	// "BTF /sys/kernel/btf/vmlinux".
	Source() string
}
