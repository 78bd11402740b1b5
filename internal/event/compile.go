package event

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Compiled is one probe of a program: what is to be defined in the kernel,
// and how its records are decoded. A probe with $retval and values from the
// function's entry has two halves, which are paired by thread.
type Compiled struct {
	Event   string
	Symbol  string // function, with its module where it has one
	Offset  uint64
	Softirq bool
	Entry   *Half // nil for a return probe that needs no entry
	Return  *Half // nil for an entry probe

	fields  []*boundField
	byName  map[string]target
	only    boundCase
	assured map[string]int64 // expressions that Only fixes to a number
	types   fetchargs.Types
	dialect fetchargs.Dialect
	pairs   pairs
}

// A Half is one definition in the kernel.
type Half struct {
	Filter string // the kernel's event filter, "" for none
	Plan   *fetchargs.Plan

	target  fetchargs.Target
	planner *fetchargs.Planner
	layout  *fetchargs.Layout
}

// A boundField is a field resolved for this kernel.
type boundField struct {
	field *Field
	kind  *Kind
	half  *Half
	slots []fetchargs.Slot // parallel to kind.Reads; -1: not on this kernel
	out   []int            // parallel to the parts; where the value goes, -1: nowhere
	cases []boundCase

	addend           int64
	bitOff, bitWidth int
	in               [][]byte
	parts            []Value
}

// target is where a column's value comes from, for comparisons.
type target struct {
	field *boundField
	part  int
}

func (p *Program) compile(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	symbol, err := k.Choose(pr.Funcs)
	if err != nil {
		return nil, err
	}
	c := &Compiled{Event: src.Name, Symbol: symbol, Offset: pr.Offset, Softirq: src.Softirq,
		types: k.Types, dialect: k.Dialect, byName: map[string]target{}, assured: map[string]int64{}}
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect}
	if proto, err := k.Types.FuncNamed(symbol); err == nil {
		t.Func = proto
	} else if !errors.Is(err, fetchargs.ErrNoType) {
		return nil, err
	}
	if pr.Offset != 0 {
		t.NoParams = fmt.Sprintf("at %s+%d they may have moved; name registers, for example %%%s", symbol, pr.Offset, exampleRegister(k.Arch))
	} else if _, suffix, ok := strings.Cut(symbol, "."); ok {
		t.NoParams = fmt.Sprintf("the compiler made .%s of the function and may have moved them; name registers, for example %%%s", suffix, exampleRegister(k.Arch))
	}
	entry := &Half{target: t, planner: fetchargs.NewPlanner(k.Dialect)}
	if pr.Return {
		t.Return = true
		c.Return = &Half{target: t, planner: fetchargs.NewPlanner(k.Dialect)}
		if !c.Return.suffices(pr.Fields) {
			c.Entry = entry
		}
	} else {
		c.Entry = entry
	}
	for i := range pr.Fields {
		f := &pr.Fields[i]
		if f.OnRequest && !slices.Contains(p.requested, f.Name) {
			continue
		}
		err := p.bind(c, f, k)
		if err != nil && f.Optional && isMissing(err) {
			continue
		}
		if err != nil {
			return nil, &FieldError{symbol, cmp.Or(f.Expr, f.Name), err}
		}
	}
	for _, cond := range pr.Only {
		to, ok := c.byName[cond.Field]
		if !ok {
			return nil, fmt.Errorf("%s: condition on %s, which is no field", symbol, cond.Field)
		}
		c.only.conds = append(c.only.conds, boundCond{to.field.out[to.part], cond.Op, cond.Num})
		if expr, _ := to.expr(); cond.Op == Equals && expr != "" {
			c.assured[expr] = cond.Num
		}
	}
	return c, nil
}

func exampleRegister(a fetchargs.Arch) string {
	if b, err := a.Param(0); err == nil {
		return b.Name
	}
	return "…"
}

// suffices tells whether a return probe alone can have all fields with the
// values that they had at entry: parameters themselves, from 6.9 on.
func (h *Half) suffices(fields []Field) bool {
	for i := range fields {
		if fields[i].Expr == "" {
			continue
		}
		ref, err := h.resolve(fields[i].Expr)
		if err != nil || !ref.IsPlain() || fields[i].Kind != nil && len(fields[i].Kind.Parts) > 0 {
			return false
		}
	}
	return true
}

