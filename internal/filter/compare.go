package filter

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/skprobe/skprobe/internal/event"
)

// compare is a comparison of a field with a constant.
type compare struct {
	field   *field
	op      event.Op
	operand event.Operand
	// text is operand.Text. byName: it stands for the number num, and that
	// is what is compared.
	text   []byte
	num    uint64
	byName bool
}

// newCompare returns the comparison of a field with a constant of its class.
// For a bool the number is 0 or 1.
func newCompare(f *field, op event.Op, operand event.Operand) *compare {
	c := &compare{field: f, op: op, operand: operand, text: []byte(operand.Text)}
	if f.kind != nil && f.kind.Lookup != nil && f.class == event.Text && (op == event.Eq || op == event.Ne) {
		c.num, c.byName = f.kind.Lookup(operand.Text)
	}
	return c
}

// opposites and mirrors are indexed by Op.
var (
	opposites = [...]event.Op{event.Eq: event.Ne, event.Ne: event.Eq, event.Lt: event.Ge, event.Le: event.Gt, event.Gt: event.Le, event.Ge: event.Lt}
	mirrors   = [...]event.Op{event.Eq: event.Eq, event.Ne: event.Ne, event.Lt: event.Gt, event.Le: event.Ge, event.Gt: event.Lt, event.Ge: event.Le}
)

func (n *compare) opposite() *compare {
	c := *n
	c.op = opposites[n.op]
	return &c
}

func (n *compare) eval(r *run) bool {
	f, e := n.field, r.event
	if !f.present(e) {
		return false
	}
	switch f.class {
	case event.Address:
		return n.operand.Prefix.Contains(e.Values[f.index].Addr.WithZone("")) == (n.op == event.Eq)
	case event.Text:
		if n.byName {
			return (f.number(e) == n.num) == (n.op == event.Eq)
		}
		r.scratch = f.appendText(r.scratch[:0], e)
		return holds(n.op, bytes.Compare(r.scratch, n.text))
	case event.Bool:
		return ((f.number(e) != 0) == (n.operand.Num != 0)) == (n.op == event.Eq)
	case event.Signed:
		return holds(n.op, cmp.Compare(int64(f.number(e)), n.operand.Num))
	}
	if n.operand.Num < 0 {
		return holds(n.op, 1)
	}
	return holds(n.op, cmp.Compare(f.number(e), uint64(n.operand.Num)))
}

// holds tells whether a comparison holds for a difference of that sign.
func holds(op event.Op, sign int) bool {
	switch op {
	case event.Eq:
		return sign == 0
	case event.Ne:
		return sign != 0
	case event.Lt:
		return sign < 0
	case event.Le:
		return sign <= 0
	case event.Gt:
		return sign > 0
	default:
		return sign >= 0
	}
}

func (n *compare) String() string {
	return n.field.name + " " + n.op.String() + " " + n.constant()
}

// constant returns the constant as it is written.
func (n *compare) constant() string {
	switch n.field.class {
	case event.Address:
		p := n.operand.Prefix
		if p.IsSingleIP() {
			return strconv.Quote(p.Addr().String())
		}
		return strconv.Quote(p.String())
	case event.Text:
		return strconv.Quote(n.operand.Text)
	case event.Bool:
		return strconv.FormatBool(n.operand.Num != 0)
	default:
		return strconv.FormatInt(n.operand.Num, 10)
	}
}
