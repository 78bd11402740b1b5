// Package callgraph makes call trees of functions that are entered and that
// return, of the records of the kernel's function_graph tracer or of probes.
package callgraph

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skprobe/skprobe/internal/event"
)

// Options say what of the calls is shown.
type Options struct {
	// Depth is how many levels are shown, 0 for all.
	Depth int
	// Min leaves out calls that took less, with all below them.
	Min time.Duration
	// Root, if not "", shows only calls of this function and what is below
	// them.
	Root string
	// Values, if not nil, has arguments and results shown.
	Values *Values
}

// callName is the name of the events that are shown.
const callName = "call"

// The columns.
const (
	durationColumn = "duration_us"
	depthColumn    = "depth"
	functionColumn = "function"
	callerColumn   = "caller"
)

var function = &event.Kind{Name: "function", Help: "name of a function", Class: event.Text, Width: 32, Indent: true}

var micros = &event.Kind{Name: "us", Help: "microseconds, with three decimals", Class: event.Decimal, Width: 12, Right: true}

// columns are what each call has.
func columns(o Options) []event.Field {
	fields := []event.Field{
		{Name: durationColumn, Computed: true, Kind: micros, Help: "time in the function and what it calls, in microseconds; absent where it had not returned"},
		{Name: functionColumn, Computed: true, Kind: function, Help: "function, with its module"},
		{Name: depthColumn, Computed: true, Kind: event.Uint, Wide: true, Help: "how many of the traced functions it was called through"},
		{Name: callerColumn, Computed: true, Kind: event.Char, Wide: true, Help: "the traced function that called it, directly or through others"},
	}
	return append(fields, o.Values.columns()...)
}

func tool(o Options, name func(*event.Schema) namer, events ...event.Source) *event.Tool {
	return &event.Tool{
		Name:    "graph",
		Short:   "calls of functions, as a tree",
		Events:  append([]event.Source{{Name: callName, Short: "a function that was called, when it has returned"}}, events...),
		Columns: slices.Concat([]string{durationColumn}, o.Values.before(), []string{functionColumn}, o.Values.behind(), []string{depthColumn, callerColumn}),
		Reduce:  func(s *event.Schema, _ event.Settings) event.Reducer { return newTrees(s, o, name(s)) },
	}
}

// The names of the events of the tracer.
const (
	enterName = "enter"
	leaveName = "leave"
)

// The tracer's records.
const (
	EntryRecord  = "ftrace:funcgraph_entry"
	ReturnRecord = "ftrace:funcgraph_exit"
)

// Traced is the tool that reads what the function_graph tracer records of all
// functions that it is set to. Its records must have the values that are asked for.
func Traced(o Options) *event.Tool {
	address := event.Field{Name: "func", Expr: "func", Kind: event.Hex, Hidden: true}
	times := []event.Field{
		{Name: "calltime", Expr: "calltime", Kind: event.Uint, Hidden: true, Optional: true},
		{Name: "rettime", Expr: "rettime", Kind: event.Uint, Hidden: true, Optional: true},
	}
	return tool(o, byAddress,
		event.Source{Name: enterName, Hidden: true, Probes: []event.Probe{{Tracepoint: EntryRecord, Fields: append(append(columns(o), address), o.Values.atTracedEntry()...)}}},
		event.Source{Name: leaveName, Hidden: true, Probes: []event.Probe{{Tracepoint: ReturnRecord, Fields: append(append(times, address), o.Values.atTracedReturn()...)}}})
}

// A Place is what was named: a function, a pattern of functions, or what stands
// for the functions, or patterns, that are listed.
type Place struct {
	Text   string
	Listed []string
}

// Source is the entry of the functions at a place. The error is an
// [*event.ParseError], or says that a place is none that has calls.
func (p Place) Source() (event.Source, error) {
	for _, text := range p.Listed {
		if _, err := (Place{Text: text}).Source(); err != nil {
			return event.Source{}, err
		}
	}
	if p.Listed != nil {
		return event.Source{Name: p.Text, Probes: []event.Probe{{Funcs: p.Listed, Glob: true}}}, nil
	}
	src, err := event.ParseProbe(p.Text)
	if err != nil {
		return src, err
	}
	if probe := &src.Probes[0]; probe.Tracepoint != "" || probe.Source != nil || probe.Offset != 0 || probe.Return || len(probe.Fields) > 0 {
		return src, fmt.Errorf("%q: a function, or a pattern of functions, is needed, and nothing else", p.Text)
	}
	return src, nil
}

// Probed is the tool that probes the functions at these places where they are
// entered and where they return. The error is that of [Place.Source].
func Probed(places []Place, o Options) (*event.Tool, error) {
	t := tool(o, byName)
	for _, place := range places {
		src, err := place.Source()
		if err != nil {
			return nil, err
		}
		p := &src.Probes[0]
		enter, leave := src, src
		enter.Hidden, leave.Hidden = true, true
		enter.Probes = []event.Probe{*p}
		enter.Probes[0].Fields = append(columns(o), o.Values.atEntry()...)
		leave.Name += returnSuffix
		leave.Probes = []event.Probe{*p}
		leave.Probes[0].Return = true
		leave.Probes[0].Fields = o.Values.atReturn()
		t.Events = append(t.Events, leave, enter)
	}
	return t, nil
}

// returnSuffix ends the names of events at returns.
const returnSuffix = "%return"

// A namer tells which function an event is about, and whether it returns.
type namer func(ev *event.Event) (name string, leaves bool)

// byName names functions by the events of probes.
func byName(*event.Schema) namer {
	return func(ev *event.Event) (string, bool) { return strings.CutSuffix(ev.Name, returnSuffix) }
}

// byAddress names functions by their addresses.
func byAddress(s *event.Schema) namer {
	column := s.Index("func")
	names := map[uint64]string{}
	return func(ev *event.Event) (string, bool) {
		v := ev.Value(column)
		if v == nil {
			return "", false
		}
		name, known := names[v.Num]
		if !known {
			name = symbol(s, v.Num)
			names[v.Num] = name
		}
		return name, ev.Name == leaveName
	}
}

// symbol is the name of the function at an address: MODULE:FUNCTION, as probes
// have it.
func symbol(s *event.Schema, addr uint64) string {
	if s.Symbol == nil {
		return fmt.Sprintf("0x%x", addr)
	}
	name, rest, _ := strings.Cut(string(s.Symbol(nil, addr)), "+")
	if _, module, ok := strings.Cut(rest, " ["); ok {
		name = strings.TrimSuffix(module, "]") + ":" + name
	}
	return name
}
