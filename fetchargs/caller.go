package fetchargs

// returnAddress is where the address to which a function returns is, at its
// first instruction.
var returnAddress = map[Arch]Base{AMD64: {Kind: StackWord}, ARM64: {Kind: Register, Name: "x30"}}

// ours takes a variable that exists in expressions only: $caller and $current,
// which are another base on each kernel, and parameters by their type.
func (p *exprParser) ours() (Base, bool) {
	start := p.pos
	if p.peek() != '$' {
		return Base{}, false
	}
	p.pos++
	word := p.word(isIdentByte)
	switch word {
	case "caller":
		return Base{Kind: Caller}, true
	case "current":
		return Base{Kind: Current}, true
	}
	if _, ok := typedParams[word]; ok {
		return Base{Kind: Typed, Name: word}, true
	}
	p.pos = start
	return Base{}, false
}

// current is the current task. Where the kernel's own language has no $current
// whoever defines the probe must put memory of the CPU in its place: see
// [Dialect.Current].
func (r *resolver) current(n baseNode) (Ref, error) {
	t := r.t
	switch {
	case t.User:
		return Ref{}, r.fail(n, ErrNotFetchable, "$current is a task of the kernel, which probes of programs do not see")
	case t.Record != nil && !t.Fetched:
		return Ref{}, r.fail(n, ErrNotFetchable, "a tracepoint does not record $current")
	case t.NoCurrent != "":
		return Ref{}, r.fail(n, ErrNotFetchable, "$current: %s", t.NoCurrent)
	}
	typ, err := r.t.Types.TypeNamed("struct task_struct")
	if err != nil {
		return Ref{}, r.fail(n, ErrNoType, "this kernel's layouts have no struct task_struct")
	}
	return Ref{base: n.base, Type: PointerTo(func() *Type { return typ }), nonNull: true}, nil
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
