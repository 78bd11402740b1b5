package fetchargs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Target is the place in one kernel for which expressions are compiled.
type Target struct {
	Arch    Arch
	Types   Types
	Dialect Dialect
	// Func is the prototype of the probed function; nil where none is
	// known, and then no parameter can be named.
	Func *Type
	// NoParams, if not "", says why parameters cannot be named here
	// although Func is known ("the probe is not at the function's start").
	NoParams string
	// NonNull are parameters that are never NULL here. What they point to is
	// read without fetching them too.
	NonNull []string
	// Locals, if not nil, are the variables that are in scope at Place, which is
	// inside of the function: they take the place of parameters.
	Locals []Local
	Place  string
	// Inside: the probe is not at the function's first instruction.
	Inside bool
	// Record are the fields of a static tracepoint. They take the place of
	// parameters.
	Record []RecordField
	// Fetched: an event probe fetches what Record has, and can follow the
	// pointers in it.
	Fetched bool
	// User: the function is one of a program or library, and memory is the
	// program's.
	User bool
	// Go: it has the calling convention of Go (1.17 and later).
	Go bool
	// NoCurrent, if not "", says why $current cannot be had here.
	NoCurrent string
	// Return: the probe fires when the function returns. Parameters can be
	// named only where the dialect has ReturnArgs.
	Return bool
}

// A Ref is where a value lies: what a fetch-arg can reach, with its C type.
type Ref struct {
	Expr string // as it was written
	Type *Type
	base Base
	// loads are the pointers that were followed, in order. The value itself
	// is then what they lead to plus off: for an lvalue it lies in memory
	// there, otherwise it is that number.
	loads  []Load
	off    int64
	lvalue bool

	bitOff, bitSize int // of a bit field, at off
	recordedText    bool
	recordedRest    bool
	recordedPart    bool
	nonNull         bool // base is a pointer that is never NULL
	user            bool // pointers are those of a program
	inProgram       bool // the last pointer alone is a program's
	atEntry         bool // base is what it was when the function was entered
}

// Resolve finds what e denotes at the target. Of alternatives it takes the
// first that this kernel has. A fault is an [*ExprError] with its place.
func (t *Target) Resolve(e *Expr) (Ref, error) {
	r := &resolver{t: t, text: e.text}
	ref, err := r.eval(e.root)
	if err != nil {
		return Ref{}, err
	}
	ref.Expr, ref.user = e.text, t.User
	return ref, nil
}

type resolver struct {
	t    *Target
	text string
}

func (r *resolver) fail(n node, class error, format string, args ...any) error {
	return &ExprError{Expr: r.text, Offset: n.position(), Msg: fmt.Sprintf(format, args...), Err: class}
}

func (r *resolver) eval(n node) (Ref, error) {
	switch n := n.(type) {
	case nameNode:
		return r.parameter(n)
	case baseNode:
		return r.baseValue(n)
	case memberNode:
		return r.member(n)
	case indexNode:
		return r.index(n)
	case unaryNode:
		return r.unary(n)
	case castNode:
		return r.cast(n)
	case addNode:
		return r.add(n)
	case bitsNode:
		return r.bits(n)
	case containerNode:
		return r.container(n)
	case altNode:
		return r.alternatives(n)
	}
	panic(fmt.Sprintf("fetchargs: node %T", n))
}

func (r *resolver) alternatives(n altNode) (Ref, error) {
	var last error
	for _, c := range n.choices {
		ref, err := r.eval(c)
		if err == nil || !errors.Is(err, ErrNoType) && !errors.Is(err, ErrNoMember) {
			return ref, err
		}
		last = err
	}
	return Ref{}, last
}

func (r *resolver) parameter(n nameNode) (Ref, error) {
	t := r.t
	if t.Record != nil {
		return r.recordField(n)
	}
	if t.Locals != nil {
		return r.local(n)
	}
	if t.NoParams != "" {
		return Ref{}, r.fail(n, ErrNotFetchable, "parameter %q cannot be named: %s", n.name, t.NoParams)
	}
	if t.User {
		return Ref{}, r.fail(n, ErrNoType, "parameters of a program's function have no names here; write $arg1, $arg2, …")
	}
	if t.Func == nil {
		return Ref{}, r.fail(n, ErrNoType, "the parameters of this function are not known here; name a register (%%di), $retval or @global")
	}
	var names []string
	for i, p := range t.Func.Members {
		if p.Name != n.name {
			names = append(names, p.Name)
			continue
		}
		base, err := t.param(i)
		if err != nil {
			return Ref{}, r.fail(n, ErrNotFetchable, "%v", err)
		}
		if t.Return {
			if !t.Dialect.ReturnArgs {
				return Ref{}, r.fail(n, ErrNotFetchable, "parameter %q is gone when %s returns", n.name, t.Func.Name)
			}
			if base, err = t.returnParam(i); err != nil {
				return Ref{}, r.fail(n, ErrNotFetchable, "%v", err)
			}
		}
		return Ref{base: base, Type: p.Type, nonNull: slices.Contains(t.NonNull, n.name)}, nil
	}
	err := r.fail(n, ErrNoMember, "%s has no parameter %q; it has %s", t.Func.Name, n.name, list(names))
	err.(*ExprError).suggest(n.name, names)
	return Ref{}, err
}

