package session

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// A source is one definition in the kernel, with what its records mean.
type source struct {
	compiled *event.Compiled
	half     *event.Half
	probe    *kprobe.Probe
	rest     *filter.Program // what the kernel could not decide
	places   int             // functions that share the definition
	cpus     []int           // on which it records, nil for all
}

// attached are the probes of a run.
type attached struct {
	program *event.Program
	sources []source
	owners  *event.Owners    // nil where none are needed
	reduce  event.Reducer    // nil where events are shown as they come
	counts  *aggregate.Table // nil where events are not counted
	total   *aggregate.Table // those of the whole run, nil where they are not wanted
	shown   *filter.Program  // what decides whether an event is shown, where the kernel cannot because of owners or reduce
	notes   []string         // for -v
	// everywhere: the events of all tasks are read, though perhaps only some are to be shown
	everywhere bool

	patterns []*pattern
	traced   traced // in place of probes
	users    *userFuncs
	tasks    *perCPU
	devices  *kernel.Devices
	waits    []string // what is waited for, and what else there is to say, for people
}

// attach compiles the tool for this kernel and defines its probes. Where the
// kernel has not the functions that the types promised, it tries once more
// with what the symbols say.
func attach(cfg *Config, tfs *tracefs.FS, types fetchargs.Types) (*attached, error) {
	c := &chooser{types: types, symbols: cfg.Verify, others: cfg.Tool.Functions(), wait: true}
	a, err := attachWith(cfg, tfs, types, c)
	if err != nil && !c.symbols && isNoFunction(err) {
		c.symbols = true
		a, err = attachWith(cfg, tfs, types, c)
	}
	err = explain(err)
	var status *Error
	if !cfg.Verify && errors.As(err, &status) && errors.As(err, new(*event.FieldError)) {
		// The tool's own expressions are right: the layouts are at fault.
		err = refused("its layouts are from "+types.Source(), status.Err)
	}
	return a, err
}

// firstReturn is a function at whose return something is to be probed, "" where
// there is none.
func firstReturn(probes []event.Probe, choose func(funcs []string) (string, error)) string {
	for i := range probes {
		p := &probes[i]
		if len(p.Funcs) == 0 || p.File != "" || !p.Return && len(p.Else) == 0 {
			continue
		}
		symbol, err := choose(p.Funcs)
		switch {
		case err == nil && p.Return:
			return symbol
		case err != nil && len(p.Else) > 0:
			if symbol := firstReturn(p.Else, choose); symbol != "" {
				return symbol
			}
		}
	}
	return ""
}

// isNoFunction tells that the kernel has no such function to probe, or several.
func isNoFunction(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EINVAL)
}

