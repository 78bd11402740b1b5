package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/callgraph"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// graphed makes the tool for a call graph: by the kernel's function_graph tracer
// where an instance can have it (6.11), and otherwise by probes of entries and
// returns.
func (cfg *Config) graphed(tfs *tracefs.FS, types fetchargs.Types) (*Config, error) {
	g := cfg.Graph
	texts := g.Places
	if g.Root != "" && !slices.Contains(texts, g.Root) {
		texts = append(slices.Clip(texts), g.Root)
	}
	places, err := graphPlaces(texts, types)
	if err != nil {
		return nil, err
	}
	done := *cfg
	options := g.Options
	if g.Args || g.Retval {
		options.Values = &callgraph.Values{Args: g.Args, Retval: g.Retval, Arch: arch, Prototype: func(name string) *fetchargs.Type {
			t, err := types.FuncNamed(name)
			if err != nil {
				return nil
			}
			return t
		}}
	}
	var why error
	if g.Method != GraphProbes {
		if why = done.trace(places, options, tfs, types); why == nil {
			return &done, nil
		}
		switch {
		case errors.As(why, new(*Error)):
			return nil, why
		case g.Method == GraphTracer:
			return nil, refused("", why)
		}
	}
	t, err := callgraph.Probed(places, options)
	if err != nil {
		return nil, &Error{Status: ExitUsage, Err: err}
	}
	done.Tool, done.Verify = t, true
	if why != nil && cfg.Verbose {
		fmt.Fprintln(cfg.Stderr, "by probes of entries and returns:", why)
	}
	return &done, nil
}

// trace makes it a run of the function_graph tracer. An [*Error] is about the
// places, any other says that the tracer cannot be had.
func (cfg *Config) trace(places []callgraph.Place, options callgraph.Options, tfs *tracefs.FS, types fetchargs.Types) error {
	switch {
	case cfg.Backend == kprobe.Perf.String():
		return errors.New("perf cannot read the function_graph tracer")
	case cfg.Cgroup != "":
		return errors.New("perf, which a limit to a cgroup needs, cannot read the function_graph tracer")
	}
	if err := canTrace(tfs, callTracer); err != nil {
		return err
	}
	if err := cfg.Graph.canTraceValues(tfs); err != nil {
		return err
	}
	cfg.Tool = callgraph.Traced(options)
	c := &chooser{types: types, symbols: true, wait: true}
	for _, place := range places {
		src, err := place.Source()
		if err != nil {
			return &Error{Status: ExitUsage, Err: err}
		}
		p := newPattern(place.Text)
		if src.Probes[0].File != "" {
			return errors.New("the function_graph tracer traces the kernel only")
		}
		if src.Probes[0].Glob {
			sources, err := p.functions(src, tfs, c)
			p.probed = len(sources)
			switch {
			case err != nil:
				return err
			case p.matched == 0 && p.module == "": // the tracer waits for a module
				return p.nothing()
			case p.probed == 0 && p.module == "":
				return refused("", errors.New(p.String()))
			}
		} else if _, err := c.choose(src.Probes[0].Funcs); err != nil {
			return explain(err)
		} else {
			p.matched, p.probed = 1, 1
		}
		cfg.traced = append(cfg.traced, p)
	}
	return nil
}
