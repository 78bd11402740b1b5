package filter

import (
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/optimizer"
	exprparser "github.com/expr-lang/expr/parser"
	"github.com/skprobe/skprobe/internal/event"
)

// calc compiles a test that is not a comparison with a constant.
func (p *parser) calc(n ast.Node) node {
	names := &nameWalker{parser: p, optional: map[ast.Node]bool{}, pure: true}
	ast.Walk(&n, names)
	c := &calc{text: show(n), fields: names.all, pure: names.pure}
	for _, id := range names.nodes {
		if f := p.field(id); !names.optional[id] && !slices.Contains(c.need, f) {
			c.need = append(c.need, f)
		}
	}
	if err := optimizer.Optimize(&n, p.config); err != nil {
		p.fail(n, err.Error())
		return constant(false)
	}
	program, err := compiler.Compile(&exprparser.Tree{Node: n, Source: p.source}, p.config)
	if err != nil {
		p.fail(n, err.Error())
		return constant(false)
	}
	c.program = program
	return c
}

// show returns an expression as it can be written.
func show(n ast.Node) string {
	if not, ok := n.(*ast.UnaryNode); ok {
		if b, ok := not.Node.(*ast.BinaryNode); ok && negatedOperator(not, b) {
			return operand(b.Left) + " not " + b.Operator + " " + operand(b.Right)
		}
	}
	return n.String()
}

func operand(n ast.Node) string {
	switch n.(type) {
	case *ast.BinaryNode, *ast.ConditionalNode:
		return "(" + n.String() + ")"
	}
	return n.String()
}

// nameWalker collects the fields in an expression. Those to the left of "??"
// may be absent.
type nameWalker struct {
	*parser
	all      []*field
	nodes    []ast.Node
	optional map[ast.Node]bool
	pure     bool
}

func (w *nameWalker) Visit(n *ast.Node) {
	switch node := (*n).(type) {
	case *ast.IdentifierNode:
		if f := w.field(node); f != nil {
			w.nodes = append(w.nodes, node)
			if !slices.Contains(w.all, f) {
				w.all = append(w.all, f)
			}
		}
	case *ast.BinaryNode:
		if w.comparesAddress(node) {
			w.fail(node, "an address is compared with constants by itself, not inside of another expression")
		}
		if node.Operator == "??" {
			left := &nameWalker{parser: w.parser, optional: map[ast.Node]bool{}}
			ast.Walk(&node.Left, left)
			for _, id := range left.nodes {
				w.optional[id] = true
			}
		}
	case *ast.BuiltinNode:
		if node.Name == "now" {
			w.pure = false
		}
	case *ast.CallNode:
		w.pure = false
	}
}

// comparesAddress finds what expr-lang would take for a comparison of texts.
func (w *nameWalker) comparesAddress(n *ast.BinaryNode) bool {
	if n.Operator != "==" && n.Operator != "!=" && n.Operator != "in" {
		return false
	}
	sides := []ast.Node{n.Left, n.Right}
	for _, side := range sides {
		if list, ok := side.(*ast.ArrayNode); ok {
			sides = append(sides, list.Nodes...)
		}
	}
	var address, constant bool
	for _, side := range sides {
		f := w.field(side)
		address = address || f != nil && f.class == event.Address
		_, text := side.(*ast.StringNode)
		constant = constant || text
	}
	return address && constant
}
