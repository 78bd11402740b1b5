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
	// Hidden: its events are not shown.
	Hidden bool
	// Ends: its socket is gone after the event.
	Ends bool
	// Tracepoint: Symbol is a static event, "group:event". There is nothing
	// to define, unless it has an EventProbe.
	Tracepoint bool
	// EventProbe: an event probe on the static event fetches all fields.
	EventProbe bool
	Entry      *Half // nil for a return probe that needs no entry
	Return     *Half // nil for an entry probe

	fields []*boundField
	steps  *steps // what there is to do for records like the last
	plans  map[pointers]*steps
	event  *Event // into which all of them decode
	byName map[string]target
	socket int // of [Source.Socket], -1 for none
	// computed fields are not decoded, only cleared for the tool's Reduce.
	computed []*boundField
	keys     []string // all that the kernel may filter by, nil for no limit
	only     boundCase
	tests    []test           // only, of the event
	assured  map[string]int64 // values that Only fixes to a number, by how they are fetched
	types    fetchargs.Types
	dialect  fetchargs.Dialect
	pairs    pairs
}

// A Half is one definition in the kernel.
type Half struct {
	Filter string // the kernel's event filter, "" for none
	Plan   *fetchargs.Plan

	target  fetchargs.Target
	planner *fetchargs.Planner
	layout  *fetchargs.Layout

	record  []byte // that is decoded
	present uint64 // its pointers
}

// target is where a column's value comes from, for comparisons.
type target struct {
	field *boundField
	part  int
}

func (p *Program) compile(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	if pr.Tracepoint == "" {
		return p.compileAs(src, pr, k, p.compileFunc)
	}
	columns, missing := len(p.cols), len(p.Missing)
	c, err := p.compileAs(src, pr, k, p.compileTracepoint)
	if errors.Is(err, fetchargs.ErrFollows) {
		p.forget(columns)
		p.Missing = p.Missing[:missing]
		c, err = p.compileAs(src, pr, k, p.compileEventProbe)
	}
	return c, err
}

// compileAs compiles a probe of the sort that begin makes.
func (p *Program) compileAs(src *Source, pr *Probe, k Kernel, begin func(*Source, *Probe, Kernel) (*Compiled, error)) (*Compiled, error) {
	for _, name := range pr.Types {
		if _, err := k.Types.TypeNamed(name); err != nil {
			return nil, err
		}
	}
	c, err := begin(src, pr, k)
	if err != nil {
		return nil, err
	}
	symbol := c.Symbol
	for i := range pr.Fields {
		f := &pr.Fields[i]
		if !p.wants(f) {
			continue
		}
		err := p.bind(c, f, k)
		if err == nil {
			continue
		}
		err = &FieldError{symbol, cmp.Or(f.Expr, f.Name), err}
		switch {
		case !isMissing(err) || p.exact && !f.Optional:
			return nil, err
		case !f.Optional:
			p.Missing = append(p.Missing, err)
		}
	}
	if len(c.byName) == 0 && len(p.Missing) > 0 {
		return nil, p.Missing[len(p.Missing)-1]
	}
	if to, ok := c.byName[src.Socket]; ok {
		c.socket = to.field.out[to.part]
	}
	for _, cond := range pr.Only {
		to, ok := c.byName[cond.Field]
		if !ok {
			return nil, fmt.Errorf("%s: %w: %s, without which its events cannot be told", symbol, fetchargs.ErrNoMember, cond.Field)
		}
		c.only.conds = append(c.only.conds, to.bind(cond))
		if expr, when := to.expr(); cond.Op == Equals && expr != "" && when == nil {
			if ref, err := c.first().resolve(expr); err == nil {
				c.assured[ref.String()] = cond.Num
			}
		}
	}
	return c, nil
}

// compileFunc begins a probe on a function.
func (p *Program) compileFunc(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	symbol, err := k.Choose(pr.Funcs)
	if err != nil {
		return nil, err
	}
	c := newCompiled(src, symbol, k)
	c.Offset = pr.Offset
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect, NonNull: pr.NonNull}
	if proto, err := k.Types.FuncNamed(symbol); err == nil {
		t.Func = proto
	} else if !errors.Is(err, fetchargs.ErrNoType) {
		return nil, err
	}
	if t.Inside = pr.Offset != 0; t.Inside {
		t.NoParams = fmt.Sprintf("at %s+%d they may have moved; name registers, for example %%%s", symbol, pr.Offset, exampleRegister(k.Arch))
	} else if _, suffix, ok := strings.Cut(symbol, "."); ok {
		t.NoParams = fmt.Sprintf("the compiler made .%s of the function and may have moved them; name registers, for example %%%s", suffix, exampleRegister(k.Arch))
	}
	entry := &Half{target: t, planner: fetchargs.NewPlanner(k.Dialect)}
	if !pr.Return {
		c.Entry = entry
		return c, nil
	}
	t.Return = true
	c.Return = &Half{target: t, planner: fetchargs.NewPlanner(k.Dialect)}
	if !c.Return.suffices(p, pr.Fields, k) {
		c.Entry = entry
	}
	return c, nil
}

