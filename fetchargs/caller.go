package fetchargs

// returnAddress is where the address to which a function returns is, at its
// first instruction.
var returnAddress = map[Arch]Base{AMD64: {Kind: StackWord}, ARM64: {Kind: Register, Name: "x30"}}

// caller takes $caller.
func (p *exprParser) caller() bool {
	start := p.pos
	p.pos++
	if p.word(isIdentByte) == "caller" {
		return true
	}
	p.pos = start
	return false
}

// caller finds the address to which the function returns.
func (r *resolver) caller(n baseNode) (Ref, error) {
	t := r.t
	switch b, ok := returnAddress[t.Arch]; {
	case t.Record != nil:
		return Ref{}, r.fail(n, ErrNotFetchable, "a tracepoint has no caller")
	case t.Return:
		return Ref{}, r.fail(n, ErrNotFetchable, "$caller is known when the function is entered, not when it returns")
	case t.Inside:
		return Ref{}, r.fail(n, ErrNotFetchable, "$caller is known at the start of the function only")
	case !ok:
		return Ref{}, r.fail(n, ErrNotFetchable, "the calling convention of %q is not known", t.Arch)
	default:
		return Ref{base: b, Type: codePointer}, nil
	}
}
