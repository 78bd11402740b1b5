package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// A sharer defines the probes of patterns: those that record the same arguments
// as one event with many places, where the kernel can do that (5.4), so that
// reading them takes one file of perf for each CPU and not one for each function
// as well. One that the kernel refuses does not stop the others.
type sharer struct {
	cfg      *Config
	attached *attached
	tfs      *tracefs.FS
	keys     []string // in order
	groups   map[string][]*event.Compiled
	appends  *bool // whether the kernel can, once that was tried
}

func (s *sharer) add(c *event.Compiled) {
	key := c.Key()
	if c.Tracepoint {
		key += "\n" + c.Symbol // has nothing to share
	}
	if s.groups == nil {
		s.groups = map[string][]*event.Compiled{}
	}
	if s.groups[key] == nil {
		s.keys = append(s.keys, key)
	}
	s.groups[key] = append(s.groups[key], c)
}

// define defines all, and counts for each pattern what became of them.
func (s *sharer) define() error {
	for _, key := range s.keys {
		group := s.groups[key]
		p := s.attached.patternOf(group[0])
		if len(group) > 1 && s.can(p, group) {
			define := s.together
			if s.traceable(p, group) {
				define = s.trace
			}
			if err := define(p, group); err != nil {
				return err
			}
			continue
		}
		for _, c := range group {
			if err := s.alone(p, c); err != nil {
				return err
			}
		}
	}
	for _, p := range s.attached.patterns {
		if p.probed == 0 && p.module == "" {
			return noneOf([]*pattern{p}, &event.Program{}, nil)
		}
	}
	return nil
}

// can tells whether the functions of a group can share a definition.
func (s *sharer) can(p *pattern, group []*event.Compiled) bool {
	if slices.ContainsFunc(group[0].Halves(), s.attached.tasks.needs) {
		return false // each has definitions for each CPU
	}
	if slices.ContainsFunc(group, func(c *event.Compiled) bool { return p.symbols[c.Symbol].Addr == 0 }) {
		return false // nothing would tell their records apart
	}
	if _, old := forced(); s.appends == nil && !old {
		for i := range min(3, len(group)-1) {
			can, err := s.tfs.Appends(group[i].Symbol, group[i+1].Symbol)
			if err == nil {
				s.appends = &can
				break
			}
		}
	}
	return s.appends != nil && *s.appends
}

// alone defines a place by itself.
func (s *sharer) alone(p *pattern, c *event.Compiled) error {
	n := len(s.attached.sources)
	err := s.attached.defineAll(s.tfs, c, s.attached.shown)
	if err == nil {
		p.probed++
		return nil
	}
	return s.giveUp(p, n, err)
}

// giveUp counts a place that is refused, and takes back what was defined of it.
func (s *sharer) giveUp(p *pattern, n int, why error) error {
	p.refuse(whyNot(why))
	var errs []error
	for _, source := range s.attached.sources[n:] {
		errs = append(errs, source.probe.Close())
	}
	s.attached.sources = s.attached.sources[:n]
	return errors.Join(errs...)
}

// together defines the places of a group as one event, or as two for their
// entries and returns.
func (s *sharer) together(p *pattern, group []*event.Compiled) error {
	var first *event.Compiled
	var probes []*kprobe.Probe // of the first, in the order in which they were defined
	var places []event.Place
	start := len(s.attached.sources)
	for _, c := range group {
		if first == nil {
			if err := s.attached.defineAll(s.tfs, c, s.attached.shown); err != nil {
				if err := s.giveUp(p, start, err); err != nil {
					return err
				}
				continue
			}
			first = c
			for _, source := range s.attached.sources[start:] {
				probes = append(probes, source.probe)
			}
		} else if err := appendTo(probes, c); err != nil {
			p.refuse(whyNot(err))
			continue
		}
		places = append(places, event.Place{Event: c.Event, Addr: p.symbols[c.Symbol].Addr})
	}
	if first == nil {
		return nil
	}
	p.probed += len(places)
	first.Share(places)
	for i := start; i < len(s.attached.sources); i++ {
		s.attached.sources[i].places = len(places)
	}
	s.attached.notes = append(s.attached.notes, fmt.Sprintf("  and at %d other functions", len(places)-1))
	return nil
}

// appendTo adds a function to the probes of another. Where the second is refused
// the first stays: a return without an entry is no event.
func appendTo(probes []*kprobe.Probe, c *event.Compiled) error {
	halves := slices.Clone(c.Halves())
	slices.Reverse(halves)
	for i, probe := range probes {
		if err := probe.Append(c.Symbol); err != nil {
			return refusal(c, halves[i], err)
		}
	}
	return nil
}

// patternOf is the pattern that a probe is one of.
func (a *attached) patternOf(c *event.Compiled) *pattern {
	return a.patterns[slices.IndexFunc(a.patterns, func(p *pattern) bool { return p.text == c.Of })]
}

// places is how many places are probed.
func (a *attached) places(traced []*pattern) (n int) {
	if traced != nil {
		for _, p := range traced {
			n += p.probed
		}
		return n
	}
	for _, s := range a.sources {
		n += s.places
	}
	return n
}

// noneOf is the error where nothing of the patterns can be probed. p is nil where
// it is another error.
func noneOf(patterns []*pattern, p *event.Program, err error) error {
	if len(patterns) == 0 || p == nil {
		return err
	}
	var errs []error
	for _, pattern := range patterns {
		pattern.skip(p.Skipped)
		errs = append(errs, errors.New(pattern.String()))
		if pattern.why != nil {
			return pattern.why
		}
	}
	return refused("", errors.New(oneLine(errors.Join(errs...))))
}