func attachWith(cfg *Config, tfs *tracefs.FS, types fetchargs.Types, c *chooser) (_ *attached, err error) {
	tasks := &perCPU{tfs: tfs, types: types}
	users := &userFuncs{tfs: tfs, pids: cfg.PIDs}
	defer func() {
		if err != nil {
			users.close()
		}
	}()
	devices, symbols := &kernel.Devices{}, &kernel.Symbolizer{}
	k := event.Kernel{Types: types, Dialect: dialect(tfs), Choose: c.choose, Tracepoint: tracepoints(tfs, types),
		EventProbe: eventProbes(tfs, cfg), Device: deviceCounters(devices), User: users.find, NotLoaded: notLoaded, NoCurrent: tasks.missing, Symbol: symbolizer(symbols), Arch: arch}
	c.noKprobes = !hasKprobes(tfs)
	asked := cfg.Tool
	if cfg.Snap > 0 {
		asked = asked.Snap(cfg.Snap)
	}
	placed, places, err := locate(asked, c)
	if err != nil {
		return nil, err
	}
	tool, patterns, err := expand(placed, tfs, c, users)
	if err != nil {
		return nil, err
	}
	patterns = append(places, patterns...)
	for _, src := range tool.Events {
		if symbol := firstReturn(src.Probes, c.choose); symbol != "" {
			k.Dialect.ReturnArgs = k.Dialect.ReturnArgs || returnArgs(tfs, symbol)
			break
		}
	}
	p, err := event.Compile(tool, cfg.Events, cfg.columns(), k)
	if err != nil {
		return nil, noneOf(patterns, p, err)
	}
	if err := cfg.checkWith(&p.Schema); err != nil {
		return nil, err
	}
	if cfg.Stack || hasSymbols(&p.Schema) {
		var loading sync.WaitGroup
		loading.Go(symbols.Load) // while the kernel takes the definitions
		defer loading.Wait()
	}
	where, err := cfg.filter(&p.Schema)
	if err != nil {
		return nil, err
	}
	counts, err := cfg.counts(&p.Schema)
	if err != nil {
		return nil, err
	}
	var total *aggregate.Table
	if counts != nil && cfg.Counting.Total {
		if total, err = cfg.counts(&p.Schema); err != nil {
			return nil, err
		}
	}
	a := &attached{program: p, owners: p.NewOwners(), shown: where.Program(), counts: counts, total: total, patterns: patterns, users: users, tasks: tasks, devices: devices}
	if cfg.Tool.Reduce != nil {
		a.reduce = cfg.Tool.Reduce(&p.Schema, cfg.Settings)
	}
	_, follows := a.reduce.(event.Follower)
	a.everywhere = follows || a.owners != nil
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	for _, skipped := range p.Skipped {
		a.notes = append(a.notes, fmt.Sprintf("not on this kernel: %v", skipped))
	}
	many := &sharer{cfg: cfg, attached: a, tfs: tfs}
	for _, pattern := range patterns {
		pattern.skip(p.Skipped)
	}
	for _, compiled := range p.Probes {
		plan := where.Kernel(compiled.Event, compiled)
		if a.reduce != nil || a.owners != nil {
			plan.Never, plan.Rest = false, a.shown // of what is shown, not of what happens
		}
		if plan.Never {
			a.notes = append(a.notes, fmt.Sprintf("%s on %s: not probed, the filter excludes it", compiled.Event, compiled.Symbol))
			continue
		}
		if where != nil {
			a.notes = append(a.notes, plan.String())
		}
		if err := compiled.Build(plan.Kernel); err != nil {
			return nil, err
		}
		if fields := compiled.FromEntry(); fields != nil {
			a.notes = append(a.notes, fmt.Sprintf("%s: read where %s is entered: %s", compiled.Event, compiled.Called.Symbol, strings.Join(fields, ", ")))
		}
		if compiled.Of != "" {
			many.add(compiled)
			continue
		}
		if err := a.defineAll(tfs, compiled, plan.Rest); err != nil {
			return nil, err
		}
	}
	a.patterns = append(a.patterns, cfg.traced...)
	a.waits = append(a.waits, c.says...)
	for _, module := range c.waits {
		if needs(p.Probes, module) {
			a.waits = append(a.waits, waits(module))
		} else {
			a.notes = append(a.notes, waits(module))
		}
	}
	return a, many.define()
}

// defineAll defines all halves of a probe. The last one that is defined runs
// first at the entry of a function: that must be the half that looks at the
// return address, which that at the return replaces.
func (a *attached) defineAll(tfs *tracefs.FS, c *event.Compiled, rest *filter.Program) error {
	for _, half := range slices.Backward(c.Halves()) {
		define := a.define
		if a.tasks.needs(half) {
			define = a.definePerCPU
		}
		if err := define(tfs, c, half, rest); err != nil {
			return err
		}
	}
	return nil
}

func (a *attached) define(tfs *tracefs.FS, c *event.Compiled, h *event.Half, rest *filter.Program) error {
	return a.defineAs(tfs, c, h, rest, spec(c, h, len(a.sources)), nil)
}

// defineAs defines a half, on some CPUs or on all.
func (a *attached) defineAs(tfs *tracefs.FS, c *event.Compiled, h *event.Half, rest *filter.Program, spec kprobe.Spec, cpus []int) error {
	var probe *kprobe.Probe
	var err error
	if c.Tracepoint && !c.EventProbe {
		probe, err = kprobe.OpenTracepoint(tfs, c.Symbol)
		a.notes = append(a.notes, "tracepoint "+c.Symbol)
	} else {
		probe, err = openProbe(tfs, spec, c.Of != "")
	}
	if err != nil {
		return refusal(c, h, err)
	}
	a.sources = append(a.sources, source{c, h, probe, rest, 1, cpus})
	if !c.Tracepoint || c.EventProbe {
		a.notes = append(a.notes, probe.Spec.String())
	}
	if h.Filter != "" {
		a.notes = append(a.notes, "  filter "+h.Filter)
	}
	if err := h.Bind(probe.Places()); err != nil {
		return err
	}
	return probe.CheckFilter(h.Filter)
}

// maxActive is of how many calls at a time the return is seen. Functions that
// wait for data, or for a connection, have as many as there are threads that
// wait; by default the kernel sees ten, or two for each CPU.
const maxActive = 2048

