package output

import (
	"fmt"
	"io"
	"time"

	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
)

// Counts is a sink that counts events, and writes the rows of their table.
type Counts struct {
	table *aggregate.Table
	total *aggregate.Table // of the whole run, nil where it is not wanted
	to    rowWriter
	shown bool // something was
	dirty bool // there are events that were not
}

// A rowWriter writes rows in one format.
type rowWriter interface {
	// write writes the rows of the time up to a moment, or those of the whole run.
	write(rows []aggregate.Row, wall int64, mono uint64, whole bool)
	Flush() error
}

// NewCounts returns a sink that counts the events of a run in t, and where total is not nil in that one too, whose rows are the last
// to be shown. repeated tells that rows will be shown more than once. Of the options, those about single events are not used.
func NewCounts(format string, w io.Writer, t, total *aggregate.Table, repeated bool, opts Options) (*Counts, error) {
	if opts.Timestamp == "" {
		opts.Timestamp = Wall
	}
	if opts.Location == nil {
		opts.Location = time.Local
	}
	s := &Counts{table: t, total: total}
	switch format {
	case "table", "":
		s.to = newTableRows(w, t, repeated, opts)
	case "json":
		s.to = newJSONRows(w, t, opts)
	case "csv":
		s.to = newCSVRows(w, t, total != nil, opts)
	default:
		return nil, fmt.Errorf("format %q is none of %s", format, join(Formats))
	}
	return s, nil
}

// Event counts an event.
func (s *Counts) Event(e *event.Event) error {
	s.table.Add(e)
	if s.total != nil {
		s.total.Add(e)
	}
	s.dirty = true
	return nil
}

// Show writes the rows of the time up to a moment, in nanoseconds since 1970 UTC and of CLOCK_MONOTONIC, and begins to count
// anew.
func (s *Counts) Show(wall int64, mono uint64) error {
	s.to.write(s.table.Rows(), wall, mono, false)
	s.table.Reset()
	s.shown, s.dirty = true, false
	return s.to.Flush()
}

// End is Show at the end of a run, and shows the rows of all of it where they are wanted. What it shows of the time since the last Show
// is nothing where nothing came.
func (s *Counts) End(wall int64, mono uint64) error {
	if s.dirty || !s.shown {
		if err := s.Show(wall, mono); err != nil {
			return err
		}
	}
	if s.total != nil {
		s.to.write(s.total.Rows(), wall, mono, true)
	}
	return s.to.Flush()
}

// Flush writes nothing of what is counted.
func (s *Counts) Flush() error { return s.to.Flush() }

// Close writes nothing of what is counted: that is End's.
func (s *Counts) Close(Summary) error { return s.to.Flush() }

// percentiles are those that are shown of a histogram, before its largest number.
var percentiles = []struct {
	name    string
	percent float64
}{{"p50", 50}, {"p90", 90}, {"p99", 99}}

// eachPercentile yields the names and values of a histogram's percentiles and of its largest number.
func eachPercentile(h *aggregate.Histogram) func(yield func(string, event.Value) bool) {
	return func(yield func(string, event.Value) bool) {
		if h.Count() == 0 {
			return
		}
		for _, p := range percentiles {
			if !yield(p.name, event.Value{Set: true, Num: h.Percentile(p.percent)}) {
				return
			}
		}
		yield("max", event.Value{Set: true, Num: h.Max()})
	}
}
