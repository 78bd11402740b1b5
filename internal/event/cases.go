package event

import "fmt"

// A boundCase is a Case with the places of its values.
type boundCase struct {
	conds []boundCond
	from  int // index of the value, -1: text
	text  []byte
}

type boundCond struct {
	at  int
	op  CondOp
	num int64
}

func (b *boundCase) rename(to []int) {
	for i := range b.conds {
		b.conds[i].at = to[b.conds[i].at]
	}
	if b.from >= 0 {
		b.from = to[b.from]
	}
}

// holds tells whether the conditions are true of an event's values.
func (b *boundCase) holds(all []Value) bool {
	for i := range b.conds {
		c := &b.conds[i]
		v := &all[c.at]
		if !v.Set {
			return false
		}
		switch c.op {
		case Equals:
			if int64(v.Num) != c.num {
				return false
			}
		case NotEquals:
			if int64(v.Num) == c.num {
				return false
			}
		case AtLeast:
			if int64(v.Num) < c.num {
				return false
			}
		}
	}
	return true
}

// bindCases binds a field that is made from others, which come before it.
func (p *Program) bindCases(c *Compiled, f *Field) error {
	b := &boundField{field: f, kind: f.Kind}
	place := func(name string) (int, error) {
		to, ok := c.byName[name]
		if !ok {
			return 0, fmt.Errorf("%s is no field before it", name)
		}
		if b.kind == nil {
			b.kind = to.kind()
		}
		return to.field.out[to.part], nil
	}
	for _, k := range f.Cases {
		bc := boundCase{from: -1, text: []byte(k.Text)}
		if k.Text != "" {
			b.kind = plainText
		} else {
			i, err := place(k.From)
			if err != nil {
				return err
			}
			bc.from = i
		}
		for _, cond := range k.If {
			to, ok := c.byName[cond.Field]
			if !ok {
				return fmt.Errorf("%s is no field before it", cond.Field)
			}
			bc.conds = append(bc.conds, boundCond{to.field.out[to.part], cond.Op, cond.Num})
		}
		b.cases = append(b.cases, bc)
	}
	c.fields = append(c.fields, b)
	return p.column(c, b, 0, Column{Name: f.Name, Help: f.Help, Kind: b.kind, Wide: f.Wide}, f.Hidden)
}

// kind is the kind of the target's value.
func (t target) kind() *Kind {
	if len(t.field.kind.Parts) > 0 {
		return t.field.kind.Parts[t.part].Kind
	}
	return t.field.kind
}
