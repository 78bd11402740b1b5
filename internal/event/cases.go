package event

import (
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
)

// A boundCase is a Case with the places of its values.
type boundCase struct {
	conds []boundCond
	from  int // index of the value, -1: text
	text  []byte
}

type boundCond struct {
	at     int
	op     CondOp
	num    int64
	signed bool // how AtLeast and Less compare
}

// bind finds the place of the value that a condition is about.
func (t target) bind(c Cond) boundCond {
	return boundCond{t.field.out[t.part], c.Op, c.Num, t.kind().Class == Signed}
}

func (b *boundCase) rename(to []int) {
	for i := range b.conds {
		b.conds[i].at = to[b.conds[i].at]
	}
	if b.from >= 0 {
		b.from = to[b.from]
	}
}

// isLike tells whether b holds whenever other does.
func (b boundCase) isLike(other boundCase) bool { return slices.Equal(b.conds, other.conds) }

// tests are the conditions on the values of an event.
func (b *boundCase) tests(all []Value) []test {
	var tests []test
	for i := range b.conds {
		tests = append(tests, test{&all[b.conds[i].at], &b.conds[i]})
	}
	return tests
}

// hold tells whether all conditions are true.
func hold(tests []test) bool {
	for i := range tests {
		if t := &tests[i]; !t.cond.holds(t.of) {
			return false
		}
	}
	return true
}

// holds tells whether the condition is true of its value.
func (c *boundCond) holds(v *Value) bool {
	if !v.Set {
		return false
	}
	switch c.op {
	case Equals:
		return int64(v.Num) == c.num
	case NotEquals:
		return int64(v.Num) != c.num
	case AnyOf:
		return v.Num < 64 && c.num>>v.Num&1 != 0
	}
	if c.signed {
		return int64(v.Num) >= c.num == (c.op == AtLeast)
	}
	return (c.num <= 0 || v.Num >= uint64(c.num)) == (c.op == AtLeast)
}

// bindCases binds a field that is made from others, which come before it.
func (p *Program) bindCases(c *Compiled, f *Field) error {
	b := &boundField{field: f, kind: f.Kind}
	texts := *plainText
	for _, k := range f.Cases {
		texts.Width = max(texts.Width, len(k.Text))
	}
	for _, k := range f.Cases {
		if f.Optional && !c.hasAll(&k) {
			continue
		}
		bc := boundCase{from: -1, text: []byte(k.Text)}
		kind := &texts
		if k.From != "" {
			to, ok := c.byName[k.From]
			if !ok {
				return c.noField(f, k.From)
			}
			bc.from, kind = to.field.out[to.part], to.kind()
		}
		if b.kind == nil {
			b.kind = kind
		} else if !b.kind.shows(kind) {
			return fmt.Errorf("a column cannot be a %s in one case and a %s in another", b.kind.Name, kind.Name)
		}
		for _, cond := range k.If {
			to, ok := c.byName[cond.Field]
			if !ok {
				return c.noField(f, cond.Field)
			}
			bc.conds = append(bc.conds, to.bind(cond))
		}
		b.cases = append(b.cases, bc)
	}
	if len(b.cases) == 0 {
		return c.noField(f, f.Cases[0].From)
	}
	c.fields = append(c.fields, b)
	return p.column(c, b, 0, Column{Name: f.Name, Help: f.Help, Kind: b.kind, Wide: p.isWide(f.Wide, f.Name)}, f.Hidden)
}

// hasAll tells whether all fields of a case are there.
func (c *Compiled) hasAll(k *Case) bool {
	_, from := c.byName[k.From]
	return (from || k.From == "") && !slices.ContainsFunc(k.If, func(cond Cond) bool {
		_, there := c.byName[cond.Field]
		return !there
	})
}

// noField is the error for a field that f is made from and that is not there:
// one that this kernel's layouts do not have. Without it f could be wrong.
func (c *Compiled) noField(f *Field, name string) error {
	return fmt.Errorf("%w: %s is made from %s, which is not there", fetchargs.ErrNoMember, f.Name, name)
}

// kind is the kind of the target's value.
func (t target) kind() *Kind {
	if len(t.field.kind.Parts) > 0 {
		return t.field.kind.Parts[t.part].Kind
	}
	return t.field.kind
}