// isAssured tells whether Only makes sure of a condition.
func (c *Compiled) isAssured(w *When) bool {
	ref, err := c.first().resolve(w.Expr)
	if err != nil {
		return false
	}
	n, ok := c.assured[ref.String()]
	return ok && n == w.Value
}

func exampleRegister(a fetchargs.Arch) string {
	if b, err := a.Param(0); err == nil {
		return b.Name
	}
	return "…"
}

// suffices tells whether a return probe alone can have all fields as they are
// meant: what belongs to the return, and, from 6.9 on, parameters themselves,
// with the values that they had at entry. Memory may have changed since.
func (h *Half) suffices(p *Program, fields []Field, k Kernel) bool {
	for i := range fields {
		f := &fields[i]
		if f.Expr == "" || !p.wants(f) {
			continue
		}
		ref, err := h.resolve(f.Expr)
		if err != nil {
			return false
		}
		kind, err := f.kindFor(ref, k.Symbol)
		if err != nil || !ref.AtReturn() && (!ref.IsPlain() || kind.readsMemory(ref)) {
			return false
		}
	}
	return true
}

// wants tells whether a field is to be fetched in this run.
func (p *Program) wants(f *Field) bool { return !f.OnRequest || slices.Contains(p.requested, f.Name) }

func (h *Half) resolve(text string) (fetchargs.Ref, error) {
	e, err := fetchargs.Parse(text)
	if err != nil {
		return fetchargs.Ref{}, err
	}
	return h.target.Resolve(e)
}

// half chooses where a field is read: what starts at $retval, a register or the
// stack when the function returns, everything else at entry if it can be, so
// that return probes show what the function was called with.
func (c *Compiled) half(expr string) (*Half, fetchargs.Ref, error) {
	if c.Return == nil {
		ref, err := c.Entry.resolve(expr)
		return c.Entry, ref, err
	}
	ref, err := c.Return.resolve(expr)
	if c.Entry == nil || err == nil && ref.AtReturn() {
		return c.Return, ref, err
	}
	atEntry, entryErr := c.Entry.resolve(expr)
	switch {
	case entryErr == nil:
		return c.Entry, atEntry, nil
	case err != nil && !strings.Contains(expr, "$retval"):
		err = entryErr
	}
	return c.Return, ref, err
}

func (p *Program) bind(c *Compiled, f *Field, k Kernel) error {
	switch {
	case f.Computed:
		b := &boundField{field: f, kind: f.Kind}
		c.computed = append(c.computed, b)
		return p.column(c, b, 0, Column{Name: f.Name, Help: f.Help, Kind: f.Kind, Wide: f.Wide}, false)
	case len(f.Cases) > 0:
		return p.bindCases(c, f)
	}
	half, ref, err := c.half(f.Expr)
	if err != nil {
		return err
	}
	kind, err := f.kindFor(ref, k.Symbol)
	if err != nil {
		return err
	}
	if err := kind.fits(ref); err != nil {
		return err
	}
	b := &boundField{field: f, kind: kind, half: half, in: make([][]byte, len(kind.Reads))}
	for i := range kind.Reads {
		slot, err := b.fetch(&kind.Reads[i], ref)
		if err != nil && !p.exact && isMissing(err) && kind.loses(&kind.Reads[i]) {
			p.Missing = append(p.Missing, &FieldError{c.Symbol, f.Expr, err})
			b.lost = append(b.lost, kind.Reads[i].Expr)
			slot, err = -1, nil
		}
		if err != nil {
			return err
		}
		b.slots = append(b.slots, slot)
	}
	if len(kind.Parts) == 0 {
		if kind.isNumber() { // others are read at the place that the sum is
			b.addend = ref.Addend()
		}
		b.bitOff, b.bitWidth = ref.Bits()
		b.signed = ref.Type.Signed
		if b.bitWidth != 0 {
			b.signed = kind.signed(ref.Type)
		}
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
	prefix := f.Name
	for i := range b.kind.Parts {
		if name, _ := f.pick(&b.kind.Parts[i]); prefix == "" && c.byName[name].field != nil {
			prefix = columnName(f.Expr) // for all of them, so that they stay together
		}
	}
	for i := range b.kind.Parts {
		part := &b.kind.Parts[i]
		name, help := f.pick(part)
		if name == "" || slices.Contains(b.lost, part.Expr) {
			b.out = append(b.out, -1)
			continue
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
