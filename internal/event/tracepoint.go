package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	c.Entry = newHalf(pr.Tracepoint, 0, t)
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
	return &Compiled{Event: src.Name, Of: src.Of, Symbol: symbol, Softirq: src.Softirq, Hidden: src.Hidden, Ends: src.Ends, ifUnknown: src.IfUnknown, socket: -1,
		types: k.Types, dialect: k.Dialect, byName: map[string]target{}, assured: map[string]int64{}}
}

// commonPrefix is put before the name of a recorded value that is called like a
// column that all events have.
const commonPrefix = "arg_"

// recordedFields are all that a tracepoint records, under the kernel's names.
// What has no size that is told here is left out.
func (c *Compiled) recordedFields() []Field {
	var fields []Field
	for _, r := range c.Entry.target.Record {
		if !r.Text && r.Type.Size == 0 {
			continue
		}
		f := Field{Name: r.Name, Expr: r.Name, Help: fetchargs.Declare(r.Type, r.Name)}
		if r.Chars {
			f.Kind = Pointer // the text is not in the record
		}
		if slices.Contains(commonNames, r.Name) {
			f.Name = commonPrefix + r.Name
		}
		fields = append(fields, f)
	}
	return fields
}

// recordedKind is the kind of a value that a tracepoint records, where its C
// type alone does not tell it but its name does; nil for others.
func recordedKind(ref fetchargs.Ref, sym Symbolizer) *Kind {
	name, t := ref.RecordedName(), ref.Type
	isAddr := strings.Contains(name, "addr") && t.Kind == fetchargs.Array && t.Elem().Size == 1
	switch {
	case isAddr && t.Size == 4:
		return IPv4
	case isAddr && t.Size == 16:
		return IPv6
	case t.Size == 8 && slices.Contains(codeNames, name):
		return symbolKind(sym)
	}
	return nil
}

// codeNames are what tracepoints call addresses of code.
var codeNames = []string{"location", "caller", "call_site", "callsite", "func", "function", "ip", "caller_ip"}
