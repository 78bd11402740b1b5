package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Kernel is what must be known of a kernel to compile a tool for it.
type Kernel struct {
	Arch    fetchargs.Arch
	Types   fetchargs.Types
	Dialect fetchargs.Dialect
	// Choose returns the first of the functions that can be probed; the
	// error says why none can.
	Choose func(funcs []string) (string, error)
	// Tracepoint returns the fields of a static event; the error says why
	// there is none.
	Tracepoint func(name string) ([]fetchargs.RecordField, error)
	// EventProbe tells whether an event probe can be attached to a static
	// event; the error says why not. nil: it cannot.
	EventProbe func(tracepoint string) error
	// NoCurrent says why the current task cannot be had, "" where it can.
	NoCurrent func() string
	// NotLoaded, if not nil, returns the module of a function that is not
	// loaded, "" for others: its types are not known.
	NotLoaded func(symbol string) string
	// User finds a function of a program or library; the error says why there
	// is none.
	User func(file, function string) (UserFunc, error)
	// Device is Schema.Device.
	Device func(netns uint64, ifindex uint32) (DeviceCounters, bool)
	// Symbol writes kernel addresses for people; nil: as numbers.
	Symbol Symbolizer
}

// A Program is a tool compiled for one kernel. It touches nothing: which lines
// it would write can be seen on any machine.
type Program struct {
	Schema Schema
	Probes []*Compiled
	// Skipped are optional probes that this kernel cannot have, and why.
	Skipped []*SkipError
	// Without are those of them with which all of an event's probes went, other
	// than of places that a pattern stands for.
	Without []error
	// Missing are fields that cannot be found in this kernel's layouts:
	// [*FieldError]. Their columns are absent, and so are those that would be
	// made from them.
	Missing []error

	names map[string]int // column or hidden field → index
	cols  []Column       // by that index
	shown []bool

	requested []string // columns that are fetched only on request
	exact     bool
	keys      []string // see Tool.Keys; nil for a tool without Reduce
	owners    bool     // events in softirq matter to what is shown of a process
}

// Compile compiles those events of the tool for which want returns true (all,
// where it is nil), with the optional columns that are asked for. Where all are
// compiled, those that only an option asks for may be lacking.
func Compile(t *Tool, want func(*Source) bool, columns []string, k Kernel) (*Program, error) {
	p := &Program{names: map[string]int{}, requested: columns, exact: t.Exact}
	if t.Reduce != nil {
		p.keys = append([]string{}, t.Keys...)
	}
	p.Schema.Tool, p.Schema.Symbol, p.Schema.Device = t.Name, k.Symbol, k.Device
	for i := range t.Events {
		src := &t.Events[i]
		if want != nil && !want(src) {
			continue
		}
		p.owners = p.owners || src.Softirq && (src.Socket != "" || src.Hidden)
		n, skipped, columns, missing := len(p.Probes), len(p.Skipped), len(p.cols), len(p.Missing)
		for j := range src.Probes {
			err := p.add(src, &src.Probes[j], k)
			if err != nil && (want != nil || !t.isOption(src.Name)) {
				return nil, err
			}
			if err != nil {
				p.forget(columns)
				p.Probes, p.Missing = p.Probes[:n], p.Missing[:missing]
				p.Skipped = append(p.Skipped, &SkipError{src, err})
				break
			}
		}
		if len(p.Probes) == n && !src.Hidden && src.Of == "" && len(p.Skipped) > skipped {
			p.Without = append(p.Without, p.Skipped[skipped])
		}
		if (len(p.Probes) > n || len(src.Probes) == 0) && !src.Hidden {
			p.Schema.Events = append(p.Schema.Events, src.Name)
			p.Schema.Task = p.Schema.Task || !src.Softirq || src.Socket != ""
		}
	}
	if len(p.Probes) == 0 {
		errs := []error{fmt.Errorf("%s: nothing to probe on this kernel", t.Name)}
		for _, skipped := range p.Skipped {
			errs = append(errs, skipped)
		}
		return p, errors.Join(errs...)
	}
	if slices.Contains(columns, Cgroup) {
		for _, c := range p.Probes {
			if err := p.bind(c, nil, &cgroup, k); err != nil {
				return nil, err
			}
		}
	}
	p.arrange(t.Columns)
	return p, nil
}

