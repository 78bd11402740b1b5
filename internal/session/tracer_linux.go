package session

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// The kernel's tracers that are used, in an instance of our own: of entries, and
// of entries and returns.
const (
	entryTracer = "function"
	callTracer  = "function_graph"
)

// canTrace tells whether an instance can have a tracer.
func canTrace(tfs *tracefs.FS, tracer string) error {
	if on, err := os.ReadFile("/proc/sys/kernel/ftrace_enabled"); err == nil && strings.TrimSpace(string(on)) == "0" {
		return errors.New("functions are not traced at present: kernel.ftrace_enabled is 0")
	}
	instance, err := tfs.NewInstance()
	if err != nil {
		return err
	}
	tracers, err := instance.Get("available_tracers")
	if rerr := instance.Remove(); rerr != nil {
		return rerr
	}
	if err == nil && !slices.Contains(strings.Fields(tracers), tracer) {
		err = fmt.Errorf("this kernel has the %s tracer for the whole system only (or not at all), which is not ours to take", tracer)
	}
	return err
}

// tracerFilters are patterns as set_ftrace_filter takes them.
func tracerFilters(patterns []*pattern) []string {
	var filters []string
	for _, p := range patterns {
		texts := []string{p.text}
		if p.listed {
			texts = slices.Sorted(maps.Keys(p.symbols))
		}
		for _, text := range texts {
			module, name, in := strings.Cut(text, ":")
			if in && module != "vmlinux" {
				filters = append(filters, name+":mod:"+module)
			} else {
				filters = append(filters, strings.TrimPrefix(text, "vmlinux:"))
			}
		}
	}
	return filters
}

// manyFunctions is from how many functions of a pattern on they are traced and
// not probed. A probe takes the kernel tens of milliseconds to put there and to
// take away, one after the other; for few the rings of perf, which can do more,
// are worth that.
const manyFunctions = 50

// byTracer tells why functions of patterns cannot be traced by the kernel's
// function tracer instead of being probed: nil where they can.
func (cfg *Config) byTracer(tfs *tracefs.FS) error {
	switch ns, err := os.Readlink("/proc/self/ns/pid"); {
	case cfg.Backend == kprobe.Perf.String():
		return errors.New("perf cannot read it")
	case cfg.Cgroup != "":
		return errors.New("perf, which a limit to a cgroup needs, cannot read it")
	case cfg.Stack || cfg.UserStack:
		return errors.New("it records no stacks")
	case err != nil || ns != initialPIDNamespace:
		return errors.New("it does not number processes as this pid namespace does")
	}
	return canTrace(tfs, entryTracer)
}

// initialPIDNamespace is from include/linux/proc_ns.h (3.8).
const initialPIDNamespace = "pid:[4026531836]"

// A traced is the one event of the function tracer, for the functions of all
// patterns that it traces.
type traced struct {
	can      *bool // nil until it was asked
	filters  []*pattern
	compiled *event.Compiled
	places   []event.Place
}

// traceable tells whether the function tracer can trace the functions of a group
// instead of probes: all that is asked for is that they were entered. It does so
// no function twice.
func (s *sharer) traceable(p *pattern, group []*event.Compiled) bool {
	t := &s.attached.traced
	halves := group[0].Halves()
	if len(group) < manyFunctions || len(halves) > 1 || group[0].Entry == nil || group[0].User != nil || group[0].Tracepoint {
		return false
	}
	if h := halves[0]; h.Filter != "" || len(h.Plan.Args) > 0 {
		return false
	}
	if t.can == nil {
		err := s.cfg.byTracer(s.tfs)
		t.can = new(err == nil)
		if err != nil {
			s.attached.notes = append(s.attached.notes, "probes, not the function tracer: "+err.Error())
		}
	}
	return *t.can && !slices.ContainsFunc(group, func(c *event.Compiled) bool {
		addr := p.symbols[c.Symbol].Addr
		return slices.ContainsFunc(t.places, func(at event.Place) bool { return at.Addr == addr })
	})
}

// trace makes a group one of the function tracer. The kernel finds the functions by the pattern and so also
// traces those that are left out, of which no events are wanted.
func (s *sharer) trace(p *pattern, group []*event.Compiled) error {
	t := &s.attached.traced
	if t.compiled == nil {
		t.compiled = group[0]
		h := t.compiled.Entry
		probe, err := kprobe.OpenTracepoint(s.tfs, "ftrace:"+entryTracer)
		if err == nil {
			err = h.Bind(probe.Places())
		}
		if err != nil {
			return err
		}
		s.attached.sources = append(s.attached.sources, source{t.compiled, h, probe, s.attached.shown, 0, nil})
	}
	for _, c := range group {
		t.places = append(t.places, event.Place{Event: c.Event, Addr: p.symbols[c.Symbol].Addr})
	}
	for _, addr := range p.others {
		t.places = append(t.places, event.Place{Addr: addr})
	}
	t.compiled.Share(t.places)
	i := slices.IndexFunc(s.attached.sources, func(of source) bool { return of.compiled == t.compiled })
	s.attached.sources[i].places += len(group)
	p.probed += len(group)
	t.filters = append(t.filters, p)
	s.attached.notes = append(s.attached.notes, fmt.Sprintf("%s: %d functions by the function tracer", p.text, len(group)))
	return nil
}
