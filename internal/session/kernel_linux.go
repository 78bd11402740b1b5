package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

const arch = fetchargs.Arch(runtime.GOARCH)

// openTracefs finds tracefs, or mounts it where nobody sees it.
func openTracefs() (*tracefs.FS, error) {
	if err := kernel.SupportedArch(runtime.GOARCH); err != nil {
		return nil, refused("", err)
	}
	tfs, err := tracefs.Open()
	switch {
	case errors.Is(err, fs.ErrPermission):
		if why, do := (kernel.FS{}).Obstacle(); why != "" {
			return nil, refused(do, errors.New(why))
		}
		return nil, refused("to mount it needs CAP_SYS_ADMIN; in a container: docker run --privileged, or -v /sys/kernel/tracing:/sys/kernel/tracing", err)
	case err != nil:
		if why, do := (kernel.FS{}).LockedDown(); why != "" { // tracefs is empty then
			return nil, refused(do, errors.New(why))
		}
		return nil, refused("see skprobe doctor", fmt.Errorf("no tracefs: %w", err))
	}
	return tfs, nil
}

// hasKprobes reports whether the kernel has kprobe events; where it cannot be
// told, trying will.
func hasKprobes(tfs *tracefs.FS) bool {
	if os.Getenv("SKPROBE_KPROBES") == "no" { // for tests of what comes in their place
		return false
	}
	ok, err := tfs.Has("kprobe_events")
	return ok || err != nil
}

// errNoKprobes is what can be said of functions on a kernel without kprobes.
var errNoKprobes = &Error{Status: ExitRefused, Err: errors.New("this kernel has no kprobe events"), Do: "functions can be probed with CONFIG_KPROBE_EVENTS only; skprobe doctor tells which tools work without"}

// eventProbes tells whether event probes can be had: nothing but a trial tells
// that the kernel does. Their records come through tracefs only.
func eventProbes(tfs *tracefs.FS, cfg *Config) func(tracepoint string) error {
	return func(tracepoint string) error {
		switch {
		case cfg.Backend == kprobe.Perf.String():
			return errors.New("perf cannot read it")
		case cfg.Cgroup != "":
			return errors.New("perf, which a limit to a cgroup needs, cannot read it")
		case os.Getenv("SKPROBE_EVENTPROBES") == "no": // for tests of what comes in their place
			return errors.New("not used: SKPROBE_EVENTPROBES=no")
		}
		if old, ok := forced(); ok && !old.eventProbes {
			return errors.New("not used: SKPROBE_DIALECT=" + os.Getenv("SKPROBE_DIALECT"))
		}
		return tryEventProbe(tfs, tracepoint)
	}
}

func tryEventProbe(tfs *tracefs.FS, tracepoint string) error {
	return tfs.Try("e:g/e " + strings.Replace(tracepoint, ":", ".", 1))
}

// dialect finds out what the kernel's fetch-arg parser accepts, from its own
// words in the README file of tracefs, which has the syntax since 4.9. A
// kernel that does not say so gets the language of 3.10, which all accept.
func dialect(tfs *tracefs.FS) fetchargs.Dialect {
	if old, ok := forced(); ok {
		return old.dialect
	}
	var d fetchargs.Dialect
	text, err := os.ReadFile(tfs.Root() + "/README")
	if err != nil {
		return d
	}
	has := func(s string) bool { return strings.Contains(string(text), s) }
	d.Hex = has("x8/16/32/64")
	d.CommArg = has("$comm")
	d.Arrays = has(`\[<array-size>\]`)
	d.UserMemory = has("ustring")
	d.Current = has("$current")
	// Filters learnt comm and cpu in the same version in which this file
	// came (4.4); nothing tells of them directly.
	d.CommFilter, _ = tfs.Has("set_event_pid")
	return d
}

// returnArgs tries whether return probes can have $argN: nothing but a trial
// tells.
func returnArgs(tfs *tracefs.FS, symbol string) bool {
	_, old := forced()
	return !old && tfs.Try("r:g/e "+symbol+" $arg1") == nil
}

// chooser decides between names of functions. The type information has only
// functions that the kernel has, so it is asked first; reading all symbols
// costs tens of milliseconds, and is done where that does not suffice.
type chooser struct {
	types   fetchargs.Types
	symbols bool // ask the symbols
	// noKprobes: no function can be probed.
	noKprobes bool
	found     map[string]*kernel.Found
	others    []string        // functions that are looked for with the first one: each pass takes time
	known     map[string]bool // functions that were found by a pattern
	all       *allFunctions   // while patterns are expanded
	wait      bool            // for modules that are not loaded
	waits     []string        // modules that are waited for
	chosen    map[string]string
	says      []string // what was made of places in the source
}

