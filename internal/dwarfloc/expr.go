package dwarfloc

import "math/bits"

// Operations: DWARF 5, section 7.7.1, and those of GNU that came before it.
const (
	opAddr           = 0x03
	opDeref          = 0x06
	opConst1u        = 0x08
	opConst8s        = 0x0f
	opConstu         = 0x10
	opConsts         = 0x11
	opDup            = 0x12
	opDrop           = 0x13
	opOver           = 0x14
	opSwap           = 0x16
	opAnd            = 0x1a
	opMinus          = 0x1c
	opPlus           = 0x22
	opPlusUconst     = 0x23
	opShl            = 0x24
	opShr            = 0x25
	opShra           = 0x26
	opLit0           = 0x30
	opReg0           = 0x50
	opBreg0          = 0x70
	opRegx           = 0x90
	opFbreg          = 0x91
	opBregx          = 0x92
	opPiece          = 0x93
	opDerefSize      = 0x94
	opNop            = 0x96
	opCallFrameCFA   = 0x9c
	opBitPiece       = 0x9d
	opImplicitValue  = 0x9e
	opStackValue     = 0x9f
	opImplicitPtr    = 0xa0
	opAddrx          = 0xa1
	opConstx         = 0xa2
	opEntryValue     = 0xa3
	opConstType      = 0xa4
	opRegvalType     = 0xa5
	opDerefType      = 0xa6
	opConvert        = 0xa8
	opReinterpret    = 0xa9
	opGNUImplicitPtr = 0xf2
	opGNUEntryValue  = 0xf3
	opGNUConstType   = 0xf4
	opGNURegvalType  = 0xf5
	opGNUDerefType   = 0xf6
	opGNUConvert     = 0xf7
	opGNUReinterpret = 0xf9
	opGNUParamRef    = 0xfa
	opGNUAddrIndex   = 0xfb
	opGNUConstIndex  = 0xfc
)

// A Context is what an expression may ask for. A nil function is for what does
// not exist there.
type Context struct {
	// FrameBase is that of the function, DW_AT_frame_base.
	FrameBase func() (Value, error)
	// CFA is the canonical frame address: the stack pointer before the call.
	CFA func() (Value, error)
	// Addr is entry i of the unit in .debug_addr.
	Addr func(i uint64) (uint64, error)
	// TypeSize is the size in bytes of the base type at an offset in the unit.
	TypeSize func(off uint64) int
}

// Eval runs an expression. The error is an [*UnknownError] where the result is
// nothing that a [Value] can say.
func Eval(expr []byte, ctx Context) (Value, error) {
	m := &machine{reader: reader{data: expr}, ctx: ctx}
	if len(expr) == 0 {
		return Value{}, OptimisedOut
	}
	return m.run()
}

type machine struct {
	reader
	ctx   Context
	stack []item
	done  bool // a value, or a register: not an address
}

// An item is a value that may have been shifted to the left, as the first half
// of extending it.
type item struct {
	Value
	shift int
}

const maxStack = 64

func (m *machine) push(v Value) {
	if v.Bits == 0 {
		v.Bits = 64
	}
	m.stack = append(m.stack, item{Value: v})
}

func (m *machine) pop() item {
	if len(m.stack) == 0 {
		m.bad = true
		return item{}
	}
	it := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return it
}

func (m *machine) run() (Value, error) {
	for m.off < len(m.data) {
		op := int(m.uint(1))
		if m.done && op != opPiece && op != opBitPiece {
			return Value{}, unknown("computed")
		}
		if err := m.step(op); err != nil {
			return Value{}, err
		}
		if m.bad || len(m.stack) > maxStack {
			return Value{}, errDamaged
		}
	}
	it := m.pop()
	if m.bad || len(m.stack) > 0 && !m.done {
		return Value{}, errDamaged
	}
	v := it.Value
	switch {
	case it.shift != 0:
		return v, unknown("computed")
	case m.done:
	case v.Bits < 64:
		return v, unknown("computed: an address of %d bits", v.Bits)
	default:
		if v.Memory = true; v.isNumber() {
			v.From = Address
		}
	}
	return v, nil
}

func (m *machine) step(op int) error {
	switch {
	case op >= opConst1u && op <= opConst8s:
		n := 1 << ((op - opConst1u) / 2)
		if op%2 == 0 {
			m.push(Value{Add: int64(m.uint(n))})
		} else {
			m.push(Value{Add: m.int(n)})
		}
	case op >= opLit0 && op < opReg0:
		m.push(Value{Add: int64(op - opLit0)})
	case op >= opReg0 && op < opBreg0:
		m.push(Value{From: Register, Reg: op - opReg0})
		m.done = true
	case op >= opBreg0 && op < opRegx:
		m.push(Value{From: Register, Reg: op - opBreg0, Add: m.sleb()})
	default:
		return m.other(op)
	}
	return nil
}

