package ktype

import (
	"debug/dwarf"

	"github.com/skprobe/skprobe/fetchargs"
)

// origin follows DW_AT_abstract_origin and DW_AT_specification to the entry
// that has the name: code that was also inlined refers to what both have in
// common (DWARF 5, section 3.3.8.3), a definition to an earlier declaration
// (section 2.13.2).
func (d die) origin() (die, error) {
	for range maxDepth {
		if d.ab.link.form == 0 {
			return d, nil
		}
		to, ok, err := d.ref(dwarf.AttrAbstractOrigin)
		if err == nil && !ok {
			to, ok, err = d.ref(dwarf.AttrSpecification)
		}
		if err != nil || !ok {
			return d, err
		}
		d = to
	}
	return d, d.u.fault("entry %#x refers to itself", d.off)
}

// inherited returns an attribute of the entry or of what it refers to.
func (d die) inherited(attr dwarf.Attr) (die, bool, error) {
	for range maxDepth {
		if to, ok, err := d.ref(attr); ok || err != nil {
			return to, ok, err
		}
		next, ok, err := d.ref(dwarf.AttrAbstractOrigin)
		if err == nil && !ok {
			next, ok, err = d.ref(dwarf.AttrSpecification)
		}
		if err != nil || !ok {
			return die{}, false, err
		}
		d = next
	}
	return die{}, false, d.u.fault("entry %#x refers to itself", d.off)
}

// convertFunc returns the prototype of a function or of a type of functions.
// The parameters are those of the source: where the code was specialised, its
// own entry may lack some, and the abstract one it refers to has them all.
func (d die) convertFunc(depth int) (*fetchargs.Type, error) {
	params, err := d.sourceParameters()
	if err != nil {
		return nil, err
	}
	named, err := d.origin()
	if err != nil {
		return nil, err
	}
	result, err := d.typeOf(depth)
	if err != nil {
		return nil, err
	}
	members := make([]fetchargs.Member, 0, len(params))
	for _, p := range params {
		t, err := p.typeOf(depth)
		if err != nil {
			return nil, err
		}
		at, err := p.origin()
		if err != nil {
			return nil, err
		}
		members = append(members, fetchargs.Member{Name: at.name(), Type: t})
	}
	return fetchargs.FuncOf(named.name(), members, result), nil
}

func (d die) sourceParameters() ([]die, error) {
	for range maxDepth {
		to, ok, err := d.ref(dwarf.AttrAbstractOrigin)
		if err != nil {
			return nil, err
		}
		if !ok {
			// A definition has the names, what it was declared by need not.
			list, err := d.parameters()
			if err != nil || len(list) > 0 {
				return list, err
			}
			if to, ok, err = d.ref(dwarf.AttrSpecification); err != nil || !ok {
				return nil, err
			}
		}
		d = to
	}
	return nil, d.u.fault("entry %#x refers to itself", d.off)
}

// parameters returns the DW_TAG_formal_parameter entries below d.
func (d die) parameters() ([]die, error) {
	var list []die
	for p, err := range d.children() {
		if err != nil {
			return nil, err
		}
		if p.ab.tag == dwarf.TagFormalParameter {
			list = append(list, p)
		}
	}
	return list, nil
}

// typeOf returns the type that an entry has or inherits; none is void.
func (d die) typeOf(depth int) (*fetchargs.Type, error) {
	to, ok, err := d.inherited(dwarf.AttrType)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}, nil
	}
	return to.convert(depth)
}
