package session

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/tracefs"
)

// maxMatches is how many places a pattern may stand for: each costs the kernel
// memory and every call of the function time, and all functions at once would
// bring the machine to a halt.
const maxMatches = 5000

// expand puts in place of each source that is a pattern one for each place that
// matches. A place that turns out to be impossible does not stop the others.
func expand(t *event.Tool, tfs *tracefs.FS, c *chooser, users *userFuncs) (*event.Tool, []*pattern, error) {
	isPattern := func(s event.Source) bool { return len(s.Probes) == 1 && s.Probes[0].Glob && !users.has(&s.Probes[0]) }
	if !slices.ContainsFunc(t.Events, isPattern) {
		return t, nil, nil
	}
	expanded := *t
	expanded.Events = nil
	var patterns []*pattern
	for _, src := range t.Events {
		if !isPattern(src) {
			expanded.Events = append(expanded.Events, src)
			continue
		}
		p := newPattern(src.Name)
		list := p.functions
		switch {
		case src.Probes[0].Tracepoint != "":
			p.what, list = "tracepoints", p.tracepoints
		case src.Probes[0].File != "":
			list = func(src event.Source, _ *tracefs.FS, _ *chooser) ([]event.Source, error) {
				return p.userFunctions(src, users)
			}
		}
		sources, err := list(src, tfs, c)
		switch {
		case err != nil:
			return nil, nil, err
		case p.matched == 0:
			return nil, nil, p.nothing()
		case len(sources) > maxMatches:
			return nil, nil, usage("%s: %d %s match, more than %d; narrow the pattern", src.Name, len(sources), p.what, maxMatches)
		}
		expanded.Events = append(expanded.Events, sources...)
		patterns = append(patterns, p)
	}
	c.all = nil
	return &expanded, patterns, nil
}

// one is the source for one place of a pattern.
func (p *pattern) one(src event.Source, name string, set func(*event.Probe)) event.Source {
	probe := src.Probes[0]
	probe.Glob, probe.Optional = false, true
	set(&probe)
	if probe.Return {
		name += "%return"
	}
	one := src
	one.Name, one.Of, one.Probes = name, src.Name, []event.Probe{probe}
	return one
}

func (p *pattern) tracepoints(src event.Source, tfs *tracefs.FS, _ *chooser) (sources []event.Source, err error) {
	names, err := matchTracepoints(tfs, src.Probes[0].Tracepoint)
	p.matched = len(names)
	for _, name := range names {
		sources = append(sources, p.one(src, "t:"+name, func(probe *event.Probe) { probe.Tracepoint = name }))
	}
	return sources, err
}

func (p *pattern) functions(src event.Source, tfs *tracefs.FS, c *chooser) (sources []event.Source, err error) {
	if c.noKprobes {
		return nil, errNoKprobes
	}
	all, err := c.functions(tfs)
	if err != nil {
		return nil, refused("", err)
	}
	funcs := src.Probes[0].Funcs
	symbols, err := kernel.Glob(bytes.NewReader(all.kallsyms), funcs...)
	if err != nil {
		return nil, usage("%v", err)
	}
	p.listed = strings.TrimSuffix(p.text, "%return") != funcs[0]
	if p.matched = len(symbols); p.matched == 0 && !p.listed {
		p.module = notLoaded(funcs[0])
		return nil, nil
	}
	if p.listed {
		p.missing(funcs, symbols)
	}
	for i, s := range symbols {
		name := s.Name
		if s.Module != "" {
			name = s.Module + ":" + name
		}
		refuse := func(why string) {
			p.refuse(why)
			p.others = append(p.others, s.Addr)
		}
		same := func(o kernel.Symbol) bool { return o.Name == s.Name && o.Module == s.Module }
		switch {
		case i > 0 && same(symbols[i-1]) || i+1 < len(symbols) && same(symbols[i+1]):
			refuse("have the name of another")
		case all.forbidden[s.Name]:
			refuse("are forbidden for probes")
		case all.traceable != nil && !all.traceable[s.Name]:
			refuse("cannot be traced")
		default:
			c.know(name)
			p.symbols[name] = s
			sources = append(sources, p.one(src, name, func(probe *event.Probe) { probe.Funcs = []string{name} }))
		}
	}
	return sources, nil
}

// allFunctions is what the kernel says of its functions.
type allFunctions struct {
	kallsyms  []byte
	traceable map[string]bool // nil where it is not known
	forbidden map[string]bool
}

// functions reads it, once for all patterns: the kernel takes a fifth of a
// second to write that much.
func (c *chooser) functions(tfs *tracefs.FS) (*allFunctions, error) {
	if c.all != nil {
		return c.all, nil
	}
	f, err := kernel.FS{}.Kallsyms()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := &allFunctions{}
	if all.kallsyms, err = io.ReadAll(f); err != nil {
		return nil, err
	}
	all.traceable, _ = tfs.Traceable()
	all.forbidden, _ = kernel.FS{}.Blacklist()
	c.all = all
	return all, nil
}

// skip counts the places that the compiler left out.
func (p *pattern) skip(skipped []*event.SkipError) {
	for _, s := range skipped {
		if s.Source.Of != p.text {
			continue
		}
		if p.what == places && p.why == nil {
			p.why = s.Err
		}
		p.refuse(whyNot(s.Err))
	}
}

// whyNot is what a place that is refused has in common with others.
func whyNot(err error) string {
	var field *event.FieldError
	var said *refusedProbe
	var errno syscall.Errno
	switch {
	case errors.As(err, &field):
		return "cannot give " + shorten(field.Field)
	case errors.As(err, &said):
		return "are refused by the kernel: " + said.said()
	case errors.As(err, &errno):
		return "are refused by the kernel: " + errno.Error()
	}
	return "cannot be had: " + shorten(oneLine(err))
}
