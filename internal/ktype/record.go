package ktype

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Recorder passes types of another source on and remembers which were looked
// into: asked for by name, or reached by following a pointer. It implements
// [fetchargs.Types].
type Recorder struct {
	src     fetchargs.Types
	wrapped map[*fetchargs.Type]*fetchargs.Type
	touched map[*fetchargs.Type]bool // types of src
	named   map[string]*fetchargs.Type
	funcs   map[string]*fetchargs.Type
	absent  map[string]bool
}

// NewRecorder returns a Recorder over a source.
func NewRecorder(src fetchargs.Types) *Recorder {
	return &Recorder{
		src:     src,
		wrapped: map[*fetchargs.Type]*fetchargs.Type{},
		touched: map[*fetchargs.Type]bool{},
		named:   map[string]*fetchargs.Type{},
		funcs:   map[string]*fetchargs.Type{},
		absent:  map[string]bool{},
	}
}

// Source returns that of the source below.
func (r *Recorder) Source() string { return r.src.Source() }

// TypeNamed passes the type on.
func (r *Recorder) TypeNamed(name string) (*fetchargs.Type, error) {
	t, err := r.src.TypeNamed(name)
	if err != nil {
		if errors.Is(err, fetchargs.ErrNoType) {
			r.absent[name] = true
		}
		return nil, err
	}
	r.named[name] = t
	r.touched[t] = true
	return r.wrap(t), nil
}

// FuncNamed passes the prototype on.
func (r *Recorder) FuncNamed(name string) (*fetchargs.Type, error) {
	t, err := r.src.FuncNamed(name)
	if err != nil {
		if errors.Is(err, fetchargs.ErrNoType) {
			r.absent[absentFunc(name)] = true
		}
		return nil, err
	}
	r.funcs[plainFunc(name)] = t
	return r.wrap(t), nil
}

// absentFunc is how a function is listed among absent names, and what tells it
// from types.
func absentFunc(name string) string { return plainFunc(name) + "()" }

// plainFunc is the function's name without its module.
func plainFunc(name string) string { return name[strings.IndexByte(name, ':')+1:] }

// wrap copies a type so that following a pointer in it is noticed.
func (r *Recorder) wrap(t *fetchargs.Type) *fetchargs.Type {
	if w := r.wrapped[t]; w != nil {
		return w
	}
	var w *fetchargs.Type
	switch t.Kind {
	case fetchargs.Pointer:
		w = fetchargs.PointerTo(func() *fetchargs.Type {
			e := t.Elem()
			r.touched[e] = true
			return r.wrap(e)
		})
	case fetchargs.Array:
		w = fetchargs.ArrayOf(r.wrap(t.Elem()), t.Len)
	case fetchargs.Func:
		w = fetchargs.FuncOf(t.Name, r.wrapMembers(t.Members), r.wrap(t.Elem()))
	case fetchargs.Struct, fetchargs.Union:
		c := *t
		w = &c
		w.Members = r.wrapMembers(t.Members)
	default:
		w = t
	}
	r.wrapped[t] = w
	return w
}

func (r *Recorder) wrapMembers(list []fetchargs.Member) []fetchargs.Member {
	c := make([]fetchargs.Member, len(list))
	for i, m := range list {
		c[i] = m
		c[i].Type = r.wrap(m.Type)
	}
	return c
}

// Profile returns what was looked into until now: prototypes of functions, and
// types with all that they contain by value. Types that are only pointed to
// are mentioned by name.
func (r *Recorder) Profile(k Kernel) *Profile {
	p := newProfile()
	p.Kernel, p.From = k, r.src.Source()
	d := definer{p: p, touched: r.touched}
	for name, t := range r.funcs {
		f := funcDef{result: d.ref(t.Elem(), 0)}
		for _, m := range t.Members {
			f.params = append(f.params, memberDef{name: m.Name, typ: d.ref(m.Type, 0)})
		}
		p.funcs[name] = f
	}
	for t := range r.touched {
		p.asked[d.ref(t, 0).name] = true
	}
	for name, t := range r.named {
		p.asked[name] = true
		if ref := d.ref(t, 0); ref.anon == nil && (ref.text() != name || t.Incomplete) && name != "void" {
			p.names[name] = ref
		}
	}
	for name := range r.absent {
		p.absent[name] = true
	}
	return p
}

// A definer describes types in a profile.
type definer struct {
	p       *Profile
	touched map[*fetchargs.Type]bool
}

// ref describes how to refer to a type, and describes it in the profile where
// that is needed.
func (d *definer) ref(t *fetchargs.Type, depth int) typeRef {
	switch t.Kind {
	case fetchargs.Pointer:
		if depth > maxDepth { // pointers that never end, in a broken file
			return typeRef{name: "void"}
		}
		r := d.pointee(t.Elem(), depth+1)
		r.prefix = "*" + r.prefix
		return r
	case fetchargs.Array:
		r := d.ref(t.Elem(), depth)
		r.prefix = fmt.Sprintf("[%d]", t.Len) + r.prefix
		return r
	case fetchargs.Void:
		return typeRef{name: "void"}
	case fetchargs.Func:
		return typeRef{name: "func"}
	}
	if t.Name == "" {
		return typeRef{anon: d.def(t)}
	}
	if have := d.p.types[t.Name]; have == nil || have.incomplete && !t.Incomplete {
		// A type contains no type of its name by value, so this ends.
		d.p.types[t.Name] = &typeDef{kind: t.Kind}
		d.p.types[t.Name] = d.def(t)
	}
	return typeRef{name: t.Name}
}

// pointee refers to what a pointer points to: in full when it was looked into,
// else by name.
func (d *definer) pointee(t *fetchargs.Type, depth int) typeRef {
	switch t.Kind {
	case fetchargs.Struct, fetchargs.Union:
		switch {
		case d.touched[t]:
		case t.Name != "":
			if !tagged(t.Name) && d.p.types[t.Name] == nil {
				// The name of a typedef does not tell what it is.
				d.p.types[t.Name] = &typeDef{kind: t.Kind, size: t.Size, incomplete: true}
			}
			return typeRef{name: t.Name}
		default:
			return typeRef{anon: &typeDef{kind: t.Kind, size: t.Size, incomplete: true}}
		}
	case fetchargs.Enum:
		if !d.touched[t] && tagged(t.Name) {
			return typeRef{name: t.Name}
		}
	}
	return d.ref(t, depth)
}

// tagged tells whether a name has its kind in it.
func tagged(name string) bool {
	return strings.HasPrefix(name, "struct ") || strings.HasPrefix(name, "union ") || strings.HasPrefix(name, "enum ")
}

func (d *definer) def(t *fetchargs.Type) *typeDef {
	def := &typeDef{kind: t.Kind, size: t.Size, signed: t.Signed, incomplete: t.Incomplete}
	if t.Kind == fetchargs.Enum {
		def.values = t.Values
		return def
	}
	for _, m := range t.Members {
		def.members = append(def.members, memberDef{m.Name, m.Offset, m.BitOffset, m.BitSize, d.ref(m.Type, 0)})
	}
	return def
}