// param finds parameter i. One passed by value in more than a register moves
// those after it, so past it nothing is certain.
func (t *Target) param(i int) (Base, error) {
	for _, p := range t.Func.Members[:i+1] {
		switch k := p.Type.Kind; {
		case k == Struct || k == Union || k == Float || k == Array || p.Type.Size > 8:
			return Base{}, fmt.Errorf("%s is passed by value, so where it and the parameters after it are is not certain", Declare(p.Type, p.Name))
		}
	}
	return t.Arch.Param(i)
}

// returnParam is parameter i as return probes have it. The kernel's own $argN
// knows the parameters in registers, and on amd64 those on the stack
// (regs_get_kernel_argument in arch/*/include/asm/ptrace.h).
func (t *Target) returnParam(i int) (Base, error) {
	if n := len(paramRegisters[t.Arch]); i >= n && t.Arch != AMD64 {
		return Base{}, fmt.Errorf("return probes know the first %d parameters only", n)
	}
	return Base{Kind: ArgNum, Num: int64(i + 1)}, nil
}

func (r *resolver) baseValue(n baseNode) (Ref, error) {
	b, t := n.base, r.t
	switch b.Kind {
	case Symbol, Memory:
		if t.User {
			return Ref{}, r.fail(n, ErrNotFetchable, "global variables of a program cannot be named")
		}
		return Ref{base: b, Type: unsignedLong, lvalue: true}, nil
	case Retval:
		if !t.Return {
			return Ref{}, r.fail(n, ErrNotFetchable, "$retval exists only in a return probe: write FUNCTION%%return")
		}
		typ := unsignedLong
		if t.Func != nil {
			if typ = t.Func.Elem(); typ.Kind == Void {
				return Ref{}, r.fail(n, ErrNotFetchable, "%s returns nothing", t.Func.Name)
			}
		}
		return Ref{base: b, Type: typ}, nil
	case ArgNum:
		if t.Return && (!t.Dialect.ReturnArgs || t.User) {
			return Ref{}, r.fail(n, ErrNotFetchable, "$arg%d is gone when the function returns", b.Num)
		}
		if t.NoParams != "" {
			return Ref{}, r.fail(n, ErrNotFetchable, "$arg%d cannot be named: %s", b.Num, t.NoParams)
		}
		typ, find := unsignedLong, t.Arch.Param
		if t.Go {
			find = t.Arch.goParam
		}
		if t.Func != nil && int(b.Num) <= len(t.Func.Members) {
			typ, find = t.Func.Members[b.Num-1].Type, t.param
		}
		at, err := find(int(b.Num) - 1)
		if err == nil && t.Return {
			at, err = t.returnParam(int(b.Num) - 1)
		}
		if err != nil {
			return Ref{}, r.fail(n, ErrNotFetchable, "%v", err)
		}
		return Ref{base: at, Type: typ}, nil
	case Current:
		return r.current(n)
	case Comm:
		if !t.Dialect.CommArg {
			return Ref{}, r.fail(n, ErrNotFetchable, "this kernel has no $comm; the event's own comm shows the task")
		}
		return Ref{base: b, Type: charPointer}, nil
	case Caller:
		return r.caller(n)
	case Typed:
		return r.typed(n)
	case StackAddr:
		return Ref{base: b, Type: PointerTo(func() *Type { return unsignedLong })}, nil
	}
	return Ref{base: b, Type: unsignedLong}, nil
}

var (
	unsignedLong = &Type{Kind: Int, Name: "unsigned long", Size: 8}
	charType     = &Type{Kind: Int, Name: "char", Size: 1, Signed: true}
	charPointer  = PointerTo(func() *Type { return charType })
	codePointer  = PointerTo(func() *Type { return FuncOf("", nil, voidType) })
)

// rvalue loads an lvalue, so that what it points to can be reached. An array
// becomes the address of its first element.
func (ref Ref) rvalue() Ref {
	if !ref.lvalue {
		return ref
	}
	ref.lvalue = false
	if ref.Type.Kind == Array {
		elem := ref.Type.Elem()
		ref.Type = PointerTo(func() *Type { return elem })
		return ref
	}
	ref.loads = append(slices.Clip(ref.loads), Load{Offset: ref.off})
	ref.off = 0
	return ref
}

