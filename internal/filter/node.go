package filter

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"
	"github.com/skprobe/skprobe/internal/event"
)

// A node is a condition. Nodes are not changed once they are made: programs
// share them.
type node interface {
	eval(r *run) bool
	// String returns the condition in the language of --where.
	String() string
}

// A run is what an evaluation needs, kept from event to event.
type run struct {
	event   *event.Event
	scratch []byte
	vars    map[string]any
	vm      vm.VM
}

type (
	constant bool
	and      []node // two or more, none of them an and
	or       []node // two or more, none of them an or
	not      struct{ node }
	// choice is "cond ? yes : no".
	choice struct{ cond, yes, no node }
	// same compares two conditions; it is false where a field of need, one
	// that is such a condition by itself, is absent.
	same struct {
		a, b  node
		equal bool
		need  []*field
	}
)

// newAnd returns the conjunction of nodes.
func newAnd(nodes ...node) node {
	var all and
	for _, n := range nodes {
		switch n := n.(type) {
		case constant:
			if !n {
				return n
			}
		case and:
			all = append(all, n...)
		default:
			all = append(all, n)
		}
	}
	switch len(all) {
	case 0:
		return constant(true)
	case 1:
		return all[0]
	}
	return all
}

// newOr returns the disjunction of nodes.
func newOr(nodes ...node) node {
	var some or
	for _, n := range nodes {
		switch n := n.(type) {
		case constant:
			if n {
				return n
			}
		case or:
			some = append(some, n...)
		default:
			some = append(some, n)
		}
	}
	switch len(some) {
	case 0:
		return constant(false)
	case 1:
		return some[0]
	}
	return some
}

// negate returns the opposite of a condition, with the negations at its
// leaves.
func negate(n node) node {
	switch n := n.(type) {
	case constant:
		return !n
	case and:
		return newOr(negateAll(n)...)
	case or:
		return newAnd(negateAll(n)...)
	case not:
		return n.node
	case choice:
		return choice{n.cond, negate(n.yes), negate(n.no)}
	case *compare:
		// A comparison has an opposite only where the field cannot be
		// absent.
		if n.field.always() {
			return n.opposite()
		}
	}
	return not{n}
}

func negateAll(nodes []node) []node {
	out := make([]node, len(nodes))
	for i, n := range nodes {
		out[i] = negate(n)
	}
	return out
}

func (n constant) eval(*run) bool { return bool(n) }

func (n and) eval(r *run) bool {
	for _, c := range n {
		if !c.eval(r) {
			return false
		}
	}
	return true
}

func (n or) eval(r *run) bool {
	for _, c := range n {
		if c.eval(r) {
			return true
		}
	}
	return false
}

func (n not) eval(r *run) bool { return !n.node.eval(r) }

func (n choice) eval(r *run) bool {
	if n.cond.eval(r) {
		return n.yes.eval(r)
	}
	return n.no.eval(r)
}

func (n same) eval(r *run) bool {
	for _, f := range n.need {
		if !f.present(r.event) {
			return false
		}
	}
	return (n.a.eval(r) == n.b.eval(r)) == n.equal
}

func (n constant) String() string {
	if n {
		return "true"
	}
	return "false"
}

func (n and) String() string    { return joinNodes(n, " && ") }
func (n or) String() string     { return joinNodes(n, " || ") }
func (n not) String() string    { return "!(" + n.node.String() + ")" }
func (n choice) String() string { return paren(n.cond) + " ? " + paren(n.yes) + " : " + paren(n.no) }

func (n same) String() string {
	op := " == "
	if !n.equal {
		op = " != "
	}
	return n.side(n.a) + op + n.side(n.b)
}

// side returns the text of a side: the name of a field that is one by itself.
func (n same) side(side node) string {
	if c, ok := side.(*compare); ok && slices.Contains(n.need, c.field) {
		return c.field.name
	}
	if c, ok := side.(constant); ok {
		return c.String()
	}
	return "(" + side.String() + ")"
}

func joinNodes(nodes []node, sep string) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = paren(n)
	}
	return strings.Join(parts, sep)
}

// paren returns the text of a part of a condition.
func paren(n node) string {
	switch n.(type) {
	case constant, *compare, *present, *calc, not:
		return n.String()
	}
	return "(" + n.String() + ")"
}

// present asks whether a field is there: "field != nil".
type present struct {
	field *field
	want  bool
}

func (n *present) eval(r *run) bool { return n.field.present(r.event) == n.want }

func (n *present) String() string {
	if n.want {
		return n.field.name + " != nil"
	}
	return n.field.name + " == nil"
}

// calc is a test that expr-lang evaluates.
type calc struct {
	text    string
	program *vm.Program
	fields  []*field // all that it names
	need    []*field // those that must be present
	// pure: the same fields give the same answer.
	pure bool
}

func (n *calc) eval(r *run) bool {
	for _, f := range n.need {
		if !f.present(r.event) {
			return false
		}
	}
	for _, f := range n.fields {
		if f.present(r.event) {
			r.vars[f.name] = f.value(r.event)
		} else {
			r.vars[f.name] = nil
		}
	}
	v, err := r.vm.Run(n.program, r.vars)
	yes, _ := v.(bool)
	return err == nil && yes
}

func (n *calc) String() string { return n.text }

// fold returns what is left of a condition for the events of one name.
func fold(n node, name string) node {
	switch n := n.(type) {
	case and:
		return newAnd(foldAll(n, name)...)
	case or:
		return newOr(foldAll(n, name)...)
	case not:
		return negate(fold(n.node, name))
	case choice:
		cond := fold(n.cond, name)
		if c, ok := cond.(constant); ok {
			if c {
				return fold(n.yes, name)
			}
			return fold(n.no, name)
		}
		return choice{cond, fold(n.yes, name), fold(n.no, name)}
	case same:
		n.a, n.b = fold(n.a, name), fold(n.b, name)
		return n
	case *compare:
		if n.field.from != fromEvent {
			return n
		}
	case *calc:
		if !n.pure || slices.ContainsFunc(n.fields, func(f *field) bool { return f.from != fromEvent }) {
			return n
		}
	case *present:
		if !n.field.always() {
			return n
		}
	default:
		return n
	}
	return constant(newProgram(n).Match(&event.Event{Name: name}))
}

func foldAll(nodes []node, name string) []node {
	out := make([]node, len(nodes))
	for i, n := range nodes {
		out[i] = fold(n, name)
	}
	return out
}
