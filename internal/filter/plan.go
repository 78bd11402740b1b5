package filter

import (
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// A Plan is how the events of one name are filtered.
type Plan struct {
	Event string
	// Never: no event passes, so its probe need not be attached.
	Never bool
	// Kernel is the text for the kernel's event filter, "" where it can do
	// nothing. Only simple comparisons, &&, || and parentheses are used,
	// beside what the Comparer writes: every kernel since 3.10 knows them.
	Kernel string
	// Rest is what must be evaluated for each event that the kernel lets
	// through; nil where that is nothing.
	Rest *Program
}

// maxKernel is the length of the text for the kernel. The kernel takes less
// than a page, 4096 bytes, and a tool's own conditions share it.
const maxKernel = 3 << 10

// Kernel plans the filter for the events of one name. c compares the fields
// of its probe.
func (f *Filter) Kernel(name string, c event.Comparer) Plan {
	plan := Plan{Event: name}
	if f == nil {
		return plan
	}
	root := fold(f.root, name)
	if known, ok := root.(constant); ok {
		plan.Never = !bool(known)
		return plan
	}
	parts, ok := root.(and)
	if !ok {
		parts = and{root}
	}
	var texts []string
	var rest []node
	length := 0
	for _, n := range parts {
		text, exact, ok := push(n, c)
		if text = group(text, len(parts) > 1); !ok || length+len(text)+len(" && ") > maxKernel {
			rest = append(rest, n)
			continue
		}
		length += len(text) + len(" && ")
		texts = append(texts, text)
		if !exact {
			rest = append(rest, n)
		}
	}
	plan.Kernel = strings.Join(texts, " && ")
	if len(rest) > 0 {
		plan.Rest = newProgram(newAnd(rest...))
	}
	return plan
}

// push returns a text for the kernel that is true for all events for which n
// is, and, where it is exact, for no others.
func push(n node, c event.Comparer) (text string, exact, ok bool) {
	if !pushable(n) {
		return "", false, false
	}
	switch n := n.(type) {
	case *compare:
		op, operand := n.op, n.operand
		if n.field.class == event.Bool && operand.Num != 0 {
			// Any other number than 0 is true.
			op, operand.Num = opposites[op], 0
		}
		return c.Compare(n.field.name, op, operand)
	case and:
		exact = true
		var texts []string
		for _, child := range n {
			t, x, ok := push(child, c)
			exact = exact && x && ok
			if ok {
				texts = append(texts, t)
			}
		}
		return join(texts, " && "), exact, len(texts) > 0
	case or:
		exact = true
		var texts []string
		for _, child := range n {
			t, x, ok := push(child, c)
			if !ok {
				return "", false, false
			}
			exact = exact && x
			texts = append(texts, t)
		}
		return join(texts, " || "), exact, true
	}
	return "", false, false
}

// pushable tells whether a Comparer is to be asked about a condition. To ask
// can cost an argument of the probe, so it is not done where the rest of the
// condition makes it useless.
func pushable(n node) bool {
	switch n := n.(type) {
	case *compare:
		return n.field.class != event.Text || pushableText(n)
	case and:
		return slices.ContainsFunc(n, pushable)
	case or:
		return !slices.ContainsFunc(n, func(n node) bool { return !pushable(n) })
	}
	// A negation is true for events without the field, of which a kernel
	// filter knows nothing.
	return false
}

func pushableText(n *compare) bool {
	if n.op != event.Eq && n.op != event.Ne || n.operand.Text == "" {
		return false
	}
	// The kernel's language has no escapes.
	return !strings.ContainsFunc(n.operand.Text, func(r rune) bool {
		return r < ' ' || r == '"' || r == '\'' || r == '\\' || r == '*' || r >= 0x7f
	})
}

func join(texts []string, op string) string {
	for i := range texts {
		texts[i] = group(texts[i], len(texts) > 1)
	}
	return strings.Join(texts, op)
}

// group puts a text of several comparisons into parentheses, unless it stands
// alone or has them.
func group(text string, joined bool) string {
	if !joined || !strings.Contains(text, "&&") && !strings.Contains(text, "||") || enclosed(text) {
		return text
	}
	return "(" + text + ")"
}

// enclosed tells whether the first parenthesis of a text closes at its end.
func enclosed(text string) bool {
	depth := 0
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 {
			return i > 0 && i == len(text)-1
		}
	}
	return false
}

// String explains the plan in one line.
func (p Plan) String() string {
	switch {
	case p.Never:
		return p.Event + ": no event passes the filter"
	case p.Kernel == "" && p.Rest == nil:
		return p.Event + ": not filtered"
	case p.Rest == nil:
		return p.Event + ": filtered by the kernel: " + p.Kernel
	case p.Kernel == "":
		return p.Event + ": filtered by skprobe: " + p.Rest.String()
	}
	return p.Event + ": filtered by the kernel: " + p.Kernel + "; and by skprobe: " + p.Rest.String()
}
