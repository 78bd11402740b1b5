package fetchargs

// bits parses a number of which only some bits are wanted: x, x >> 12, x & 0xfff
// and (x >> 12) & 1.
func (p *exprParser) bits() (node, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	p.space()
	b := bitsNode{pos: p.pos, x: x}
	shifted := p.take(">>")
	if shifted {
		n, err := p.constant("a number of bits is needed after >>")
		if err != nil {
			return nil, err
		}
		b.shift = int(min(n, 64))
	} else if inner, ok := x.(bitsNode); ok && inner.width == 0 {
		b = inner // (x >> 12) & 1
	}
	p.space()
	b.mask = p.pos
	if !p.take("&") {
		if shifted {
			return b, nil
		}
		return x, nil
	}
	n, err := p.constant("a mask of bits is needed after &")
	if err != nil {
		return nil, err
	}
	if n == 0 || n&(n+1) != 0 {
		p.pos = b.mask
		return nil, p.fail("a mask has the lowest bits set and no others, as 0xfff: shift the value before")
	}
	for b.width = 0; n != 0; n >>= 1 {
		b.width++
	}
	return b, nil
}

// bits takes bits out of a number: (x >> shift) & mask.
func (r *resolver) bits(n bitsNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	size := 8 * x.Type.Size
	if x.bitSize != 0 {
		size = x.bitSize
	}
	width := n.width
	if width == 0 {
		width = size - n.shift
	}
	switch k := x.Type.Kind; {
	case k != Int && k != Enum && k != Bool:
		return Ref{}, r.fail(n, ErrNotFetchable, "%s is no number of which bits can be taken", x.Type)
	case !x.lvalue && x.off != 0:
		return Ref{}, r.fail(n, ErrNotFetchable, "no bits can be taken out of a sum")
	case x.Type.Signed && n.width == 0:
		return Ref{}, r.fail(n, ErrNotFetchable, "%s is signed: say with & which bits are wanted", x.Type)
	case n.shift >= size || n.shift+width > size:
		return Ref{}, r.fail(n, ErrNotFetchable, "%s has %d bits", x.Type, size)
	}
	x.bitOff, x.bitSize = x.bitOff+n.shift, width
	x.Type = &Type{Kind: Int, Name: x.Type.Name, Size: x.Type.Size}
	return x, nil
}

// isDigit tells whether s begins with a number.
func isDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
