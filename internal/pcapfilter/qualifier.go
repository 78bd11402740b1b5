package pcapfilter

import "strings"

// qualifiers say what an identifier is: "tcp", "src", "port".
type qualifiers struct {
	at    token
	proto string // "" for none
	dir   string // src, dst, or, and; "" for none, which is either
	kind  string // host, net, port, portrange, proto; "" for none
}

// qualified is a primitive that begins with qualifiers: those and an
// identifier, or a protocol alone.
func (p *parser) qualified() cond {
	q := qualifiers{at: p.peek()}
	t := p.peek()
	if t.text == "ether" || isProtocol(t.text) {
		q.proto = t.text
		p.next++
		switch {
		case p.take("broadcast"):
			return p.castOf(q, true)
		case p.take("multicast"):
			return p.castOf(q, false)
		}
	}
	p.direction(&q)
	switch k := p.peek(); k.text {
	case "host", "net", "port", "portrange", "proto":
		q.kind = k.text
		p.next++
	case "gateway", "protochain":
		p.unexpected()
	}
	if q.proto != "" && q.dir == "" && q.kind == "" {
		if q.proto == "ether" {
			p.fail(p.peek(), "after ether, host, src, dst, proto, broadcast or multicast is expected")
		}
		if isIdentifier(p.peek()) {
			p.fail(p.peek(), "what is %s? say %s port, host, net or proto, or put and before it", p.peek().text, q.proto)
		}
		return p.protocol(q.at, q.proto)
	}
	if q == (qualifiers{at: q.at}) {
		p.unexpected()
	}
	p.last = &q
	if p.take("(") {
		c := p.identifiers(q)
		p.expect(")")
		return c
	}
	return p.identifier(q)
}

func isProtocol(s string) bool {
	_, ether := etherProtos[s]
	return ether || ipProtos[s]
}

// direction reads src, dst, src or dst, src and dst.
func (p *parser) direction(q *qualifiers) {
	t := p.peek().text
	if !p.take("src", "dst") {
		return
	}
	q.dir = t
	join, other := p.peek().text, p.after().text
	if other != "src" && other != "dst" || other == t {
		return
	}
	switch join {
	case "or", "||":
		q.dir = "or"
		p.next += 2
	case "and", "&&":
		q.dir = "and"
		p.next += 2
	}
}

// identifiers are several in parentheses: port (80 or 443).
func (p *parser) identifiers(q qualifiers) cond {
	one := func() cond {
		switch {
		case p.take("not", "!"):
			return not(p.identifier(q))
		case p.take("("):
			c := p.identifiers(q)
			p.expect(")")
			return c
		}
		return p.identifier(q)
	}
	c := one()
	for {
		switch {
		case p.take("and", "&&"):
			c = and(c, one())
		case p.take("or", "||"):
			c = or(c, one())
		default:
			return c
		}
	}
}

// identifier is one with its qualifiers.
func (p *parser) identifier(q qualifiers) cond {
	t := p.peek()
	if t.kind != word || keywords[t.text] && !(q.kind == "proto" && isProtocol(t.text)) {
		if t.kind == word && q.kind != "proto" && keywords[t.text] {
			p.fail(t, "%s is a keyword; %s is expected", t.text, q.wants())
		}
		p.fail(t, "%s is expected", q.wants())
	}
	switch q.kind {
	case "port":
		return p.port(q)
	case "portrange":
		return p.portRange(q)
	case "proto":
		return p.protoNumber(q)
	case "net":
		return p.net(q)
	}
	return p.host(q)
}

// wants says what must follow.
func (q *qualifiers) wants() string {
	switch q.kind {
	case "port":
		return "a port"
	case "portrange":
		return "a range of ports"
	case "proto":
		return "a protocol"
	case "net":
		return "a network"
	}
	return "an address"
}

// of joins the columns of the two ends as the direction says.
func (q *qualifiers) of(src, dst cond) cond {
	switch q.dir {
	case "src":
		return src
	case "dst":
		return dst
	case "and":
		return and(src, dst)
	}
	return or(src, dst)
}

// ends makes a test of each end, with the columns that are there.
func (p *parser) ends(q qualifiers, src, dst, rest string) cond {
	return q.of(test(p.column(q.at, src)+rest), test(p.column(q.at, dst)+rest))
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == "" || strings.HasPrefix(s, "0x")
}