// know takes a function that was found, so that it is not looked for again.
func (c *chooser) know(name string) {
	if c.known == nil {
		c.known = map[string]bool{}
	}
	c.known[name] = true
}

func (c *chooser) choose(funcs []string) (string, error) {
	key := strings.Join(funcs, " ")
	if name, ok := c.chosen[key]; ok {
		return name, nil
	}
	name, err := c.chooseNew(funcs)
	if err == nil {
		if c.chosen == nil {
			c.chosen = map[string]string{}
		}
		c.chosen[key] = name
	}
	return name, err
}

func (c *chooser) chooseNew(funcs []string) (string, error) {
	if c.noKprobes {
		return "", errNoKprobes
	}
	old, _ := forced()
	if had := old.functions(funcs); len(had) == 0 && len(funcs) > 0 {
		return "", &kernel.NoSymbolError{Refused: []kernel.Refusal{{Function: funcs[0], Why: "not used: SKPROBE_DIALECT=" + os.Getenv("SKPROBE_DIALECT")}}}
	} else {
		funcs = had
	}
	if len(funcs) == 1 && c.known[funcs[0]] {
		return funcs[0], nil
	}
	if !c.symbols {
		for _, f := range funcs {
			if _, err := c.types.FuncNamed(f); err == nil {
				return f, nil
			}
		}
	}
	module := notLoaded(funcs[0])
	waits := module != "" && c.wait
	if waits && len(funcs) == 1 {
		return c.waitFor(module, funcs[0]), nil
	}
	if err := c.read(funcs); err != nil {
		return "", err
	}
	choice, err := kernel.Choose(c.found, funcs)
	switch {
	case err != nil && waits:
		return c.waitFor(module, funcs[0]), nil // and it is not built in
	case err != nil:
		return "", c.near(err, funcs)
	}
	name := choice.Symbol.Name
	if choice.Symbol.Module != "" {
		name = choice.Symbol.Module + ":" + name
	}
	return name, nil
}

// waitFor takes a function of a module that is not loaded.
func (c *chooser) waitFor(module, function string) string {
	if !slices.Contains(c.waits, module) {
		c.waits = append(c.waits, module)
	}
	return function
}

func (c *chooser) read(funcs []string) error {
	var names []string
	for _, name := range slices.Concat(funcs, c.others) {
		if name = name[strings.IndexByte(name, ':')+1:]; c.found[name] == nil || len(c.others) == 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	f, err := kernel.FS{}.Kallsyms()
	if err != nil {
		return err
	}
	defer f.Close()
	found, err := kernel.FindSymbols(f, names...)
	if err != nil {
		return err
	}
	if c.found == nil {
		c.found = map[string]*kernel.Found{}
	}
	for name, s := range found {
		c.found[name] = s
	}
	return nil
}

// near adds functions with a name like the one that does not exist, if somebody
// has named that.
func (c *chooser) near(err error, funcs []string) error {
	if !c.symbols {
		return err
	}
	f, ferr := kernel.FS{}.Kallsyms()
	if ferr != nil {
		return err
	}
	defer f.Close()
	if names, nerr := kernel.NearFunctions(f, funcs[0]); nerr == nil && len(names) > 0 {
		return fmt.Errorf("%w; did you mean %s?", err, strings.Join(names, " or "))
	}
	return err
}

// deviceCounters asks the kernel what devices count.
func deviceCounters(d *kernel.Devices) func(netns uint64, ifindex uint32) (event.DeviceCounters, bool) {
	return func(netns uint64, ifindex uint32) (event.DeviceCounters, bool) {
		c, err := d.Counters(netns, ifindex)
		return event.DeviceCounters(c), err == nil
	}
}

// hasSymbols tells whether addresses of the kernel's code are to be shown.
func hasSymbols(s *event.Schema) bool {
	return slices.ContainsFunc(s.Columns, func(c event.Column) bool { return c.Kind.Name == "symbol" })
}

// symbolizer writes addresses as symbol+offset.
func symbolizer(s *kernel.Symbolizer) event.Symbolizer {
	return func(dst []byte, addr uint64) []byte {
		name, module, off, ok := s.Resolve(addr)
		if !ok {
			return strconv.AppendUint(append(dst, "0x"...), addr, 16)
		}
		dst = append(append(dst, name...), "+0x"...)
		dst = strconv.AppendUint(dst, off, 16)
		if module != "" {
			dst = append(append(append(dst, " ["...), module...), ']')
		}
		return dst
	}
}
