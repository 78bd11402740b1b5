package ktype

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// locals returns the parameters and variables in scope at an address, the
// innermost of each name. Lines at which one is alive count from first.
func (i *instance) locals(pc uint64, first int) ([]fetchargs.Local, error) {
	scopes, err := i.scopes(pc)
	if err != nil {
		return nil, err
	}
	var all []fetchargs.Local
	have := map[string]bool{}
	for _, scope := range slices.Backward(scopes) {
		vars, err := i.variables(scope)
		if err != nil {
			return nil, err
		}
		var here []fetchargs.Local
		for _, v := range vars {
			l, err := i.local(v, pc, first)
			if err != nil {
				return nil, err
			}
			if l.Name != "" && !have[l.Name] {
				have[l.Name] = true
				here = append(here, l)
			}
		}
		all = append(here, all...)
	}
	return all, nil
}

// variables returns the entries of variables of a scope, and those of what the
// copy comes from that the copy has nothing of.
func (i *instance) variables(scope die) ([]die, error) {
	var vars []die
	origins := map[uint32]bool{}
	collect := func(d die) error {
		for c, err := range d.children() {
			if err != nil {
				return err
			}
			if c.ab.tag != dwarf.TagFormalParameter && c.ab.tag != dwarf.TagVariable || c.flag(dwarf.AttrDeclaration) {
				continue
			}
			at, err := c.origin()
			if err != nil {
				return err
			}
			if !origins[at.off] {
				origins[at.off] = true
				vars = append(vars, c)
			}
		}
		return nil
	}
	err := collect(scope)
	if from, ok, rerr := scope.ref(dwarf.AttrAbstractOrigin); err == nil && rerr == nil && ok {
		err = collect(from)
	}
	return vars, err
}

// local says where a variable is at an address.
func (i *instance) local(v die, pc uint64, first int) (fetchargs.Local, error) {
	named, err := v.origin()
	if err != nil {
		return fetchargs.Local{}, err
	}
	l := fetchargs.Local{Name: named.name()}
	if l.Type, err = v.typeOf(0); err != nil {
		return l, err
	}
	at, err := i.value(v, pc)
	var why *dwarfloc.UnknownError
	switch {
	case errors.As(err, &why):
		l.Why = why.Msg
		if why == dwarfloc.OptimisedOut {
			l.Why += i.alive(v, first)
		}
		return l, nil
	case err != nil:
		return l, i.unit.fault("the location of %s, entry %#x: %v", l.Name, v.off, err)
	}
	i.place(&l, at, pc)
	return l, nil
}

// value finds where a variable is.
func (i *instance) value(v die, pc uint64) (dwarfloc.Value, error) {
	if n, ok := v.inheritedAttr(dwarf.AttrConstValue); ok {
		if n.isConst() {
			return dwarfloc.Value{Add: int64(n.num), Bits: 64}, nil
		}
		if len(n.bytes) <= 8 && len(n.bytes) > 0 {
			c := cursor{data: n.bytes}
			return dwarfloc.Value{Add: int64(c.uint(len(n.bytes))), Bits: 64}, nil
		}
		return dwarfloc.Value{}, &dwarfloc.UnknownError{Msg: "a constant that is no number"}
	}
	loc, ok := v.inheritedAttr(dwarf.AttrLocation)
	if !ok {
		return dwarfloc.Value{}, dwarfloc.OptimisedOut
	}
	expr := loc.bytes
	if expr == nil {
		list, err := i.unit.locations(loc)
		if err != nil {
			return dwarfloc.Value{}, err
		}
		expr = dwarfloc.At(list, pc)
	}
	return dwarfloc.Eval(expr, i.context(pc))
}

// inheritedAttr is an attribute of the entry, or of what it is a copy of.
func (d die) inheritedAttr(attr dwarf.Attr) (dieValue, bool) {
	for range maxDepth {
		if v, ok := d.attr(attr); ok {
			return v, true
		}
		to, ok, err := d.ref(dwarf.AttrAbstractOrigin)
		if err != nil || !ok {
			break
		}
		d = to
	}
	return dieValue{}, false
}

func (u *codeUnit) locations(v dieValue) ([]dwarfloc.ListEntry, error) {
	l, off, err := u.lists(v, u.code.loc, u.code.loclists, dwarf.AttrLoclistsBase)
	if err != nil {
		return nil, err
	}
	return l.Locations(off)
}