func (h *Half) resolve(text string) (fetchargs.Ref, error) {
	e, err := fetchargs.Parse(text)
	if err != nil {
		return fetchargs.Ref{}, err
	}
	return h.target.Resolve(e)
}

// half chooses where a field is read: at entry if it can be, so that return
// probes show what the function was called with.
func (c *Compiled) half(expr string) (*Half, fetchargs.Ref, error) {
	var entryErr error
	if c.Entry != nil {
		ref, err := c.Entry.resolve(expr)
		if err == nil || c.Return == nil {
			return c.Entry, ref, err
		}
		entryErr = err
	}
	ref, err := c.Return.resolve(expr)
	if err != nil && entryErr != nil && !strings.Contains(expr, "$retval") {
		err = entryErr
	}
	return c.Return, ref, err
}

func (p *Program) bind(c *Compiled, f *Field, k Kernel) error {
	if len(f.Cases) > 0 {
		return p.bindCases(c, f)
	}
	half, ref, err := c.half(f.Expr)
	if err != nil {
		return err
	}
	kind := f.Kind
	switch {
	case kind != nil:
	case f.KindName != "":
		kind, err = kindNamed(f.KindName, ref.Type, k.Symbol)
	default:
		kind, err = kindOf(ref.Type, k.Symbol)
	}
	if err != nil {
		return err
	}
	b := &boundField{field: f, kind: kind, half: half, in: make([][]byte, len(kind.Reads)), parts: make([]Value, max(1, len(kind.Parts)))}
	for i := range kind.Reads {
		slot, err := b.fetch(&kind.Reads[i], ref)
		if err != nil {
			return err
		}
		b.slots = append(b.slots, slot)
	}
	if len(kind.Parts) == 0 {
		b.addend = ref.Addend()
		b.bitOff, b.bitWidth = ref.Bits()
	}
	c.fields = append(c.fields, b)
	return p.columns(c, b)
}

// fetch asks for one read of the field's kind.
func (b *boundField) fetch(r *Read, ref fetchargs.Ref) (fetchargs.Slot, error) {
	if r.Expr != "$" {
		var err error
		ref, err = b.half.resolve(substitute(r.Expr, b.field.Expr))
		if err != nil && r.Optional && isMissing(err) {
			return -1, nil
		}
		if err != nil {
			return 0, fmt.Errorf("as a %s: %w", b.kind.Name, err)
		}
	}
	if r.String {
		return b.half.planner.Text(ref, r.User)
	}
	if r.Follow {
		ref = ref.Target()
	}
	return b.half.planner.Value(ref, r.Size)
}

// columns gives the values of a field their names.
func (p *Program) columns(c *Compiled, b *boundField) error {
	f := b.field
	if len(b.kind.Parts) == 0 {
		name := cmp.Or(f.Name, columnName(f.Expr))
		return p.column(c, b, 0, Column{Name: name, Help: cmp.Or(f.Help, f.Expr), Kind: b.kind, Wide: f.Wide}, f.Hidden)
	}
	for i := range b.kind.Parts {
		part := &b.kind.Parts[i]
		name, help := f.pick(part)
		if name == "" {
			b.out = append(b.out, -1)
			continue
		}
		prefix := f.Name
		if _, taken := c.byName[name]; prefix == "" && taken {
			prefix = columnName(f.Expr)
		}
		if prefix != "" {
			name = prefix + "_" + name
		}
		if err := p.column(c, b, i, Column{Name: name, Help: help, Kind: part.Kind, Wide: part.Wide || f.Wide}, f.Hidden); err != nil {
			return err
		}
	}
	return nil
}

// commonNames are the columns that every event has.
var commonNames = []string{"time", "event", "cpu", "pid", "tid", "comm", "stack"}

func (p *Program) column(c *Compiled, b *boundField, part int, col Column, hidden bool) error {
	for _, name := range commonNames {
		if col.Name == name {
			return fmt.Errorf("the column %s is every event's own; give the field a name: NAME=…", name)
		}
	}
	if _, taken := c.byName[col.Name]; taken {
		return fmt.Errorf("two fields are called %s; give one of them a name: NAME=…", col.Name)
	}
	i, err := p.index(col, hidden)
	if err != nil {
		return err
	}
	b.out = append(b.out, i)
	c.byName[col.Name] = target{b, part}
	return nil
}
