package session

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// tracepoints finds the fields of static events in their format files.
func tracepoints(tfs *tracefs.FS, types fetchargs.Types) func(name string) ([]fetchargs.RecordField, error) {
	old, _ := forced()
	return func(name string) ([]fetchargs.RecordField, error) {
		if err := old.hasTracepoint(name); err != nil {
			return nil, err
		}
		group, ev, _ := strings.Cut(name, ":")
		format, err := tfs.Format(group, ev)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, noTracepoint(tfs, name)
		}
		if err != nil {
			return nil, fmt.Errorf("tracepoint %s: %w", name, err)
		}
		return kprobe.RecordFields(format, types), nil
	}
}

// noTracepoint says that there is none of that name, and which there are.
func noTracepoint(tfs *tracefs.FS, name string) error {
	err := absent{fmt.Sprintf("this kernel has no tracepoint %s", name)}
	all, aerr := tfs.Tracepoints()
	near := kernel.Near(name, all)
	if aerr != nil || len(near) == 0 {
		return err
	}
	err.text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	return err
}

// absent is an [fs.ErrNotExist] that says it in its own words.
type absent struct{ text string }

func (a absent) Error() string { return a.text }
func (a absent) Unwrap() error { return fs.ErrNotExist }

// matchTracepoints lists the tracepoints that match a pattern.
func matchTracepoints(tfs *tracefs.FS, pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, usage("pattern %q: expected *, ?, [a-z] and letters", pattern)
	}
	all, err := tfs.Tracepoints()
	if err != nil {
		return nil, refused("", err)
	}
	var names []string
	for _, name := range all {
		if ok, _ := path.Match(pattern, name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}
