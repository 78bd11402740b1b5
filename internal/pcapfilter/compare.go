package pcapfilter

import (
	"fmt"
	"strconv"
)

// mirrored are the relations, and what each is with its sides exchanged.
var mirrored = map[string]string{"=": "==", "==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// precedence of the operators of arithmetic.
var precedence = map[string]int{"|": 1, "^": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}

// A value is one side of a comparison: a number, or bytes of a header of which
// some bits may be taken.
type value struct {
	at     token
	n      uint32
	field  *headerField // nil for a number
	masked bool         // only the bits of mask are taken
	mask   uint32
}

// comparison is one of bytes of a header with a number.
func (p *parser) comparison() cond {
	left := p.value(1)
	op := p.peek()
	if mirrored[op.text] == "" || op.kind != operator {
		p.fail(op, "a comparison is expected: = != < <= > >=")
	}
	p.next++
	right := p.value(1)
	relation := mirrored[mirrored[op.text]]
	switch {
	case left.field == nil && right.field == nil:
		p.fail(left.at, "two numbers are compared, and nothing of a packet")
	case left.field != nil && right.field != nil:
		p.fail(right.at, "bytes of a packet can be compared with a number only")
	case left.field == nil:
		left, right, relation = right, left, mirrored[relation]
	}
	return left.field.compare(p, left, relation, right.n)
}

// value reads arithmetic of at least that precedence.
func (p *parser) value(least int) value {
	left := p.operand()
	for {
		op := p.peek()
		prec := precedence[op.text]
		if op.kind != operator || prec < least {
			return left
		}
		p.next++
		left = p.calculate(left, op, p.value(prec+1))
	}
}

func (p *parser) calculate(a value, op token, b value) value {
	if a.field == nil && b.field != nil && op.text == "&" {
		a, b = b, a
	}
	switch {
	case a.field == nil && b.field == nil:
		a.n = p.arithmetic(a.n, op, b.n)
		return a
	case op.text == "&" && b.field == nil && !a.masked:
		a.masked, a.mask = true, b.n
		return a
	}
	p.fail(op, "bytes of a packet cannot be computed with, but for & and a number")
	return value{}
}

func (p *parser) arithmetic(a uint32, op token, b uint32) uint32 {
	switch op.text {
	case "|":
		return a | b
	case "^":
		return a ^ b
	case "&":
		return a & b
	case "<<":
		return a << b
	case ">>":
		return a >> b
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	}
	if b == 0 {
		p.fail(op, "a division by 0")
	}
	if op.text == "%" {
		return a % b
	}
	return a / b
}

// operand is a number, len, bytes of a header, or something in parentheses.
func (p *parser) operand() value {
	t := p.peek()
	switch {
	case p.take("("):
		v := p.value(1)
		p.expect(")")
		return v
	case t.kind != word:
		p.fail(t, "a number or bytes of a header are expected, such as tcp[13]")
	case p.take("len", "length"):
		return value{at: t, field: &headerField{column: p.length(t)}}
	case p.after().text == "[":
		return p.bytes()
	}
	return value{at: t, n: p.number()}
}

// number reads a number, or the name of one.
func (p *parser) number() uint32 {
	t := p.peek()
	n, named := numberNames[t.text]
	if !named {
		v, err := strconv.ParseUint(t.text, 0, 32)
		if t.kind != word || err != nil {
			p.fail(t, "a number is expected")
		}
		n = uint32(v)
	}
	p.next++
	return n
}

// bytes is proto[offset:size].
func (p *parser) bytes() value {
	t := p.peek()
	if t.text != "ether" && !isProtocol(t.text) {
		p.unexpected()
	}
	p.next++
	p.expect("[")
	at, size := p.peek(), uint32(1)
	var offset uint32
	if named, ok := offsetNames[at.text]; ok {
		if named.proto != t.text {
			p.fail(at, "%s is of %s", at.text, named.proto)
		}
		offset = named.at
		p.next++
	} else {
		v := p.value(1)
		if v.field != nil {
			p.fail(at, "the offset must be a number")
		}
		offset = v.n
	}
	if p.take(":") {
		size = p.number()
	}
	p.expect("]")
	place := fmt.Sprintf("%s[%d:%d]", t.text, offset, size)
	f, ok := headerFields[place]
	if !ok {
		p.fail(at, "there is no column for %s", place)
	}
	p.column(t, f.column)
	f.proto = t.text
	return value{at: t, field: &f}
}