func (m *machine) other(op int) error {
	switch op {
	case opNop:
	case opAddr:
		m.push(Value{From: Address, Add: int64(m.uint(8))})
	case opConstu:
		m.push(Value{Add: int64(m.uleb())})
	case opConsts:
		m.push(Value{Add: m.sleb()})
	case opRegx:
		m.push(Value{From: Register, Reg: int(m.uleb() & 0xffff)})
		m.done = true
	case opBregx:
		reg := int(m.uleb() & 0xffff)
		m.push(Value{From: Register, Reg: reg, Add: m.sleb()})
	case opFbreg:
		off := m.sleb()
		return m.ask(m.ctx.FrameBase, off, "the frame's base")
	case opCallFrameCFA:
		return m.ask(m.ctx.CFA, 0, "the frame")
	case opAddrx, opGNUAddrIndex, opConstx, opGNUConstIndex:
		i := m.uleb()
		if m.ctx.Addr == nil {
			return errDamaged
		}
		n, err := m.ctx.Addr(i)
		v := Value{From: Address, Add: int64(n)}
		if op == opConstx || op == opGNUConstIndex {
			v.From = Constant
		}
		m.push(v)
		return err
	case opImplicitValue:
		b := m.take(m.uleb())
		if len(b) > 8 {
			return unknown("a constant of %d bytes", len(b))
		}
		m.push(Value{Add: int64((&reader{data: b}).uint(len(b)))})
		m.done = true
	case opStackValue:
		m.done = true
	case opPiece, opBitPiece:
		return unknown("in several places at once")
	case opImplicitPtr, opGNUImplicitPtr:
		return unknown("optimised out: a pointer to what has no address")
	case opEntryValue, opGNUEntryValue:
		return m.entryValue()
	case opGNUParamRef:
		return unknown("optimised out: a parameter that the caller does not pass")
	default:
		return m.compute(op)
	}
	return nil
}

// ask pushes what the context knows.
func (m *machine) ask(what func() (Value, error), add int64, name string) error {
	if what == nil {
		return unknown("%s is not known here", name)
	}
	v, err := what()
	if err != nil {
		return err
	}
	m.push(v.plus(add))
	return nil
}

// entryValue: the value of a register, or of a parameter in it, at the start of
// the function (DWARF 5, section 2.5.1.7).
func (m *machine) entryValue() error {
	in := &machine{reader: reader{data: m.take(m.uleb())}}
	v, err := in.run()
	switch {
	case m.bad || err != nil || v.From != Register || len(v.Loads) > 0:
		return unknown("computed from what was there when the function was entered")
	case v.Memory: // DW_OP_bregN: a location, of which the value is meant
		v.Memory = false
	}
	v.From = AtEntry
	m.push(v)
	return nil
}

// compute does what has operands on the stack.
func (m *machine) compute(op int) error {
	switch op {
	case opDup:
		it := m.pop()
		m.stack = append(m.stack, it, it)
	case opDrop:
		m.pop()
	case opSwap:
		a, b := m.pop(), m.pop()
		m.stack = append(m.stack, a, b)
	case opOver:
		a, b := m.pop(), m.pop()
		m.stack = append(m.stack, b, a, b)
	case opPlusUconst:
		n := int64(m.uleb())
		return m.with(func(v item) (item, bool) { v.Add += n; return v, v.shift == 0 })
	case opDeref:
		return m.deref(8)
	case opDerefSize:
		return m.deref(int(m.uint(1)))
	case opDerefType, opGNUDerefType:
		size := int(m.uint(1))
		m.uleb()
		return m.deref(size)
	case opRegvalType, opGNURegvalType:
		reg := int(m.uleb() & 0xffff)
		m.push(Value{From: Register, Reg: reg}.withBits(8 * m.typeSize(m.uleb())))
	case opConvert, opReinterpret, opGNUConvert, opGNUReinterpret:
		off := m.uleb()
		if off == 0 { // back to the generic type, whose size is that of an address
			break
		}
		n := 8 * m.typeSize(off)
		return m.with(func(v item) (item, bool) { v.Value = v.narrow(n); return v, n > 0 && v.shift == 0 })
	case opConstType, opGNUConstType:
		m.uleb()
		n := int(m.uint(1))
		if n > 8 {
			return unknown("a constant of %d bytes", n)
		}
		m.push(Value{Add: int64(m.uint(n))})
	case opPlus, opMinus, opAnd, opShl, opShr, opShra:
		return m.binary(op)
	default:
		return unknown("computed")
	}
	return nil
}

func (v Value) withBits(n int) Value {
	v.Bits = n
	return v
}

func (m *machine) typeSize(off uint64) int {
	if m.ctx.TypeSize == nil {
		return 0
	}
	return min(8, m.ctx.TypeSize(off))
}

// with changes the value on top, if f can.
func (m *machine) with(f func(item) (item, bool)) error {
	it, ok := f(m.pop())
	if !ok {
		return unknown("computed")
	}
	m.stack = append(m.stack, it)
	return nil
}

func (m *machine) deref(size int) error {
	it := m.pop()
	if m.bad || it.shift != 0 || size < 1 || size > 8 {
		return unknown("computed")
	}
	v, err := it.load()
	m.push(v.narrow(8 * size))
	return err
}

// binary does what a number on top does to the value below it.
func (m *machine) binary(op int) error {
	n, it := m.pop(), m.pop()
	if op == opPlus && it.isNumber() {
		n, it = it, n
	}
	if m.bad || !n.isNumber() || n.shift != 0 {
		return unknown("computed from several values")
	}
	k := n.Add
	ok := it.shift == 0
	switch {
	case op == opPlus:
		it.Add += k
	case op == opMinus:
		it.Add -= k
	case op == opAnd:
		width := bits.TrailingZeros64(^uint64(k))
		if it.isNumber() {
			it.Add &= k
		} else {
			ok = ok && uint64(k) == 1<<width-1
			it.Value = it.narrow(width)
		}
	case k < 0 || k > 63:
		ok = false
	case it.isNumber() && ok:
		it.Add = shifted(op, it.Add, uint(k))
	case op == opShl:
		it.shift = int(k)
	default: // the second half of an extension
		ok = it.shift == int(k)
		it.shift, it.Value = 0, it.narrow(64-int(k))
	}
	if !ok {
		return unknown("computed")
	}
	m.stack = append(m.stack, it)
	return nil
}

func shifted(op int, n int64, k uint) int64 {
	switch op {
	case opShl:
		return n << k
	case opShr:
		return int64(uint64(n) >> k)
	}
	return n >> k
}