func (r *resolver) member(n memberNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	st := x.Type
	if n.arrow {
		x = x.rvalue()
		if x.Type.Kind != Pointer {
			return Ref{}, r.fail(n, ErrNoMember, "%s is no pointer: -> does not apply%s", st, hint(st, "write ."))
		}
		st = x.Type.Elem()
	} else if !x.lvalue {
		return Ref{}, r.fail(n, ErrNoMember, "%s is no struct in memory: . does not apply%s", st, hint(st, "write ->"))
	}
	if st.Kind != Struct && st.Kind != Union {
		if st.Kind == Void {
			return Ref{}, r.fail(n, ErrNoMember, "void * points to no struct; cast it: ((struct x *)…)->%s", n.name)
		}
		return Ref{}, r.fail(n, ErrNoMember, "%s is no struct, so it has no member %q%s", st, n.name, hint(st, "write ->"))
	}
	return r.memberOf(n, x, st, n.name)
}

// memberOf is a member of the struct st, which is at x.
func (r *resolver) memberOf(n node, x Ref, st *Type, name string) (Ref, error) {
	m, ok := st.Member(name)
	switch {
	case !ok && st.Incomplete:
		return Ref{}, r.fail(n, ErrNoType, "the members of %s are not in %s", st, r.t.Types.Source())
	case !ok:
		err := r.fail(n, ErrNoMember, "%s has no member %q", st, name).(*ExprError)
		err.suggest(name, st.MemberNames())
		err.within = st
		return Ref{}, err
	}
	x.lvalue = true
	x.off += int64(m.Offset)
	x.Type, x.bitOff, x.bitSize = m.Type, m.BitOffset, m.BitSize
	return x, nil
}

func hint(t *Type, what string) string {
	if t.Kind == Pointer || t.Kind == Struct || t.Kind == Union {
		return "; " + what
	}
	return ""
}

func (r *resolver) index(n indexNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	if x.Type.Kind == Array && x.Type.Len > 0 && n.n >= int64(x.Type.Len) {
		return Ref{}, r.fail(n, ErrNoMember, "index %d is past the end of %s", n.n, x.Type)
	}
	x = x.rvalue()
	return r.target(n, x, n.n)
}

// target is what pointer x points to, n elements on.
func (r *resolver) target(at node, x Ref, n int64) (Ref, error) {
	if x.Type.Kind != Pointer {
		return Ref{}, r.fail(at, ErrNoMember, "%s is no pointer", x.Type)
	}
	elem := x.Type.Elem()
	if elem.Size == 0 {
		return Ref{}, r.fail(at, ErrNoType, "%s points to something of unknown size; cast it", x.Type)
	}
	if x.base.Kind == Comm && len(x.loads) == 0 {
		return Ref{}, r.fail(at, ErrNotFetchable, "$comm is a text of its own, of which no part can be taken")
	}
	if !x.move(n, elem.Size) {
		return Ref{}, r.fail(at, ErrLimit, "the kernel cannot reach so far: an offset has 32 bits")
	}
	x.Type, x.lvalue, x.bitOff, x.bitSize = elem, true, 0, 0
	return x, nil
}

// move adds n elements of size bytes to the place of x, and tells whether that
// is still one that can be reached.
func (x *Ref) move(n int64, size int) bool {
	const most = MaxOffset
	if size > 0 && (n > most/int64(size) || n < -most/int64(size)) {
		return false
	}
	x.off += n * int64(size)
	return x.off <= most && x.off >= -most
}

func (r *resolver) unary(n unaryNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	if n.op == '*' {
		return r.target(n, x.rvalue(), 0)
	}
	if !x.lvalue || x.bitSize != 0 {
		return Ref{}, r.fail(n, ErrNotFetchable, "%s has no address", x.Type)
	}
	typ := x.Type
	x.lvalue, x.Type = false, PointerTo(func() *Type { return typ })
	return x, nil
}

func (r *resolver) add(n addNode) (Ref, error) {
	x, err := r.eval(n.x)
	if err != nil {
		return Ref{}, err
	}
	if x.bitSize != 0 {
		return Ref{}, r.fail(n, ErrNotFetchable, "nothing can be added to a bit field")
	}
	x = x.rvalue()
	switch x.Type.Kind {
	case Struct, Union, Float:
		return Ref{}, r.fail(n, ErrNotFetchable, "nothing can be added to a %s", x.Type)
	}
	size := int64(1)
	if x.Type.Kind == Pointer {
		size = int64(max(1, x.Type.Elem().Size))
	}
	if x.base.Kind == Comm && len(x.loads) == 0 {
		return Ref{}, r.fail(n, ErrNotFetchable, "nothing can be added to $comm")
	}
	if x.Type.Kind != Pointer {
		x.off += n.n // a number, which user space adds: not an offset for the kernel
	} else if !x.move(n.n, int(size)) {
		return Ref{}, r.fail(n, ErrLimit, "the kernel cannot reach so far: an offset has 32 bits")
	}
	return x, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
