package session

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/output"
)

// columns are those that are fetched only on request, where they are requested: by a flag, or because events are counted by
// them.
func (cfg *Config) columns() []string {
	all := slices.Concat(cfg.Columns, cfg.With)
	if c := cfg.Counting; c != nil {
		all = append(append(all, c.By...), c.Hist)
		for _, sum := range c.Sums {
			all = append(all, sum.Field)
		}
	}
	return all
}

// counts is a table in which events are counted, nil where they are shown.
func (cfg *Config) counts(s *event.Schema) (*aggregate.Table, error) {
	if cfg.Counting == nil {
		return nil, nil
	}
	t, err := aggregate.New(s, cfg.possible(s))
	var field *aggregate.FieldError
	switch {
	case err == nil:
		return t, nil
	case errors.As(err, &field) && field.Problem == "":
		return nil, usage("--%s: %s", field.Use, filter.Unknown(field.Field, s))
	}
	return nil, usage("--%v", err)
}

// possible is how events are counted, without those columns by which the tool
// counts by itself and which are not there on this kernel.
func (cfg *Config) possible(s *event.Schema) event.Counting {
	c := *cfg.Counting
	own := cfg.Tool.Counting
	if own == nil {
		return c
	}
	missing := func(name string) bool {
		return s.Column(name) < 0 && slices.ContainsFunc(cfg.Tool.Fields(), func(c event.Column) bool { return c.Name == name })
	}
	c.By = slices.DeleteFunc(slices.Clone(c.By), func(name string) bool { return missing(name) && slices.Contains(own.By, name) })
	c.Sums = slices.DeleteFunc(slices.Clone(c.Sums), func(sum event.Sum) bool { return missing(sum.Field) && slices.Contains(own.Sums, sum) })
	return c
}

// screen tells how many lines and columns the terminal has to which tables are
// written, nil where they are written to none.
func (cfg *Config) screen() func() (lines, columns int) {
	if cfg.Output != "" || cfg.Stdout == nil {
		return nil
	}
	size := func() (lines, columns int) {
		w, err := unix.IoctlGetWinsize(int(cfg.Stdout.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 0, 0
		}
		return int(w.Row), int(w.Col)
	}
	if lines, _ := size(); lines == 0 {
		return nil
	}
	return size
}

// newSink makes the place for events, or for what is counted of them.
func (r *run) newSink(w io.Writer, opts output.Options) (sink output.Sink, err error) {
	cfg := r.cfg
	if table := r.attached.counts; table != nil {
		if cfg.Counting.Redraw {
			opts.Screen = cfg.screen()
		}
		r.counts, err = output.NewCounts(cfg.Format, w, table, r.attached.total, cfg.Counting.Every > 0, opts)
		sink = r.counts
	} else {
		sink, err = output.New(cfg.Format, w, &r.attached.program.Schema, opts)
	}
	if err != nil {
		return nil, &Error{Status: ExitUsage, Err: err}
	}
	return sink, nil
}

// tick shows what was counted up to a time.
func (r *run) tick(mono uint64) error {
	r.clock()
	return r.counts.Show(int64(mono)+r.wall, mono)
}

// lastCounts shows what was counted until the end.
func (r *run) lastCounts() error {
	var now unix.Timespec
	if r.counts == nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return nil
	}
	return r.counts.End(now.Nano()+r.wall, uint64(now.Nano()))
}

// warnBeyond says how many events did not find a row.
func (a *attached) warnBeyond(w io.Writer) {
	if a.counts == nil {
		return
	}
	beyond := a.counts.Beyond()
	if a.total != nil {
		beyond = max(beyond, a.total.Beyond())
	}
	if beyond == 0 {
		return
	}
	var keys []string
	for _, c := range a.counts.Columns()[:a.counts.Keys()] {
		keys = append(keys, c.Name)
	}
	fmt.Fprintf(w, "skprobe: warning: %d events are counted as others: there were more than %d different values of %s at a time\n",
		beyond, aggregate.MaxKeys, strings.Join(keys, ", "))
}
