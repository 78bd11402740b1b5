package filter

import (
	"math"
	"reflect"
	"strconv"

	"github.com/expr-lang/expr/ast"
	"github.com/skprobe/skprobe/internal/event"
)

var ops = map[string]event.Op{
	"==": event.Eq, "!=": event.Ne, "<": event.Lt, "<=": event.Le, ">": event.Gt, ">=": event.Ge,
}

// lower turns a checked expression that is true or false into nodes.
func (p *parser) lower(n ast.Node) node {
	switch n := n.(type) {
	case *ast.BoolNode:
		return constant(n.Value)
	case *ast.IdentifierNode:
		if f := p.field(n); f != nil && f.class == event.Bool {
			return newCompare(f, event.Eq, event.Operand{Num: 1})
		}
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			// "a not in b" is a test of its own, "not (a in b)" turns
			// one around.
			if b, ok := n.Node.(*ast.BinaryNode); ok && negatedOperator(n, b) {
				if b.Operator == "in" {
					return p.member(b, n)
				}
				break
			}
			return negate(p.lower(n.Node))
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			return newAnd(p.lower(n.Left), p.lower(n.Right))
		case "||", "or":
			return newOr(p.lower(n.Left), p.lower(n.Right))
		case "in":
			return p.member(n, nil)
		}
		if op, ok := ops[n.Operator]; ok {
			return p.comparison(n, op)
		}
	case *ast.ConditionalNode:
		return choice{p.lower(n.Cond), p.lower(n.Exp1), p.lower(n.Exp2)}
	}
	return p.calc(n)
}

// negatedOperator tells "a not in b" from "not (a in b)": expr-lang gives both
// the same tree, but for the place of the negation, which is that of the
// operator in the first.
func negatedOperator(not *ast.UnaryNode, b *ast.BinaryNode) bool {
	return not.Location().From == b.Location().From
}

// comparison lowers a comparison.
func (p *parser) comparison(n *ast.BinaryNode, op event.Op) node {
	left, right := n.Left, n.Right
	if p.field(left) == nil && p.field(right) != nil {
		left, right, op = right, left, mirrors[op]
	}
	f := p.field(left)
	if _, ok := right.(*ast.NilNode); ok || isNil(left) {
		if f == nil {
			p.fail(n, "only a field can be compared with nil")
			return constant(false)
		}
		return &present{f, op == event.Ne}
	}
	if value, ok := constantValue(right); ok && f != nil {
		if c := p.compare(n, f, op, value, right); c != nil {
			return c
		}
		return p.calc(n)
	}
	if isBool(left) && isBool(right) {
		s := same{a: p.lower(left), b: p.lower(right), equal: op == event.Eq}
		for _, side := range []ast.Node{left, right} {
			if f := p.field(side); f != nil {
				s.need = append(s.need, f)
			}
		}
		return s
	}
	return p.calc(n)
}

// compare returns the comparison of a field with a constant, nil where it is
// not one of ours.
func (p *parser) compare(n ast.Node, f *field, op event.Op, value any, at ast.Node) node {
	equality := op == event.Eq || op == event.Ne
	switch v := value.(type) {
	case string:
		switch f.class {
		case event.Address:
			prefix, ok := parsePrefix(v)
			if !ok {
				p.fail(at, strconv.Quote(v)+" is not an address or network, and "+f.name+" is an address")
			} else if !equality {
				p.fail(n, f.name+" is an address: it can be compared with == and !=")
			}
			return newCompare(f, op, event.Operand{Prefix: prefix})
		case event.Text:
			if equality {
				text, problem := f.canonical(v, p.events)
				if problem != "" {
					p.fail(at, problem)
				}
				v = text
			}
			return newCompare(f, op, event.Operand{Text: v})
		}
	case bool:
		if f.class == event.Bool {
			num := int64(0)
			if v {
				num = 1
			}
			return newCompare(f, op, event.Operand{Num: num})
		}
	case int:
		if f.class == event.Decimal {
			return nil // compared as numbers with decimals
		}
		if f.class == event.Unsigned || f.class == event.Signed {
			return newCompare(f, op, event.Operand{Num: int64(v)})
		}
	case float64:
		if f.class == event.Decimal {
			return nil
		}
		if f.class == event.Unsigned || f.class == event.Signed {
			if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
				return newCompare(f, op, event.Operand{Num: int64(v)})
			}
			return nil
		}
	}
	p.fail(n, f.name+" is "+f.is()+"; "+p.is(at))
	return constant(false)
}

// member lowers "left in right", or, where negated is given, the "not in"
// that it is. A list becomes one comparison for each of its elements.
func (p *parser) member(n *ast.BinaryNode, negated ast.Node) node {
	whole := ast.Node(n)
	op := "=="
	if negated != nil {
		whole, op = negated, "!="
	}
	f := p.field(n.Left)
	_, known := constantValue(n.Left)
	switch right := n.Right.(type) {
	case *ast.BinaryNode:
		low, ok1 := constantInt(right.Left)
		high, ok2 := constantInt(right.Right)
		if f == nil || right.Operator != ".." || !ok1 || !ok2 || f.class != event.Unsigned && f.class != event.Signed {
			break
		}
		if negated != nil {
			return newOr(newCompare(f, event.Lt, event.Operand{Num: low}), newCompare(f, event.Gt, event.Operand{Num: high}))
		}
		return newAnd(newCompare(f, event.Ge, event.Operand{Num: low}), newCompare(f, event.Le, event.Operand{Num: high}))
	case *ast.ArrayNode:
		if f == nil && !known || len(right.Nodes) == 0 {
			break
		}
		var tests []node
		for _, element := range right.Nodes {
			tests = append(tests, p.lower(p.equality(op, n.Left, element)))
		}
		if negated != nil {
			return newAnd(tests...)
		}
		return newOr(tests...)
	}
	return p.calc(whole)
}

// equality returns a comparison that is not written as such.
func (p *parser) equality(op string, left, right ast.Node) ast.Node {
	n := &ast.BinaryNode{Operator: op, Left: left, Right: right}
	n.SetLocation(right.Location())
	n.SetType(reflect.TypeFor[bool]())
	return n
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

func isBool(n ast.Node) bool { return n.Type().Kind() == reflect.Bool }

// constantValue returns the value of a literal, or of integers with
// operators.
func constantValue(n ast.Node) (any, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.UnaryNode:
		if f, ok := n.Node.(*ast.FloatNode); ok && n.Operator == "-" {
			return -f.Value, true
		}
	}
	if v, ok := constantInt(n); ok {
		return int(v), true
	}
	return nil, false
}

// constantInt returns the value of an integer, or of a sum or product of
// some, such as 64 * 1024.
func constantInt(n ast.Node) (int64, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return int64(n.Value), true
	case *ast.UnaryNode:
		v, ok := constantInt(n.Node)
		switch {
		case n.Operator == "-":
			return -v, ok
		case n.Operator == "+":
			return v, ok
		}
	case *ast.BinaryNode:
		a, ok1 := constantInt(n.Left)
		b, ok2 := constantInt(n.Right)
		switch {
		case !ok1 || !ok2:
		case n.Operator == "+":
			return a + b, true
		case n.Operator == "-":
			return a - b, true
		case n.Operator == "*":
			return a * b, true
		}
	}
	return 0, false
}
