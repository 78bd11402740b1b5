package session

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/testdata/kernels"
)

// Check writes what a run would define on each recorded kernel, or why it could
// not. The error says that there is none on which it could.
func Check(w io.Writer, cfg *Config) error {
	if cfg.Graph != nil {
		return usage("a graph is made of the functions that the running kernel has: there is nothing to check")
	}
	all, err := kernels.All()
	if err != nil {
		return err
	}
	compiled := 0
	for _, k := range all {
		fmt.Fprintf(w, "# %s, %s\n", k.ID.Release, k.ID.Arch)
		if err := cfg.checkOn(w, k); err != nil {
			fmt.Fprintf(w, "does not compile: %s\n", shortenLine(err))
			continue
		}
		compiled++
	}
	if compiled == 0 {
		return &Error{Status: ExitFailed, Err: errors.New("it compiles on none of the recorded kernels")}
	}
	return nil
}

func shortenLine(err error) string {
	const most = 300
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// checkOn compiles for a recorded kernel, and writes its definitions.
func (cfg *Config) checkOn(w io.Writer, k kernels.Kernel) error {
	choose := func(funcs []string) (string, error) {
		for _, f := range funcs {
			if _, err := k.Types.FuncNamed(f); err == nil {
				return f, nil
			}
		}
		found, err := kernel.FindSymbols(k.Symbols(), funcs...)
		if err != nil {
			return "", err
		}
		choice, err := kernel.Choose(found, funcs)
		return choice.Symbol.Name, err
	}
	p, err := event.Compile(cfg.Tool, cfg.Events, cfg.columns(), event.Kernel{Arch: fetchargs.Arch(k.ID.Arch), Types: k.Types, Dialect: k.Dialect(), Choose: choose,
		Tracepoint: k.Tracepoint, EventProbe: k.EventProbe})
	if err != nil {
		return err
	}
	where, err := cfg.filter(&p.Schema)
	if err != nil {
		return err
	}
	for _, skipped := range p.Skipped {
		fmt.Fprintln(w, "not on this kernel:", skipped)
	}
	for n, c := range p.Probes {
		plan := where.Kernel(c.Event, c)
		if err := c.Build(plan.Kernel); err != nil {
			return err
		}
		if c.Tracepoint && !c.EventProbe {
			fmt.Fprintln(w, "tracepoint", c.Symbol)
			continue
		}
		for _, h := range c.Halves() {
			spec := spec(c, h, n)
			spec.Group = "skprobe"
			if err := spec.Check(); err != nil {
				return err
			}
			fmt.Fprintln(w, spec)
			if h.Filter != "" {
				fmt.Fprintln(w, "  filter:", h.Filter)
			}
		}
		if plan.Rest != nil {
			fmt.Fprintf(w, "  and by skprobe: %s\n", plan.Rest)
		}
	}
	return nil
}
