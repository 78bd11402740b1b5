package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/callgraph"
	"github.com/skprobe/skprobe/tracefs"
)

// canTraceValues tells why the function_graph tracer does not record the values
// that are asked for: nil where it does.
func (g *Graph) canTraceValues(tfs *tracefs.FS) error {
	if g.Retval && !records(tfs, callgraph.ReturnRecord, callgraph.TracedRetval) {
		return errors.New("the function_graph tracer of this kernel records no results")
	}
	if !g.Args {
		return nil
	}
	if !records(tfs, callgraph.EntryRecord, callgraph.TracedArgs) {
		return errors.New("the function_graph tracer of this kernel records no arguments")
	}
	return ownOptions(tfs)
}

// records tells whether the tracer's records have a field.
func records(tfs *tracefs.FS, name, field string) bool {
	group, event, _ := strings.Cut(name, ":")
	format, err := tfs.Format(group, event)
	return err == nil && slices.ContainsFunc(format.Fields, func(f tracefs.Field) bool { return f.Name == field })
}

// An option of function_graph that has to do with nothing but the text of a trace.
const harmless = "options/funcgraph-tail"

// ownOptions tells whether the options of the tracer in an instance are its own:
// where all instances and the system share them, setting one would touch the
// system's trace.
func ownOptions(tfs *tracefs.FS) error {
	instance, err := tfs.NewInstance()
	if err != nil {
		return err
	}
	shared, err := sharesOptions(tfs, instance)
	if rerr := instance.Remove(); rerr != nil {
		return rerr
	}
	if err == nil && shared {
		err = errors.New("tracing instances share the options of function_graph with the system's own trace, which is not ours to change")
	}
	return err
}

func sharesOptions(tfs *tracefs.FS, instance *tracefs.Instance) (bool, error) {
	system, err := tfs.Get(harmless)
	if err != nil {
		return false, fmt.Errorf("options of function_graph: %w", err)
	}
	ours, err := instance.Get(harmless)
	if err != nil {
		return false, fmt.Errorf("options of function_graph: %w", err)
	}
	other := map[string]string{"0": "1", "1": "0"}[strings.TrimSpace(ours)]
	if err := instance.Set(harmless, other); err != nil {
		return false, fmt.Errorf("options of function_graph: %w", err)
	}
	now, err := tfs.Get(harmless)
	return err != nil || now != system, errors.Join(err, instance.Set(harmless, ours))
}
