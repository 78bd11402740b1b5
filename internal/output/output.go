// Package output writes events: as a table to look at, as JSON lines and as
// CSV to compute with, and their packets for programs that read such.
package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/skprobe/skprobe/internal/event"
)

// A Sink takes the events of a run, in the order in which they are to be
// shown, from one goroutine.
//
// What it writes collects in a buffer; Flush, called after each batch of
// events, hands it on. The first error of the underlying writer is returned
// by that call and all later ones, wrapped, so that errors.Is(err,
// syscall.EPIPE) tells that the reader went away.
type Sink interface {
	// Event writes an event. It keeps nothing of it.
	Event(e *event.Event) error
	Flush() error
	// Close flushes, and writes the summary in formats that have a place
	// for it. It does not close the underlying writer.
	Close(s Summary) error
}

// Formats lists the names that New knows, the default first.
var Formats = []string{"table", "json", "csv"}

// Options are how events are shown.
type Options struct {
	// Wide shows in tables all columns that there are.
	Wide bool
	// Timestamp is the first column of tables. JSON and CSV always have
	// the wall-clock time with nanoseconds.
	Timestamp Timestamp
	// Location is the time zone of wall-clock times; nil is time.Local,
	// which the environment variable TZ chooses.
	Location *time.Location
	// Stack tells that events carry stacks: CSV has a column for them.
	// Tables and JSON show a stack wherever there is one.
	Stack bool
	// UserStack tells the same of stacks of programs.
	UserStack bool
	// Screen, where it is not nil, tells how many lines and columns the
	// terminal has on which a table that is shown again takes the place of
	// the last one.
	Screen func() (lines, columns int)
}

// New returns a sink that writes events of the schema to w. What comes before
// the first event, such as the header of a table, waits in the buffer: call
// Flush to show it as soon as the probes are armed.
func New(format string, w io.Writer, schema *event.Schema, opts Options) (Sink, error) {
	if err := check(schema); err != nil {
		return nil, err
	}
	if opts.Timestamp == "" {
		opts.Timestamp = Wall
	}
	if opts.Location == nil {
		opts.Location = time.Local
	}
	if !slices.Contains(Timestamps, opts.Timestamp) {
		return nil, fmt.Errorf("timestamp %q is none of %s", opts.Timestamp, join(Timestamps))
	}
	switch format {
	case "table", "":
		return newTable(w, schema, opts), nil
	case "json":
		return newJSON(w, schema, opts), nil
	case "csv":
		return newCSV(w, schema, opts), nil
	}
	return nil, fmt.Errorf("format %q is none of %s", format, join(Formats))
}

// common are the names that each event has before its columns, and "stack" and
// "ustack", which come after them.
var common = []string{"time", "event", "cpu", "pid", "tid", "comm", "stack", "ustack"}

// check finds what would make lines ambiguous: it is for who writes tools.
func check(schema *event.Schema) error {
	seen := map[string]bool{}
	for _, name := range common {
		seen[name] = true
	}
	for _, c := range schema.Columns {
		switch {
		case c.Name == "":
			return fmt.Errorf("%s: a column has no name", schema.Tool)
		case c.Kind == nil:
			return fmt.Errorf("%s: column %s has no kind", schema.Tool, c.Name)
		case seen[c.Name]:
			return fmt.Errorf("%s: the name %s is taken twice", schema.Tool, c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

func join[S ~string](names []S) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}