// add compiles a probe, or what is to be probed instead.
func (p *Program) add(src *Source, pr *Probe, k Kernel) error {
	columns, missing := len(p.cols), len(p.Missing)
	c, err := p.compile(src, pr, k)
	if err == nil {
		if c.keys = p.keys; src.Hidden && c.keys == nil {
			c.keys = []string{} // what is not shown must not be filtered
		}
		p.Probes = append(p.Probes, c)
		return nil
	}
	p.forget(columns)
	p.Missing = p.Missing[:missing]
	for i := range pr.Else {
		if eerr := p.add(src, &pr.Else[i], k); eerr != nil {
			return errors.Join(err, eerr)
		}
	}
	switch {
	case len(pr.Else) > 0:
	case pr.Optional:
		p.Skipped = append(p.Skipped, &SkipError{src, err})
	default:
		return err
	}
	return nil
}

// A SkipError is an optional probe that a kernel cannot have.
type SkipError struct {
	Source *Source
	Err    error
}

func (e *SkipError) Error() string { return e.Source.Name + ": " + e.Err.Error() }

// Unwrap returns why it cannot be had.
func (e *SkipError) Unwrap() error { return e.Err }

// index returns the place of a value in the event, adding it if it is new.
func (p *Program) index(col Column, hidden bool) (int, error) {
	i, ok := p.names[col.Name]
	if !ok {
		i = len(p.cols)
		p.names[col.Name] = i
		p.cols = append(p.cols, col)
		p.shown = append(p.shown, !hidden)
		return i, nil
	}
	if have := p.cols[i].Kind; !have.shows(col.Kind) {
		return 0, fmt.Errorf("column %s is a %s in one place and a %s in another; give one of them a name: NAME=…", col.Name, have.Name, col.Kind.Name)
	}
	p.shown[i] = p.shown[i] || !hidden
	return i, nil
}

// forget takes back the columns after the first n, which a probe had before it
// turned out to be impossible.
func (p *Program) forget(n int) {
	for _, col := range p.cols[n:] {
		delete(p.names, col.Name)
	}
	p.cols, p.shown = p.cols[:n], p.shown[:n]
}

// arrange orders the columns, hidden values behind them.
func (p *Program) arrange(order []string) {
	var perm []int // old indexes in their new order
	for _, name := range order {
		if i, ok := p.names[name]; ok && p.shown[i] {
			perm = append(perm, i)
		}
	}
	for _, shown := range []bool{true, false} {
		for i := range p.cols {
			if p.shown[i] == shown && !slices.Contains(perm, i) {
				perm = append(perm, i)
			}
		}
	}
	to := make([]int, len(perm))
	for now, old := range perm {
		to[old] = now
		if p.shown[old] {
			p.Schema.Columns = append(p.Schema.Columns, p.cols[old])
		}
	}
	for _, i := range perm[len(p.Schema.Columns):] {
		p.Schema.hidden = append(p.Schema.hidden, p.cols[i].Name)
	}
	p.Schema.reduced = map[int]bool{}
	for _, c := range p.Probes {
		c.reduced = p.Schema.reduced
		c.only.from = -1
		c.only.rename(to)
		if c.socket >= 0 {
			c.socket = to[c.socket]
		}
		for _, f := range slices.Concat(c.fields, c.computed, c.elapsed) {
			for i, old := range f.out {
				if old >= 0 {
					f.out[i] = to[old]
				}
			}
			for i := range f.cases {
				f.cases[i].rename(to)
			}
		}
	}
}

// NewEvent returns an event for this program's decoders.
func (p *Program) NewEvent() *Event {
	all := make([]Value, len(p.cols))
	return &Event{Values: all[:len(p.Schema.Columns)]}
}

// A FieldError is a field that cannot be had on this kernel.
type FieldError struct {
	Func    string
	Field   string   // as it was written
	Columns []string // that are lost with it
	Err     error
}

func (e *FieldError) Error() string {
	var expr *fetchargs.ExprError
	if errors.As(e.Err, &expr) && expr.Expr == e.Field {
		return fmt.Sprintf("%s: %v", e.Func, e.Err) // which names the field
	}
	return fmt.Sprintf("%s: %s: %v", e.Func, e.Field, e.Err)
}

// Unwrap returns the cause: an [*fetchargs.ExprError] where it has a place.
func (e *FieldError) Unwrap() error { return e.Err }

// isMissing tells a member or type that this kernel does not have from a
// mistake.
func isMissing(err error) bool {
	return errors.Is(err, fetchargs.ErrNoType) || errors.Is(err, fetchargs.ErrNoMember)
}

// substitute writes expr for "$" in a kind's read.
func substitute(read, expr string) string {
	if read == "$" {
		return expr
	}
	if !isName(expr) {
		expr = "(" + expr + ")"
	}
	return strings.ReplaceAll(read, "$", expr)
}
