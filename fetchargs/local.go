package fetchargs

import "slices"

// A Local is a variable or parameter that is in scope at a place inside of a
// function, and where debug information says that it is there.
type Local struct {
	Name string
	Type *Type
	// Base is where the value starts from: a register, a symbol, or an
	// Immediate, which is the value itself. Loads are pointers that are
	// followed, and Offset is added at the end.
	Base   Base
	Loads  []Load
	Offset int64
	// Memory: the value lies in memory at that address. Otherwise it is that
	// number.
	Memory bool
	// AtEntry: it starts from what Base, a register, was when the function was
	// entered, and not from what it is at the place.
	AtEntry bool
	// Why, if not "", says why the value cannot be had at this place.
	Why string
}

// String returns how the value is reached, as [Ref.String] does, or why it
// cannot be.
func (l *Local) String() string {
	switch {
	case l.Why != "":
		return l.Why
	case l.Base.Kind == Immediate && !l.Memory:
		return Base{Kind: Immediate, Num: l.Base.Num + l.Offset}.String()[1:]
	}
	ref := l.ref()
	s := ref.String()
	if !ref.lvalue && ref.off != 0 {
		s += string(appendOffset(nil, ref.off))
	}
	if l.AtEntry {
		s += " at entry"
	}
	return s
}

// String returns the spelling of a base.
func (b Base) String() string { return string(b.append(nil)) }

func (l *Local) ref() Ref {
	read := l.Base.Kind == Register && (l.Memory || len(l.Loads) > 0) // what the compiler itself reads is there
	return Ref{base: l.Base, Type: l.Type, loads: l.Loads, off: l.Offset, lvalue: l.Memory, nonNull: read, atEntry: l.AtEntry}
}

// local finds a variable at a place inside of a function.
func (r *resolver) local(n nameNode) (Ref, error) {
	var names []string
	for i := range r.t.Locals {
		l := &r.t.Locals[i]
		if l.Name != n.name {
			names = append(names, l.Name)
			continue
		}
		switch {
		case l.Why != "":
			return Ref{}, r.fail(n, ErrNotFetchable, "%s: %s", l.Name, l.Why)
		case !l.Memory && (l.Type.Kind == Struct || l.Type.Kind == Union || l.Type.Kind == Array || l.Type.Kind == Float):
			return Ref{}, r.fail(n, ErrNotFetchable, "%s is in %s as a whole, of which no part can be fetched", Declare(l.Type, l.Name), l)
		}
		return l.ref(), nil
	}
	err := r.fail(n, ErrNoMember, "there is no %q in scope at %s; there are %s", n.name, r.t.Place, list(names))
	err.(*ExprError).suggest(n.name, names)
	return Ref{}, err
}

// typedLocal finds the first variable that is a pointer to a type, of those that
// are there and then of those that were when the function was entered.
func (r *resolver) typedLocal(n baseNode, want typedParam) (Ref, error) {
	for _, atEntry := range [...]bool{false, true} {
		for _, l := range r.t.Locals {
			if l.AtEntry == atEntry && l.Why == "" && l.Type.Kind == Pointer && isStruct(l.Type.Elem(), want.typ) {
				return l.ref(), nil
			}
		}
	}
	return Ref{}, r.fail(n, ErrNoMember, "at %s no variable that can be had is a %s *", r.t.Place, want.typ)
}

// AtEntry reports whether the expression starts at what a register was when the
// function was entered, inside of which the target is: a probe there has it.
func (ref Ref) AtEntry() bool { return ref.atEntry }

// Entered returns variables at a place inside of a function as they are had where
// the function is entered: those that start from what was there then.
func Entered(locals []Local) []Local {
	entered := slices.Clone(locals)
	for i := range entered {
		entered[i].AtEntry = false
	}
	return entered
}

// isFixed tells a value that is a constant, which need not be fetched.
func (ref Ref) isFixed() bool {
	return ref.base.Kind == Immediate && len(ref.loads) == 0 && !ref.lvalue
}
