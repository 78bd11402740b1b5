package fetchargs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// An operand is a random expression with its meaning by the rules of C, found
// without the compiler.
type operand struct {
	text string
	typ  *Type
	// eval computes the expression for the event at hand.
	eval func(m *model) spot
	// lvalue: it denotes memory at ptr+off; otherwise it is the number ptr+off.
	lvalue          bool
	bitOff, bitSize int
	summed          bool // a constant was added to a number
}

// A spot is a pointer and what is added to it. ok tells that all pointers that
// were followed on the way to it are addresses in the kernel.
type spot struct {
	ptr uint64
	off int64
	ok  bool
	sym bool // ptr is the address of a symbol, which needs no check
}

// load reads the number at a place, which must be one that can be followed.
func (m *model) load(p spot, size int) (uint64, bool) {
	if !p.ok || !p.sym && !IsKernelAddress(p.ptr) {
		return 0, false
	}
	var b [8]byte
	if !m.read(p.ptr+uint64(p.off), b[:size], false) {
		m.wild = true
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// value is the number that o is.
func (o operand) value() operand {
	if !o.lvalue {
		return o
	}
	in := o
	o.lvalue = false
	if o.typ.Kind == Array {
		elem := o.typ.Elem()
		o.typ = PointerTo(func() *Type { return elem })
		return o
	}
	o.eval = func(m *model) spot {
		v, ok := m.load(in.eval(m), in.typ.Size)
		return spot{ptr: v, ok: ok}
	}
	return o
}

func (m *model) start(isReturn bool) operand {
	switch k := m.rand.IntN(10); {
	case k == 0:
		s := m.structs[0]
		at := func(m *model) spot {
			v, ok := m.load(spot{ptr: m.symbols["g"], ok: true, sym: true}, 8)
			return spot{ptr: v, ok: ok}
		}
		return operand{text: "((" + s.Name + " *)@g)", typ: PointerTo(func() *Type { return s }), eval: at}
	case k == 1:
		return operand{text: "@h", typ: unsignedLong, lvalue: true, eval: func(m *model) spot {
			return spot{ptr: m.symbols["h"], ok: true, sym: true}
		}}
	case k == 2 && isReturn:
		return operand{text: "$retval", typ: m.fn.Elem(), eval: func(m *model) spot { return spot{ptr: m.retval, ok: true} }}
	}
	i := m.rand.IntN(len(m.fn.Members))
	p := m.fn.Members[i]
	return operand{text: p.Name, typ: p.Type, eval: func(m *model) spot {
		v := m.args[i]
		if p.Type.Size < 8 {
			v &= 1<<(8*p.Type.Size) - 1
		}
		return spot{ptr: v, ok: true}
	}}
}

// grow applies a random operator.
func (m *model) grow(o operand) operand {
	shift := func(x operand, n int64) func(m *model) spot {
		return func(m *model) spot { p := x.eval(m); p.off += n; return p }
	}
	member := func(x operand, st *Type, op string) operand {
		names := st.MemberNames()
		mem, _ := st.Member(names[m.rand.IntN(len(names))])
		return operand{text: x.text + op + mem.Name, typ: mem.Type, lvalue: true, eval: shift(x, int64(mem.Offset)),
			bitOff: mem.BitOffset * min(1, mem.BitSize), bitSize: mem.BitSize}
	}
	switch {
	case o.bitSize != 0:
		return o
	case o.typ.Kind == Pointer && o.typ.Elem().Kind == Struct:
		x := o.value()
		elem := x.typ.Elem()
		switch m.rand.IntN(8) {
		case 0:
			x.text = "(*" + x.text + ")"
			x.typ, x.lvalue = elem, true
			return x
		case 1:
			n := int64(m.rand.IntN(2))
			x.text, x.eval = fmt.Sprintf("(%s + %d)", x.text, n), shift(x, n*int64(elem.Size))
			return x
		case 2:
			s := m.structs[m.rand.IntN(len(m.structs))]
			x.text, x.typ = "(("+s.Name+" *)"+x.text+")", PointerTo(func() *Type { return s })
			return x
		}
		return member(x, elem, "->")
	case o.typ.Kind == Struct && o.lvalue:
		if m.rand.IntN(4) == 0 {
			elem := o.typ
			o.text, o.lvalue, o.typ = "(&"+o.text+")", false, PointerTo(func() *Type { return elem })
			return o
		}
		return member(o, o.typ, ".")
	case o.typ.Kind == Array:
		n := m.rand.IntN(o.typ.Len)
		elem := o.typ.Elem()
		return operand{text: fmt.Sprintf("%s[%d]", o.text, n), typ: elem, lvalue: true, eval: shift(o, int64(n*elem.Size))}
	case o.typ.Kind == Int && !o.summed && m.rand.IntN(3) == 0:
		x := o.value()
		if m.rand.IntN(2) == 0 {
			n := int64(m.rand.IntN(1000) - 500)
			op := '+'
			if n < 0 {
				op = '-'
			}
			x.text, x.eval, x.summed = fmt.Sprintf("(%s %c %d)", x.text, op, max(n, -n)), shift(x, n), true
			return x
		}
		to, from := m.integer(), x
		if to.Size >= from.typ.Size {
			// A cast does not widen.
			x.text = fmt.Sprintf("((%s)%s)", []string{"u64", "s64"}[m.rand.IntN(2)], x.text)
			return x
		}
		x.text, x.typ = fmt.Sprintf("((%s)%s)", to.Name, x.text), to
		x.eval = func(m *model) spot {
			p := from.eval(m)
			p.ptr &= 1<<(8*to.Size) - 1
			return p
		}
		return x
	}
	return o
}

// want is what a slot must hold: nil where the value is absent.
func (o operand) want(m *model, size int) []byte {
	p := o.eval(m)
	if !o.lvalue {
		if !p.ok {
			return nil
		}
		return binary.LittleEndian.AppendUint64(nil, p.ptr+uint64(p.off))
	}
	if !p.ok || !p.sym && !IsKernelAddress(p.ptr) {
		return nil
	}
	b := make([]byte, size)
	if !m.read(p.ptr+uint64(p.off), b, false) {
		m.wild = true
	}
	return b
}

// wantText is the text at o, or to which it points.
func (o operand) wantText(m *model) []byte {
	if o.typ.Kind == Pointer {
		o = o.value()
	}
	p := o.eval(m)
	if !p.ok {
		return nil
	}
	text := []byte{}
	for i := uint64(0); ; i++ {
		var c [1]byte
		if !m.read(p.ptr+uint64(p.off)+i, c[:], true) {
			return nil
		}
		if c[0] == 0 {
			return text
		}
		text = append(text, c[0])
	}
}

type question struct {
	operand
	ref    Ref
	slot   Slot
	scalar string
	size   int
	text   bool
}

// TestCompiledExpressions compiles random expressions over random types, lets a
// model of the kernel fetch the arguments, event after event into the same
// buffer, and compares what is decoded with what the expressions mean.
func TestCompiledExpressions(t *testing.T) {
	dialects := []Dialect{Dialect310, Dialect419, Dialect420, Dialect69}
	rounds, values, absent, plans, wild := 400, 0, 0, 0, 0
	if testing.Short() {
		rounds = 60
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		d := dialects[seed%len(dialects)]
		arch := []Arch{AMD64, ARM64}[seed/len(dialects)%2]
		m := newModel(r, d)
		isReturn := d.ReturnArgs && r.IntN(2) == 0
		if isReturn && arch == ARM64 {
			m.fn.Members = m.fn.Members[:8]
		}
		target := Target{Arch: arch, Types: m, Dialect: d, Func: m.fn, Return: isReturn}
		planner := NewPlanner(d)
		var asked []question
		for range 1 + r.IntN(12) {
			q, err := m.ask(&target, planner, isReturn)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			asked = append(asked, q)
		}
		plan, err := planner.Build()
		if errors.Is(err, ErrLimit) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		plans++
		places := plan.Predict(isReturn)
		layout, err := plan.Layout(places)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		at := map[string]ArgPlace{}
		for _, p := range places {
			at[p.Name] = p
		}
		buffer := make([]byte, 8192)
		for i := range buffer {
			buffer[i] = byte(r.IntN(256))
		}
		for n := range 6 {
			m.event()
			m.call(arch)
			rec := m.record(buffer[:0:cap(buffer)], plan.Args, places)
			present, err := layout.Present(rec)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for _, q := range asked {
				m.wild = false
				if q.scalar != "" {
					want := q.want(m, q.size)
					p := at[q.scalar]
					if got := rec[p.Offset:]; !m.wild && want != nil && q.bitSize == 0 && string(got[:q.size]) != string(want[:q.size]) {
						t.Errorf("seed %d event %d: %s for the kernel = %x, want %x\n%v", seed, n, q.operand.text, got[:q.size], want, plan.Args)
					}
					continue
				}
				got := layout.Bytes(rec, present, q.slot)
				var want []byte
				switch {
				case q.text:
					want = q.wantText(m)
				case q.lvalue:
					want = q.want(m, q.size)
				default:
					want = q.want(m, q.size)
					if got != nil {
						var b [8]byte
						copy(b[:], got)
						got = binary.LittleEndian.AppendUint64(nil, binary.LittleEndian.Uint64(b[:])+uint64(q.ref.Addend()))
					}
				}
				if m.wild {
					wild++
					continue
				}
				values++
				if want == nil {
					absent++
				}
				if string(got) != string(want) || (got == nil) != (want == nil) {
					t.Fatalf("seed %d event %d %s: %s = %x (absent: %t), want %x (absent: %t)\n%v", seed, n, arch, q.operand.text, got, got == nil, want, want == nil, plan.Args)
				}
			}
		}
	}
	t.Logf("%d plans, %d values, %d of them absent, %d through wild pointers", plans, values, absent, wild)
	if plans < rounds/2 || wild > values/20 || absent < values/20 || absent > values/2 {
		t.Error("the test does not try what it should")
	}
}

// ask makes a random expression and asks the planner for it.
func (m *model) ask(target *Target, planner *Planner, isReturn bool) (question, error) {
	o := m.start(isReturn)
	for range m.rand.IntN(9) {
		o = m.grow(o)
	}
	e, err := Parse(o.text)
	if err != nil {
		return question{}, err
	}
	ref, err := target.Resolve(e)
	if err != nil {
		return question{}, fmt.Errorf("%s: %w", o.text, err)
	}
	q := question{operand: o, ref: ref, size: ref.Size()}
	isText := o.typ.Kind == Pointer && o.typ.Elem() == charType || o.lvalue && o.typ.Kind == Array && o.typ.Elem() == charType
	switch k := m.rand.IntN(4); {
	case isText && k < 2:
		q.text = true
		q.slot, err = planner.Text(ref, k == 0)
		return q, err
	case k == 2 && (q.size == 1 || q.size == 2 || q.size == 4 || q.size == 8) && ref.Addend() == 0 && ref.Type.Kind != Array:
		q.scalar, err = planner.Scalar("filter", ref, 0, ref.Type.Signed)
		return q, err
	case k == 3 && o.lvalue && o.bitSize == 0:
		q.size = 1 + m.rand.IntN(40)
	case q.size > 512:
		q.size = 512
	}
	q.slot, err = planner.Value(ref, q.size)
	return q, err
}
