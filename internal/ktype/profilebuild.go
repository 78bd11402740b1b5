package ktype

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// build makes the type of a reference. It fails for a name that is used by
// value and not described, and for types that contain themselves.
func (p *Profile) build(ref typeRef) (*fetchargs.Type, error) {
	if strings.HasPrefix(ref.prefix, "*") {
		inner := ref
		inner.prefix = ref.prefix[1:]
		return fetchargs.PointerTo(func() *fetchargs.Type { return p.target(inner) }), nil
	}
	if strings.HasPrefix(ref.prefix, "[") {
		num, rest, ok := strings.Cut(ref.prefix[1:], "]")
		n, err := strconv.Atoi(num)
		if err != nil || !ok || n < 0 {
			return nil, fmt.Errorf("%q is not the length of an array", num)
		}
		inner := ref
		inner.prefix = rest
		elem, err := p.build(inner)
		if err != nil {
			return nil, err
		}
		if uint64(n) > math.MaxInt32 || uint64(n)*uint64(elem.Size) > math.MaxInt32 {
			return nil, fmt.Errorf("an array of %d elements is larger than 2 GB", n)
		}
		return fetchargs.ArrayOf(elem, n), nil
	}
	if ref.anon != nil {
		return p.define("", ref.anon)
	}
	return p.buildNamed(ref.name)
}

// target is what a pointer points to. A type that was not recorded is known by
// its name alone.
func (p *Profile) target(ref typeRef) *fetchargs.Type {
	if ref.prefix == "" && ref.anon == nil && ref.name != "func" && ref.name != "void" {
		if d := p.types[ref.name]; d == nil || d.incomplete {
			if p.fallback != nil {
				if t := p.fallback(ref.name); t != nil {
					return t
				}
			}
			if d == nil {
				return opaque(ref.name)
			}
		}
	}
	t, err := p.build(ref)
	if err != nil {
		return nil
	}
	return t
}

// opaque is a type of which nothing but the name is known.
func opaque(name string) *fetchargs.Type {
	t := &fetchargs.Type{Kind: fetchargs.Struct, Name: name, Incomplete: true}
	switch {
	case strings.HasPrefix(name, "union "):
		t.Kind = fetchargs.Union
	case strings.HasPrefix(name, "enum "):
		t.Kind = fetchargs.Enum
	}
	return t
}

func (p *Profile) buildNamed(name string) (*fetchargs.Type, error) {
	if t := p.built[name]; t != nil {
		return t, nil
	}
	switch name {
	case "void":
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}, nil
	case "func":
		f := fetchargs.FuncOf("", nil, nil)
		f.Incomplete = true
		return f, nil
	}
	d := p.types[name]
	if d == nil {
		return nil, fmt.Errorf("type %q is used and not described", name)
	}
	if p.busy[name] {
		return nil, fmt.Errorf("type %q contains itself", name)
	}
	p.busy[name] = true
	defer delete(p.busy, name)
	t, err := p.define(name, d)
	if err != nil {
		return nil, err
	}
	p.built[name] = t
	return t, nil
}

func (p *Profile) define(name string, d *typeDef) (*fetchargs.Type, error) {
	t := &fetchargs.Type{
		Kind: d.kind, Name: name, Size: d.size, Signed: d.signed,
		Incomplete: d.incomplete, Values: d.values,
	}
	if !d.incomplete && (d.kind == fetchargs.Struct || d.kind == fetchargs.Union) {
		t.Members = make([]fetchargs.Member, len(d.members))
	}
	for i, m := range d.members {
		mt, err := p.build(m.typ)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.name, err)
		}
		t.Members[i] = fetchargs.Member{Name: m.name, Type: mt, Offset: m.off, BitOffset: m.bit, BitSize: m.width}
	}
	return t, nil
}
