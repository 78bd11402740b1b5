package event

import (
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// compileTracepoint begins a probe on a static tracepoint.
func (p *Program) compileTracepoint(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	if k.Tracepoint == nil {
		return nil, fmt.Errorf("tracepoint %s: not known here", pr.Tracepoint)
	}
	fields, err := k.Tracepoint(pr.Tracepoint)
	if err != nil {
		return nil, err
	}
	c := newCompiled(src, pr.Tracepoint, k)
	c.Tracepoint = true
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect, Record: fields}
	c.Entry = newHalf(pr.Tracepoint, t)
	return c, nil
}

// compileEventProbe begins an event probe on a static tracepoint, whose pointers
// are to be followed.
func (p *Program) compileEventProbe(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	err := errors.New("this kernel has none")
	if k.EventProbe != nil {
		err = k.EventProbe(pr.Tracepoint)
	}
	if err != nil {
		return nil, fmt.Errorf("tracepoint %s: no event probe: %w", pr.Tracepoint, err)
	}
	c, err := p.compileTracepoint(src, pr, k)
	if err != nil {
		return nil, err
	}
	c.EventProbe = true
	c.Entry.target.Fetched = true
	return c, nil
}

func newCompiled(src *Source, symbol string, k Kernel) *Compiled {
	return &Compiled{Event: src.Name, Symbol: symbol, Softirq: src.Softirq, Hidden: src.Hidden, Ends: src.Ends, ifUnknown: src.IfUnknown, socket: -1,
		types: k.Types, dialect: k.Dialect, byName: map[string]target{}, assured: map[string]int64{}}
}
