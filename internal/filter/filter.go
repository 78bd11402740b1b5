// Package filter is --where: conditions on the fields of events. What the
// kernel's own event filter can decide is turned into its language, so that
// other events are never recorded; the rest is evaluated for each event.
//
// The language is that of expr-lang, with three rules for fields:
//
// A field that an event does not have makes every test that names it false:
// "rport == 53" and "rport != 53" are both false where there is no port, and
// so is "rport not in [53]". A test is a comparison or whatever else is not
// and, or, not, or a choice between conditions. "rport == nil" asks whether
// the field is absent, and "rport ?? 0" is 0 then. "!" and "not (…)" turn the
// answer of a test around, so that "!(rport == 53)" is true without a port.
//
// An address is compared with addresses and networks, whatever way they are
// written: raddr == "::ffff:10.0.0.1", raddr == "10.0.0.0/8", raddr in
// "10.0.0.0/8", raddr in ["10.0.0.0/8", "::1"]. A network has the addresses
// of its own family only. For other operators it is text.
//
// What cannot be computed, such as a division by zero, is false.
package filter

import (
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// A Filter is a condition on events. A nil Filter is true for all.
type Filter struct {
	root node
	text string
}

// maxText is how long a condition may be. It bounds how deep the parser goes.
const maxText = 16 << 10

// Parse returns the condition that where is. Names are those of the schema's
// columns, and time, event, cpu, pid, tid and comm. An error is an *Error.
func Parse(where string, schema *event.Schema) (*Filter, error) {
	if len(where) > maxText {
		return nil, &Error{Text: where[:40] + "…", Message: "longer than 16 KiB"}
	}
	if strings.TrimSpace(where) == "" {
		return nil, &Error{Text: where, Message: "the condition is empty"}
	}
	p := newParser(where, schema)
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &Filter{root: root, text: where}, nil
}

// And returns the condition that all of the filters are true. nil ones are
// left out; without any, it is nil.
func And(filters ...*Filter) *Filter {
	var nodes []node
	var texts []string
	for _, f := range filters {
		if f != nil {
			nodes = append(nodes, f.root)
			texts = append(texts, f.text)
		}
	}
	switch len(nodes) {
	case 0:
		return nil
	case 1:
		return &Filter{root: nodes[0], text: texts[0]}
	}
	return &Filter{root: newAnd(nodes...), text: "(" + strings.Join(texts, ") && (") + ")"}
}

// String returns the condition as it was written.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.text
}

// Program returns the whole condition to be evaluated in user space, nil
// where the filter is.
func (f *Filter) Program() *Program {
	if f == nil {
		return nil
	}
	return newProgram(f.root)
}

// A Program evaluates a condition. It may be used by one goroutine at a time.
// A nil Program is true for all events.
type Program struct {
	root node
	run  run
}

func newProgram(root node) *Program {
	return &Program{root: root, run: run{vars: map[string]any{}}}
}

// Match tells whether the condition is true for an event.
func (p *Program) Match(e *event.Event) bool {
	if p == nil {
		return true
	}
	p.run.event = e
	return p.root.eval(&p.run)
}

// String returns the condition as it is evaluated.
func (p *Program) String() string {
	if p == nil {
		return ""
	}
	return p.root.String()
}
