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
// function's entry has two halves, which are paired by thread, and a third for
// what a function within has. One inside of a function has three where values
// are from the function's entry: that, the place, and the function's return.
type Compiled struct {
	Event   string
	Of      string // see Source.Of
	Symbol  string // function, with its module where it has one
	Softirq bool
	// Hidden: its events are not shown.
	Hidden bool
	// Optional: the tool does without where the kernel has not the function.
	Optional bool
	// Ends: its socket is gone after the event.
	Ends      bool
	ifUnknown bool // see [Source.IfUnknown]
	// Tracepoint: Symbol is a static event, "group:event". There is nothing
	// to define, unless it has an EventProbe.
	Tracepoint bool
	// User is where in a file a function of a program or library is, nil for
	// places in the kernel.
	User *UserFunc
	// EventProbe: an event probe on the static event fetches all fields.
	EventProbe bool
	Entry      *Half // nil for a return probe that needs no entry
	Inner      *Half // see Probe.Inner
	Return     *Half // nil for an entry probe
	// Called is where the function is entered inside of which Entry is, for what
	// it was called with, and Left where it returns, which ends that. nil where no
	// field needs them.
	Called, Left *Half

	fields []*boundField
	steps  *steps // what there is to do for records like the last
	plans  map[pointers]*steps
	event  *Event // into which all of them decode
	byName map[string]target
	socket int // of [Source.Socket], -1 for none
	// computed fields are not decoded, only cleared for the tool's Reduce.
	computed []*boundField
	elapsed  []*boundField // set to the time between entry and return
	reduced  map[int]bool  // hidden fields that the tool's Reduce looks at
	keys     []string      // all that the kernel may filter by, nil for no limit
	only     boundCase
	rare     string           // what of it the kernel checks
	tests    []test           // only, of the event
	assured  map[string]int64 // values that Only fixes to a number, by how they are fetched
	types    fetchargs.Types
	dialect  fetchargs.Dialect
	pairs    pairs
	places   places // nil where it is one function alone

	dirty   uint64 // windows in which the loaded record differs from the one before
	changed uint64 // see Event.Changed: for the loaded record
	holds   bool   // tests, for the loaded record
}

// A Half is one definition in the kernel.
type Half struct {
	Symbol string // as that of its Compiled; the inner half has another
	Offset uint64 // bytes from Symbol
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
	switch {
	case pr.File != "":
		return p.compileAs(src, pr, k, p.compileUser)
	case pr.Spot != nil:
		return p.compileAs(src, pr, k, p.compileSpot)
	case pr.Source != nil:
		return nil, fmt.Errorf("%s: where its code is is not known here", src.Name)
	case pr.Tracepoint == "":
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
	for _, name := range pr.Needs {
		if err := k.lacks(name); err != nil {
			return nil, err
		}
	}
	for _, name := range pr.Without {
		if k.lacks(name) == nil {
			return nil, fmt.Errorf("%s: not needed, because there is %s", strings.Join(pr.Funcs, ", "), name)
		}
	}
	c, err := begin(src, pr, k)
	if err != nil {
		return nil, err
	}
	c.Optional = pr.Optional
	if pr.Inner != nil {
		if err := p.bindInner(c, pr.Inner, k); err != nil {
			return nil, err
		}
	}
	fields := pr.Fields
	if pr.All {
		fields = c.recordedFields()
	}
	if err := p.bindAll(c, nil, fields, k); err != nil {
		return nil, err
	}
	if c.Called != nil && len(c.FromEntry()) == 0 {
		c.Called, c.Left = nil, nil
	}
	if len(c.byName) == len(c.computed) && len(p.Missing) > 0 {
		return nil, p.Missing[len(p.Missing)-1]
	}
	if to, ok := c.byName[src.Socket]; ok {
		c.socket = to.field.out[to.part]
	}
	for _, cond := range slices.Concat(pr.Only, pr.Rare) {
		to, ok := c.byName[cond.Field]
		if !ok {
			return nil, fmt.Errorf("%s: %w: %s, without which its events cannot be told", c.Symbol, fetchargs.ErrNoMember, cond.Field)
		}
		c.only.conds = append(c.only.conds, to.bind(cond))
		if expr, when := to.expr(); cond.Op == Equals && expr != "" && when == nil {
			if ref, err := c.first().resolve(expr); err == nil {
				c.assured[ref.String()] = cond.Num
			}
		}
	}
	c.rare = c.rarely(pr.Rare)
	return c, nil
}

// compileFunc begins a probe on a function.
func (p *Program) compileFunc(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	symbol, err := k.Choose(pr.Funcs)
	if err != nil {
		return nil, err
	}
	c := newCompiled(src, symbol, k)
	t, err := k.target(symbol, pr.NonNull, pr.Params)
	if err != nil {
		return nil, err
	}
	if t.Inside = pr.Offset != 0; t.Inside {
		t.NoParams = fmt.Sprintf("at %s+%d they may have moved; name registers, for example %%%s", symbol, pr.Offset, exampleRegister(k.Arch))
	}
	entry := newHalf(symbol, pr.Offset, t)
	if !pr.Return {
		c.Entry = entry
		return c, nil
	}
	t.Return = true
	c.Return = newHalf(symbol, 0, t)
	if pr.Inner != nil || !c.Return.suffices(p, pr.Fields, k) {
		c.Entry = entry
	}
	return c, nil
}

func newHalf(symbol string, offset uint64, t fetchargs.Target) *Half {
	return &Half{Symbol: symbol, Offset: offset, target: t, planner: fetchargs.NewPlanner(t.Dialect)}
}

// target is a function for whose start expressions are resolved.
func (k *Kernel) target(symbol string, nonNull []string, params string) (fetchargs.Target, error) {
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect, NonNull: nonNull, NoCurrent: k.noCurrent()}
	proto, err := k.Types.FuncNamed(symbol)
	if params != "" && errors.Is(err, fetchargs.ErrNoType) {
		proto, err = fetchargs.Prototype(symbol, params, k.Types)
	}
	if err != nil && !errors.Is(err, fetchargs.ErrNoType) {
		return t, err
	}
	t.Func = proto
	// What is kept of an earlier run may be of a function of the same name.
	if k.NotLoaded != nil && params == "" {
		if module := k.NotLoaded(symbol); module != "" {
			t.NoParams = fmt.Sprintf("module %s is not loaded, and its types come with it; name registers, for example %%%s", module, exampleRegister(k.Arch))
		}
	}
	if _, suffix, ok := strings.Cut(symbol, "."); ok {
		t.NoParams = fmt.Sprintf("the compiler made .%s of the function and may have moved them; name registers, for example %%%s", suffix, exampleRegister(k.Arch))
	}
	return t, nil
}

