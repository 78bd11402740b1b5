package fetchargs

import "strings"

// A containerNode is container_of(x, struct timer, member): the struct that
// has what x points to as a member, as in include/linux/container_of.h. Timers,
// works and list entries reach functions so.
type containerNode struct {
	pos     int
	x       node
	typ     string
	members []string
}

func (n containerNode) position() int { return n.pos }

// container parses what follows "container_of".
func (p *exprParser) container(pos int) (node, error) {
	p.take("(")
	x, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.take(",") {
		return nil, p.fail("container_of(POINTER, TYPE, MEMBER) needs a type here")
	}
	n := containerNode{pos: pos, x: x}
	var words []string
	for w := p.word(isIdentByte); w != ""; w = p.word(isIdentByte) {
		words = append(words, w)
		p.space()
	}
	n.typ = strings.Join(words, " ")
	if n.typ == "" || !p.take(",") {
		return nil, p.fail("container_of(POINTER, TYPE, MEMBER) needs a type and a member here")
	}
	for {
		name := p.word(isIdentByte)
		if !isIdent(name) {
			return nil, p.fail("the name of a member is needed here")
		}
		n.members = append(n.members, name)
		if !p.take(".") {
			break
		}
	}
	if !p.take(")") {
		return nil, p.fail(") is missing")
	}
	return n, nil
}

func (r *resolver) container(n containerNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	if x = x.rvalue(); x.Type.Kind != Pointer && x.Type.Size != 8 || x.bitSize != 0 {
		return Ref{}, r.fail(n, ErrNotFetchable, "%s is no pointer that a struct could be around", x.Type)
	}
	outer, err := r.typeNamed(castNode{pos: n.pos, typ: n.typ})
	if err != nil {
		return Ref{}, err
	}
	at := Ref{Type: outer, lvalue: true}
	for _, name := range n.members {
		if at, err = r.memberOf(n, at, at.Type, name); err != nil {
			return Ref{}, err
		}
	}
	if at.bitSize != 0 {
		return Ref{}, r.fail(n, ErrNotFetchable, "nothing points to a bit field")
	}
	x.Type = PointerTo(func() *Type { return outer })
	if !x.move(-at.off, 1) {
		return Ref{}, r.fail(n, ErrLimit, "the kernel cannot reach so far: an offset has 32 bits")
	}
	return x, nil
}
