package filter

import (
	"errors"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	exprparser "github.com/expr-lang/expr/parser"
	"github.com/skprobe/skprobe/internal/event"
)

// A parser turns one condition into nodes. expr-lang reads it and checks its
// types; a comparison of a field with a constant, which is nearly all that
// people write, becomes a node of ours, and what is left a calc.
type parser struct {
	text   string
	fields []*field
	byName map[string]*field
	events []string
	config *conf.Config
	source file.Source
	err    *Error // the first
}

func newParser(text string, schema *event.Schema) *parser {
	p := &parser{text: text, fields: fieldsOf(schema), byName: map[string]*field{}, events: schema.Events}
	samples := map[string]any{}
	for _, f := range p.fields {
		p.byName[f.name] = f
		samples[f.name] = f.sample()
	}
	p.config = conf.New(samples)
	p.config.Expect = reflect.Bool
	return p
}

func (p *parser) parse() (node, error) {
	tree, err := exprparser.ParseWithConfig(p.text, p.config)
	if err != nil {
		return nil, p.syntaxError(err)
	}
	p.source = tree.Source
	ast.Walk(&tree.Node, &patcher{p})
	if p.err != nil {
		return nil, p.err
	}
	if _, err := new(checker.Checker).Check(tree, p.config); err != nil {
		return nil, p.typeError(tree.Node, err)
	}
	root := p.lower(tree.Node)
	if p.err != nil {
		return nil, p.err
	}
	return root, nil
}

// patcher changes what the type check must not see, and refuses what would
// get around the rule for absent fields.
type patcher struct{ *parser }

func (p *patcher) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.BinaryNode:
		// raddr in "10.0.0.0/8" is raddr in ["10.0.0.0/8"].
		if text, ok := n.Right.(*ast.StringNode); ok && n.Operator == "in" {
			if f := p.field(n.Left); f != nil && f.class == event.Address {
				n.Right = &ast.ArrayNode{Nodes: []ast.Node{text}}
				n.Right.SetLocation(text.Location())
			}
		}
		switch n.Operator {
		case "==", "!=", "in":
			p.named(n.Left, &n.Right)
			p.named(n.Right, &n.Left)
		}
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		p.fail(n, "variables and sequences are not known here")
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			p.fail(n, "$env is not known here")
		}
	}
}

// named puts in place of a number, also in a list, the text that a field has for
// it: ethertype == 0x0806 is ethertype == "0x0806", and proto == 6 proto == "tcp".
func (p *parser) named(side ast.Node, other *ast.Node) {
	f := p.field(side)
	if f == nil || f.class != event.Text {
		return
	}
	switch n := (*other).(type) {
	case *ast.IntegerNode:
		if text, ok := f.named(n.Value); ok {
			at := n.Location()
			*other = &ast.StringNode{Value: text}
			(*other).SetLocation(at)
		}
	case *ast.ArrayNode:
		for i := range n.Nodes {
			if _, list := n.Nodes[i].(*ast.ArrayNode); !list {
				p.named(side, &n.Nodes[i])
			}
		}
	}
}

// field returns the field that a node names, nil where it is another thing.
func (p *parser) field(n ast.Node) *field {
	if id, ok := n.(*ast.IdentifierNode); ok {
		return p.byName[id.Value]
	}
	return nil
}

// fail keeps the first error.
func (p *parser) fail(n ast.Node, message string) {
	if p.err == nil {
		p.err = p.errorAt(n.Location().From, message)
	}
}

// errorAt returns an error at an offset that is in runes.
func (p *parser) errorAt(runes int, message string) *Error {
	offset := len(p.text)
	for i := range p.text {
		if runes == 0 {
			offset = i
			break
		}
		runes--
	}
	return &Error{Text: p.text, Offset: offset, Message: strings.Join(strings.Fields(message), " ")}
}

// syntaxError explains an error of the grammar.
func (p *parser) syntaxError(err error) *Error {
	var e *file.Error
	if !errors.As(err, &e) {
		return p.errorAt(0, err.Error())
	}
	message := e.Message
	place := p.errorAt(e.From, "").Offset
	before, at := p.text[:place], p.text[place:]
	switch {
	case strings.HasPrefix(message, "bad number syntax"), strings.Contains(message, `Number(".`),
		strings.HasSuffix(before, "::"), strings.HasPrefix(at, ":") && !strings.Contains(before, "?"):
		message = `this is no number: addresses and other text are written in quotes, "127.0.0.1"`
	case strings.HasPrefix(at, "=") && strings.Contains(message, `Operator("=")`):
		message = "= is not known here: use == to compare"
	case strings.HasPrefix(at, "&") && strings.Contains(message, `Operator("&")`):
		message = "& is not known here: use && to say and"
	case strings.HasPrefix(message, "unexpected token EOF"), strings.HasPrefix(message, "unexpected end"):
		message = "the condition ends too early"
	}
	return p.errorAt(e.From, message)
}

// typeError explains an error of the type check in terms of fields.
func (p *parser) typeError(root ast.Node, err error) *Error {
	var e *file.Error
	if !errors.As(err, &e) {
		return p.errorAt(0, p.is(root)+": this is not a condition")
	}
	find := &finder{at: e.Location}
	ast.Walk(&root, find)
	message := e.Message
	switch {
	case strings.HasPrefix(message, "unknown name "):
		name := strings.TrimPrefix(message, "unknown name ")
		if find.called {
			message = "no function " + name + "()"
		} else {
			message = unknown(name, p.fields)
		}
	case find.binary != nil && find.binary.Operator == "in":
		message = p.is(find.binary.Left) + "; " + p.is(find.binary.Right)
		if _, ok := find.binary.Right.(*ast.StringNode); ok {
			message += `: "in" needs a list, ["a", "b"]; to search in a text use "contains"`
		}
	case find.binary != nil:
		message = p.is(find.binary.Left) + "; " + p.is(find.binary.Right)
	case find.unary != nil:
		op := find.unary.Operator
		message = p.is(find.unary.Node) + ": " + op + " does not go with it"
		if op == "!" || op == "not" {
			message += ", and to negate a comparison needs parentheses, " + op + " (a == b)"
		}
	}
	return p.errorAt(e.From, message)
}

// finder looks for the node of an error.
type finder struct {
	at     file.Location
	binary *ast.BinaryNode
	unary  *ast.UnaryNode
	called bool
}

func (f *finder) Visit(n *ast.Node) {
	if call, ok := (*n).(*ast.CallNode); ok && call.Callee.Location() == f.at {
		f.called = true
	}
	if (*n).Location() != f.at {
		return
	}
	switch n := (*n).(type) {
	case *ast.BinaryNode:
		f.binary = n
	case *ast.UnaryNode:
		f.unary = n
	}
}

// is says what a part of a condition is: "rport is a number".
func (p *parser) is(n ast.Node) string {
	if f := p.field(n); f != nil {
		return f.name + " is " + f.is()
	}
	text := n.String()
	if len(text) > 40 {
		text = text[:37] + "..."
	}
	switch n := n.(type) {
	case *ast.ArrayNode:
		if len(n.Nodes) > 0 {
			return text + " is a list: " + p.is(n.Nodes[0])
		}
		return text + " is a list"
	case *ast.NilNode:
		return "nil is no value"
	}
	switch n.Type().Kind() {
	case reflect.Int, reflect.Float64:
		return text + " is a number"
	case reflect.String:
		return text + " is text"
	case reflect.Bool:
		return text + " is true or false"
	case reflect.Slice, reflect.Array:
		return text + " is a list"
	}
	return text + " is something else"
}