// context is what expressions may ask for at an address.
func (i *instance) context(pc uint64) dwarfloc.Context {
	u := i.unit
	ctx := dwarfloc.Context{
		CFA: func() (dwarfloc.Value, error) {
			if u.code.frames == nil {
				return dwarfloc.Value{}, &dwarfloc.UnknownError{Msg: "in the frame, of which the file says nothing"}
			}
			return u.code.frames.CFA(pc)
		},
		Addr: u.addrAt,
		TypeSize: func(off uint64) int {
			d, err := u.in.entryAt(u.off+uint32(off), u.dwarfUnit)
			if err != nil {
				return 0
			}
			return d.size()
		},
	}
	ctx.FrameBase = func() (dwarfloc.Value, error) {
		v, ok := i.outer().fn.attr(dwarf.AttrFrameBase)
		if !ok {
			return dwarfloc.Value{}, &dwarfloc.UnknownError{Msg: "in the frame, of which the file says nothing"}
		}
		expr := v.bytes
		if expr == nil {
			list, err := u.locations(v)
			if err != nil {
				return dwarfloc.Value{}, err
			}
			expr = dwarfloc.At(list, pc)
		}
		base, err := dwarfloc.Eval(expr, dwarfloc.Context{CFA: ctx.CFA, Addr: ctx.Addr})
		base.Memory = false // it is an address already
		return base, err
	}
	return ctx
}

// registers are the names of registers by their DWARF numbers (System V ABI for
// AMD64, figure 3.36; DWARF for the Arm 64-bit Architecture, section 4.1).
var registers = map[elf.Machine]string{
	elf.EM_X86_64:  "ax dx cx bx si di bp sp r8 r9 r10 r11 r12 r13 r14 r15",
	elf.EM_AARCH64: "x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 x30 sp",
}

// place writes a value in the words of fetch-args.
func (i *instance) place(l *fetchargs.Local, v dwarfloc.Value, pc uint64) {
	l.Memory, l.Offset = v.Memory, v.Add
	for _, off := range v.Loads {
		l.Loads = append(l.Loads, fetchargs.Load{Offset: off})
	}
	if !v.Memory && v.Bits < 8*min(8, l.Type.Size) {
		l.Why = "computed"
		return
	}
	switch v.From {
	case dwarfloc.Constant:
		l.Base, l.Offset = fetchargs.Base{Kind: fetchargs.Immediate, Num: v.Add}, 0
	case dwarfloc.Address:
		i.symbol(l)
	default:
		names := strings.Fields(registers[i.unit.in.elf.Machine])
		if v.Reg >= len(names) {
			l.Why = fmt.Sprintf("in register %d, which probes cannot read", v.Reg)
			return
		}
		l.Base = fetchargs.Base{Kind: fetchargs.Register, Name: names[v.Reg]}
		outer := i.outer()
		if l.AtEntry = v.From == dwarfloc.AtEntry && pc != outer.start(); l.AtEntry && (v.Memory || len(v.Loads) > 0) {
			l.Why = fmt.Sprintf("not kept: it is in memory now, at what %%%s was when %s was entered", names[v.Reg], outer.name())
		}
	}
}

// symbol finds the symbol of an address, because a kernel is moved when it boots.
func (i *instance) symbol(l *fetchargs.Local) {
	at := &l.Offset
	if len(l.Loads) > 0 {
		at = &l.Loads[0].Offset
	}
	s, ok := symbolAt(i.unit.code.objects, uint64(*at), l.Name)
	if !ok || s.several {
		l.Why = "a variable without a symbol of its own"
		return
	}
	l.Base = fetchargs.Base{Kind: fetchargs.Symbol, Name: s.name}
	*at -= int64(s.addr)
}

// alive says at which lines a variable has a place.
func (i *instance) alive(v die, first int) string {
	loc, ok := v.inheritedAttr(dwarf.AttrLocation)
	if !ok || loc.bytes != nil {
		return ""
	}
	list, err := i.unit.locations(loc)
	rows, _, lerr := i.unit.table()
	file, start, derr := i.declared()
	if err != nil || lerr != nil || derr != nil {
		return ""
	}
	var lines []int
	end := i.unit.end(file, start)
	for _, r := range rows {
		if r.Stmt && !r.End && r.File == file && r.Line >= start && r.Line < end && within(i.ranges, r.Addr) && len(dwarfloc.At(list, r.Addr)) > 0 {
			lines = append(lines, r.Line-first)
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if len(lines) == 0 {
		return ""
	}
	return "; alive at lines " + spans(lines)
}

func (i *instance) declared() (string, int, error) {
	d, err := i.fn.origin()
	if err != nil {
		return "", 0, err
	}
	u, err := i.unit.in.codeUnit(d.u.off)
	if err != nil {
		return "", 0, err
	}
	return u.declared(d)
}

// spans writes sorted numbers as "3, 5–9, 12".
func spans(n []int) string {
	const most = 6
	var b strings.Builder
	for count := 0; len(n) > 0; count++ {
		k := 1
		for k < len(n) && n[k] <= n[k-1]+1 {
			k++
		}
		switch {
		case count == most:
			b.WriteString(", …")
			return b.String()
		case count > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n[0])
		if k > 1 {
			fmt.Fprintf(&b, "–%d", n[k-1])
		}
		n = n[k:]
	}
	return b.String()
}
