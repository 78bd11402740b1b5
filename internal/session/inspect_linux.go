package session

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
	"github.com/skprobe/skprobe/tracefs"
)

// A SavableLayout can be written to a profile.
type SavableLayout = *ktype.Layout

// Lookup finds a function or a type by its C name.
func Lookup(types fetchargs.Types, name string) (*fetchargs.Type, error) {
	for _, word := range []string{"struct ", "union ", "enum "} {
		if strings.HasPrefix(name, word) {
			t, err := types.TypeNamed(name)
			return t, noType(err, name)
		}
	}
	t, err := types.FuncNamed(name)
	if err == nil || !errors.Is(err, fetchargs.ErrNoType) {
		return t, err
	}
	for _, word := range []string{"", "struct ", "union ", "enum "} {
		if t, err := types.TypeNamed(word + name); err == nil {
			return t, nil
		}
	}
	c := &chooser{types: types, symbols: true}
	if _, cerr := c.choose([]string{name}); cerr != nil {
		err = cerr
	}
	return nil, &Error{Status: ExitUsage, Err: err}
}

func noType(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fetchargs.ErrNoType):
		err = fmt.Errorf("this kernel has no %s: %w", name, err)
	}
	return &Error{Status: ExitUsage, Err: err}
}

// Tracepoint lists the fields of a static event, GROUP:EVENT.
func Tracepoint(types fetchargs.Types, name string) ([]fetchargs.RecordField, error) {
	tfs, err := openTracefs()
	if err != nil {
		return nil, err
	}
	defer tfs.Close()
	fields, err := tracepoints(tfs, types)(name)
	return fields, explain(err)
}

// Functions lists functions that match a pattern, with their modules; with t: in
// front, tracepoints.
func Functions(glob string) ([]string, error) {
	if name, ok := strings.CutPrefix(glob, "t:"); ok {
		tfs, err := openTracefs()
		if err != nil {
			return nil, err
		}
		defer tfs.Close()
		names, err := matchTracepoints(tfs, name)
		for i := range names {
			names[i] = "t:" + names[i]
		}
		return names, err
	}
	f, err := kernel.FS{}.Kallsyms()
	if err != nil {
		return nil, refused("", err)
	}
	defer f.Close()
	symbols, err := kernel.Glob(f, glob)
	if err != nil {
		return nil, usage("%v", err)
	}
	var names []string
	for _, s := range symbols {
		name := s.Name
		if s.Module != "" {
			name = s.Module + ":" + name
		}
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names, nil
}

// CompileOnly compiles tools for this kernel without touching it.
func CompileOnly(l Layout, all []*event.Tool) ([]*event.Program, SavableLayout, error) {
	layout, err := OpenLayout(l)
	if err != nil {
		return nil, nil, err
	}
	d := fetchargs.Dialect69
	k := event.Kernel{Arch: arch, Types: layout}
	if tfs, err := tracefs.Open(); err == nil {
		defer tfs.Close()
		d = dialect(tfs)
		k.Tracepoint, k.EventProbe = tracepoints(tfs, layout), eventProbes(tfs, &Config{})
	}
	var programs []*event.Program
	for _, t := range all {
		c := &chooser{types: layout, others: t.Functions()}
		if t, _, err = locate(t, c); err != nil {
			return nil, nil, explain(err)
		}
		k.Dialect, k.Choose = d, c.choose
		p, err := event.Compile(t, nil, nil, k)
		if err != nil {
			return nil, nil, explain(err)
		}
		for _, compiled := range p.Probes {
			if err := compiled.Build(""); err != nil {
				return nil, nil, explain(err)
			}
		}
		programs = append(programs, p)
	}
	return programs, layout, nil
}

// KernelName is the running kernel, for people; "" if unknown.
func KernelName() string {
	id, err := kernel.FS{}.Identity()
	if err != nil {
		return ""
	}
	return id.String()
}

// Cleanup removes the probes of dead skprobes, and says which.
func Cleanup(w io.Writer) error {
	tfs, err := openTracefs()
	if err != nil {
		return err
	}
	defer tfs.Close()
	swept, err := tfs.Sweep()
	if err != nil {
		return &Error{Status: ExitFailed, Err: err}
	}
	failed := len(swept.Failed)
	for _, i := range swept.Instances {
		if i.Err != nil {
			failed++
			fmt.Fprintf(w, "could not remove the tracing instance %s: %v\n", i.Name, i.Err)
			continue
		}
		fmt.Fprintf(w, "removed the tracing instance %s\n", i.Name)
	}
	for _, e := range swept.Removed {
		fmt.Fprintf(w, "removed %s/%s\n", e.Group, e.Event)
	}
	if len(swept.Instances)+len(swept.Removed)+len(swept.Failed) == 0 {
		fmt.Fprintln(w, "nothing to remove")
	}
	for i, e := range swept.Failed {
		fmt.Fprintf(w, "could not remove %s/%s: %v\n", e.Group, e.Event, swept.Errs[i])
	}
	if failed > 0 {
		return &Error{Status: ExitFailed, Err: errors.New("not everything could be removed")}
	}
	return nil
}
