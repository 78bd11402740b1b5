package fetchargs

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// A Plan is the fetch-args of one probe, and where each value lies in them.
type Plan struct {
	Args   []Arg
	places []place
	chains []chain
}

// A place is where a slot's bytes are.
type place struct {
	chain  int
	arg    int // index of the argument in which the value begins
	off    int // bytes from its start
	size   int
	str    bool
	rest   bool
	source Ref
	fixed  []byte // the value itself, where it is a constant
}

// Build arranges what was asked for. The error wraps [ErrLimit] where no
// kernel would take it.
func (p *Planner) Build() (*Plan, error) {
	plan := &Plan{places: make([]place, len(p.reads)), chains: p.chains}
	for _, s := range p.scalars {
		a := s.ref.arg(s.typ)
		a.Name = s.name
		plan.Args = append(plan.Args, a)
	}
	var memory []int
	for i, r := range p.reads {
		if r.ref.isRecorded() {
			plan.places[i] = r.place()
			continue
		}
		if r.ref.isFixed() {
			plan.places[i] = place{size: r.size, source: r.ref, fixed: binary.LittleEndian.AppendUint64(nil, uint64(r.ref.base.Num))[:r.size]}
			continue
		}
		if r.ref.lvalue && !r.str || p.isLoad(r) {
			memory = append(memory, i)
			continue
		}
		plan.places[i] = place{chain: r.chain, arg: plan.single(p, r), size: r.size, str: r.str, source: r.ref}
	}
	p.merge(plan, memory)
	if err := Check(plan.Args); err != nil {
		return nil, err
	}
	return plan, nil
}

// isLoad reports whether r is a value that was loaded from memory as the last
// step of following pointers: sk->sk_socket, as a number.
func (p *Planner) isLoad(r read) bool {
	return !r.ref.lvalue && !r.str && len(r.ref.loads) > 0
}

// asMemory sees a loaded value as the bytes in memory that it is.
func asMemory(r read) read {
	if !r.ref.lvalue {
		last := len(r.ref.loads) - 1
		r.ref.off, r.ref.loads, r.ref.lvalue = r.ref.loads[last].Offset, r.ref.loads[:last:last], true
	}
	return r
}

// single fetches r by itself: a register, a return value, a text.
func (plan *Plan) single(p *Planner, r read) int {
	var a Arg
	switch {
	case r.ustr:
		a = r.ref.arg(ArgType{Name: "ustring"})
	case r.str:
		a = r.ref.arg(ArgType{Name: "string"})
	default:
		r.ref.off = 0 // a constant to add is added in user space
		a = r.ref.arg(p.number(wordSize(r.size), false))
	}
	return plan.arg(a)
}

// wordSize is the smallest size of an integer that holds n bytes.
func wordSize(n int) int {
	for _, size := range []int{1, 2, 4} {
		if n <= size {
			return size
		}
	}
	return 8
}

// arg adds an argument, or finds the one that fetches the same.
func (plan *Plan) arg(a Arg) int {
	if i := slices.IndexFunc(plan.Args, a.sameBytes); i >= 0 {
		return i
	}
	return plan.add(a)
}

// add adds an argument under a name that no other has: those of scalars are
// chosen by others.
func (plan *Plan) add(a Arg) int {
	for n := len(plan.Args); ; n++ {
		a.Name = fmt.Sprintf("a%d", n)
		if !slices.ContainsFunc(plan.Args, func(have Arg) bool { return have.Name == a.Name }) {
			break
		}
	}
	plan.Args = append(plan.Args, a)
	return len(plan.Args) - 1
}

// sameBytes reports whether b puts the same bytes into a record.
func (a Arg) sameBytes(b Arg) bool {
	isNumber := func(t ArgType) bool { return strings.ContainsAny(t.Name[:1], "usx") && !t.IsString() }
	return a.Base == b.Base && slices.Equal(a.Loads, b.Loads) && a.Type.Size() == b.Type.Size() && a.Type.Count == b.Type.Count &&
		(a.Type == b.Type || isNumber(a.Type) && isNumber(b.Type))
}

// An item is a read of memory that waits for its argument.
type item struct {
	read
	slot int
}

// merge fetches the reads of memory, neighbours together where that is cheaper.
func (p *Planner) merge(plan *Plan, index []int) {
	var items []item
	for _, i := range index {
		items = append(items, item{asMemory(p.reads[i]), i})
	}
	slices.SortStableFunc(items, func(a, b item) int { return byPlace(a.read, b.read) })
	for len(items) > 0 {
		group := 1
		for group < len(items) && items[group].group() == items[0].group() {
			group++
		}
		for _, part := range p.split(plan, items[:group]) {
			start, size := extent(part)
			first := p.span(plan, part[0].ref, start, size)
			for _, it := range part {
				plan.places[it.slot] = place{chain: it.chain, arg: first, off: int(it.ref.off - start), size: it.size, source: it.ref}
			}
		}
		items = items[group:]
	}
}

// span fetches size bytes of memory and returns the first argument; on kernels
// without arrays the following ones continue it.
func (p *Planner) span(plan *Plan, ref Ref, start int64, size int) int {
	if size <= 8 {
		return plan.arg(ref.at(start).arg(p.number(wordSize(size), false)))
	}
	word := p.number(8, false)
	words := (size + 7) / 8
	if p.dialect.Arrays {
		word.Count = words
		return plan.arg(ref.at(start).arg(word))
	}
	// The words must lie side by side in the record, so none of them may be
	// shared with an earlier argument.
	first := len(plan.Args)
	for i := range words {
		plan.add(ref.at(start + int64(8*i)).arg(word))
	}
	return first
}

// A SlotInfo describes one value of a plan, for people.
type SlotInfo struct {
	Expr string // the field's expression
	Arg  Arg    // the argument in which the value begins
	Off  int    // bytes from the start of that argument
	Size int    // bytes, 0 for text
	// Offsets are those of the members passed on the way, in bytes.
	Offsets []int64
}

// Info describes a slot.
func (plan *Plan) Info(s Slot) SlotInfo {
	pl := plan.places[s]
	if pl.arg == recorded || pl.fixed != nil {
		return SlotInfo{Expr: pl.source.Expr, Arg: Arg{Base: pl.source.base}, Off: pl.off, Size: pl.size}
	}
	info := SlotInfo{Expr: pl.source.Expr, Arg: plan.Args[pl.arg], Off: pl.off, Size: pl.size}
	for _, l := range pl.source.loads {
		info.Offsets = append(info.Offsets, l.Offset)
	}
	if pl.source.lvalue {
		info.Offsets = append(info.Offsets, pl.source.off)
	}
	return info
}