// bindInner adds the half of the function within, and its fields.
func (p *Program) bindInner(c *Compiled, in *Inner, k Kernel) error {
	symbol, err := k.Choose(in.Funcs)
	if err != nil && p.exact {
		return err
	}
	if err != nil {
		for i := range in.Fields {
			p.Missing = append(p.Missing, &FieldError{c.Symbol, in.Fields[i].Expr, in.Fields[i].lost(""), err})
		}
		return nil
	}
	t, err := k.target(symbol, in.NonNull, in.Params)
	if err != nil {
		return err
	}
	h := newHalf(symbol, 0, t)
	if err := p.bindAll(c, h, in.Fields, k); err != nil {
		return err
	}
	if slices.ContainsFunc(c.fields, func(f *boundField) bool { return f.half == h }) {
		c.Inner = h
	}
	return nil
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
		if f.Expr == "" || f.AtReturn || !p.wants(f) {
			continue
		}
		ref, err := h.resolve(f.Expr)
		if err != nil {
			return false
		}
		kind, err := f.kindFor(ref, &k)
		if err != nil || !ref.AtReturn() && (!ref.IsPlain() || kind.readsMemory(ref)) {
			return false
		}
	}
	return true
}

// lacks says why the kernel has no such type, or function "name()"; nil where
// it has it.
func (k *Kernel) lacks(name string) error {
	if f, ok := strings.CutSuffix(name, "()"); ok {
		_, err := k.Choose([]string{f})
		return err
	}
	_, err := k.Types.TypeNamed(name)
	return err
}

// wants tells whether a field is to be fetched in this run.
func (p *Program) wants(f *Field) bool {
	return !f.OnRequest || slices.Contains(p.requested, cmp.Or(f.For, f.Name))
}

func (h *Half) resolve(text string) (fetchargs.Ref, error) {
	e, err := fetchargs.Parse(text)
	if err != nil {
		return fetchargs.Ref{}, err
	}
	return h.target.Resolve(e)
}

// atReturn resolves a field that is read when the function returns.
func (c *Compiled) atReturn(expr string) (*Half, fetchargs.Ref, error) {
	if c.Return == nil || !c.dialect.ReturnArgs {
		return nil, fetchargs.Ref{}, fmt.Errorf("%w: parameters are not known any more when a function returns, before 6.9", fetchargs.ErrNoMember)
	}
	ref, err := c.Return.resolve(expr)
	return c.Return, ref, err
}

// half chooses where a field is read: what starts at $retval, a register or the
// stack when the function returns, everything else at entry if it can be, so
// that return probes show what the function was called with. Inside of a function
// it is where it is entered for what has its place there alone.
func (c *Compiled) half(expr string) (*Half, fetchargs.Ref, error) {
	if c.Return == nil {
		ref, err := c.Entry.resolve(expr)
		if err != nil || c.Called == nil || !ref.AtEntry() {
			return c.Entry, ref, err
		}
		ref, err = c.Called.resolve(expr)
		return c.Called, ref, err
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