// openProbe defines a probe. For one of many, memory for so many calls of each
// would be too much; those of programs have no such number.
func openProbe(tfs *tracefs.FS, spec kprobe.Spec, ofMany bool) (*kprobe.Probe, error) {
	if spec.Return && spec.File == "" && !ofMany {
		many := spec
		many.MaxActive = maxActive
		probe, err := kprobe.Open(tfs, many)
		if !errors.Is(err, errors.ErrUnsupported) { // before 4.12
			return probe, err
		}
	}
	return kprobe.Open(tfs, spec)
}

// refusal says in the user's words what the kernel said of a definition.
func refusal(c *event.Compiled, h *event.Half, err error) error {
	place := h.Symbol
	if h.Offset != 0 {
		place = fmt.Sprintf("%s+%d", place, h.Offset)
	}
	var said *tracefs.SyntaxError
	if !errors.As(err, &said) {
		return fmt.Errorf("%s: %w", place, err)
	}
	msg := said.Msg
	switch msg {
	case "Failed to register probe event":
		msg += ": nothing can be probed there, because probing itself needs it or its code does not allow it"
	case "Invalid probed address or symbol":
		// The kernel finds the globals together with the function.
		names, member := []string{place}, ""
		for _, a := range h.Plan.Args {
			if name := "@" + a.Base.Name; a.Base.Kind == fetchargs.Symbol && !slices.Contains(names, name) {
				names = append(names, name)
				if global, of, dotted := strings.Cut(name, "."); dotted {
					member = fmt.Sprintf("; a member of a variable is ((struct TYPE *)&%s)->%s", global, of)
				}
			}
		}
		msg += ": " + strings.Join(names, " or ") + member
	}
	if said.Offset < len(said.Line) {
		word, _, _ := strings.Cut(said.Line[said.Offset:], " ")
		if !strings.HasPrefix(word, h.Symbol) {
			place += ": " + word
		}
	}
	return &refusedProbe{place + ": the kernel refuses it: " + msg, said}
}

// A refusedProbe is what the kernel said of a definition.
type refusedProbe struct {
	msg string
	err error
}

// said is what the kernel said, without the place.
func (e *refusedProbe) said() string {
	var said *tracefs.SyntaxError
	if errors.As(e.err, &said) {
		return said.Msg
	}
	return e.err.Error()
}

func (e *refusedProbe) Error() string { return e.msg }
func (e *refusedProbe) Unwrap() error { return e.err }

// spec is the definition of one half of a probe.
func spec(c *event.Compiled, h *event.Half, n int) kprobe.Spec {
	if c.EventProbe {
		return kprobe.Spec{Event: kprobe.EventName(c.Symbol, n), Tracepoint: c.Symbol, Args: h.Plan.Args}
	}
	if u := c.User; u != nil {
		return kprobe.Spec{Event: kprobe.EventName(h.Symbol, n), Symbol: h.Symbol, File: u.Path, Offset: u.Offset, Return: c.IsReturn(h), Args: h.Plan.Args}
	}
	return kprobe.Spec{Event: kprobe.EventName(h.Symbol, n), Symbol: h.Symbol, Offset: h.Offset, Return: c.IsReturn(h), Args: h.Plan.Args}
}

// close removes the probes. Readers of them must be closed before.
func (a *attached) close() error {
	var errs []error
	for _, s := range a.sources {
		errs = append(errs, s.probe.Close())
	}
	a.users.close()
	a.devices.Close()
	return errors.Join(errs...)
}

// evicted is how much the tool had to forget for want of room.
func (a *attached) evicted() (n uint64) {
	if a.reduce != nil {
		n += a.reduce.Evicted()
	}
	if a.owners != nil {
		n += a.owners.Evicted()
	}
	return n
}

// explain gives an error of compiling or defining its exit status.
func explain(err error) error {
	var status *Error
	var where *filter.Error
	var field *event.FieldError
	var expr *fetchargs.ExprError
	var symbol *kernel.NoSymbolError
	var parse *event.ParseError
	switch {
	case err == nil || errors.As(err, &status):
		return err
	case errors.As(err, &where), errors.As(err, &parse), errors.As(err, new(*event.UserError)), errors.Is(err, fetchargs.ErrLimit):
		return &Error{Status: ExitUsage, Err: err}
	case errors.As(err, &expr):
		return &Error{Status: ExitUsage, Err: suggest(err, expr)}
	case errors.As(err, &field):
		return &Error{Status: ExitUsage, Err: err}
	case errors.As(err, &symbol):
		return &Error{Status: ExitRefused, Err: err}
	case errors.Is(err, fs.ErrPermission):
		if why, do := (kernel.FS{}).Obstacle(); why != "" {
			return refused(do, errors.New(why))
		}
		return refused("see skprobe doctor", err)
	}
	return &Error{Status: ExitRefused, Err: err}
}
