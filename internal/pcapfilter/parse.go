package pcapfilter

import (
	"fmt"
	"slices"
)

// maxText is how long an expression may be. It bounds how deep the parser goes.
const maxText = 8 << 10

// Translate returns the condition of --where that the expression stands for.
// has tells which columns there are. An error is an [*Error].
func Translate(text string, has func(column string) bool) (where string, err error) {
	if len(text) > maxText {
		return "", &Error{text[:40] + "…", 0, "longer than 8 KiB"}
	}
	tokens, e := lex(text)
	if e != nil {
		return "", e
	}
	p := &parser{text: text, tokens: tokens, has: has}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			where, err = "", e
		}
	}()
	c := p.expression()
	if p.peek().kind != end {
		p.unexpected()
	}
	return c.text, nil
}

// A parser goes through the tokens once; where something is wrong it panics
// with an [*Error], which Translate returns.
type parser struct {
	text   string
	tokens []token
	next   int
	has    func(string) bool
	last   *qualifiers // those of the identifier before, nil for none
}

func (p *parser) peek() token { return p.tokens[p.next] }

// after is the token after the next.
func (p *parser) after() token { return p.tokens[min(p.next+1, len(p.tokens)-1)] }

// take takes the next token if it has one of these texts.
func (p *parser) take(texts ...string) bool {
	t := p.peek()
	if t.kind == end || !slices.Contains(texts, t.text) {
		return false
	}
	p.next++
	return true
}

func (p *parser) fail(at token, format string, args ...any) {
	panic(&Error{p.text, at.pos, fmt.Sprintf(format, args...)})
}

func (p *parser) expect(text string) {
	if !p.take(text) {
		p.fail(p.peek(), "%s is expected here", text)
	}
}

// unexpected says what is wrong with the next token, which is none that can
// follow.
func (p *parser) unexpected() {
	t := p.peek()
	why, known := unsupported[t.text]
	switch {
	case t.kind == end && p.next == 0:
		p.fail(t, "the expression is empty")
	case t.kind == end:
		p.fail(t, "the expression ends too early")
	case known && why == "":
		p.fail(t, "%s is not known here", t.text)
	case known:
		p.fail(t, "%s %s", t.text, why)
	case t.kind == operator:
		p.fail(t, "%s is not expected here", t.text)
	case p.next > 0 && (keywords[t.text] || isIdentifier(t)) && p.tokens[p.next-1].kind == word:
		p.fail(t, "and or or is missing before %s", t.text)
	case isIdentifier(t):
		p.fail(t, "%s is no word of a packet filter; names of hosts are not looked up", t.text)
	}
	p.fail(t, "%s is not expected here", t.text)
}

// expression is a chain of terms. And and or have the same precedence and
// associate to the left.
func (p *parser) expression() cond {
	c := p.term()
	for {
		switch {
		case p.take("and", "&&"):
			c = and(c, p.term())
		case p.take("or", "||"):
			c = or(c, p.term())
		default:
			return c
		}
	}
}

// term is a primitive, one of parentheses, or the negation of one. An
// identifier alone has the qualifiers of the one before.
func (p *parser) term() cond {
	t := p.peek()
	switch {
	case p.take("not", "!"):
		return not(p.term())
	case t.kind == operator && t.text == "(":
		return p.parentheses()
	case isIdentifier(t):
		return p.bare()
	case t.kind != word:
		p.unexpected()
	}
	return p.primitive()
}

// parentheses are those of a condition, or of a number in a comparison: what
// gets further is what was meant.
func (p *parser) parentheses() cond {
	start, last := p.next, p.last
	number := func() (c cond, e *Error) {
		defer func() {
			if r := recover(); r != nil {
				e, _ = r.(*Error)
				if e == nil {
					panic(r)
				}
			}
		}()
		return p.comparison(), nil
	}
	c, asNumber := number()
	if asNumber == nil {
		return c
	}
	p.next, p.last = start, last
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok && asNumber.Offset > e.Offset {
				panic(asNumber)
			}
			panic(r)
		}
	}()
	p.expect("(")
	c = p.expression()
	p.expect(")")
	return c
}

// isIdentifier tells what names a host, a network, a port or a protocol.
func isIdentifier(t token) bool {
	_, no := unsupported[t.text]
	_, number := numberNames[t.text]
	return t.kind == word && !keywords[t.text] && !no && !number
}

// bare is an identifier without qualifiers of its own.
func (p *parser) bare() cond {
	t := p.peek()
	if p.last != nil {
		return p.identifier(*p.last)
	}
	q := qualifiers{at: t}
	switch {
	case isNumber(t.text) && p.after().kind == operator && (mirrored[p.after().text] != "" || precedence[p.after().text] > 0):
		return p.comparison()
	case isNumber(t.text):
		p.fail(t, "%s: is it a port, or a proto? say port %s", t.text, t.text)
	case !looksLikeAddress(t.text):
		p.unexpected()
	}
	return p.identifier(q)
}

// primitive begins with a keyword.
func (p *parser) primitive() cond {
	t := p.peek()
	if p.after().text == "[" {
		return p.comparison()
	}
	switch {
	case t.text == "len" || t.text == "length":
		return p.comparison()
	case p.take("less", "greater"):
		n, op := p.number(), map[string]string{"less": "<=", "greater": ">="}[t.text]
		return test(fmt.Sprintf("%s %s %d", p.length(t), op, n))
	case p.take("vlan"):
		return p.vlan(t)
	case p.take("broadcast"):
		return test(p.column(t, "dmac") + ` == "ff:ff:ff:ff:ff:ff"`)
	case p.take("multicast"):
		return p.etherMulticast(t)
	}
	if _, known := numberNames[t.text]; known {
		return p.comparison()
	}
	return p.qualified()
}

// length is the column that has the length of the frame.
func (p *parser) length(at token) string {
	if p.has("frame_len") {
		return "frame_len"
	}
	return p.column(at, "len")
}

// column returns a column's name, which must be there.
func (p *parser) column(at token, name string) string {
	if !p.has(name) {
		p.fail(at, "%s is about %s, which is not shown here", at.text, name)
	}
	return name
}

func (p *parser) vlan(at token) cond {
	outer := p.column(at, "vlan")
	t := p.peek()
	if t.kind != word || !isNumber(t.text) {
		return test(outer + " != nil")
	}
	n := p.number()
	if n > 4095 {
		p.fail(t, "%d is no VLAN: they are 0 to 4095", n)
	}
	all := []cond{test(fmt.Sprintf("%s == %d", outer, n))}
	if p.has("vlan2") {
		all = append(all, test(fmt.Sprintf("vlan2 == %d", n)))
	}
	return or(all...)
}

// etherMulticast: the lowest bit of the first byte is set.
func (p *parser) etherMulticast(at token) cond {
	return test(p.column(at, "dmac") + ` matches "^.[13579bdf]"`)
}
