package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/internal/event"
)

// countFlags are those that count events instead of showing them.
type countFlags struct {
	fs    *pflag.FlagSet
	by    []string
	sum   []string
	hist  string
	every time.Duration
	total bool
	top   int
	sort  string

	noClear bool
}

func (f *countFlags) register(fs *pflag.FlagSet) {
	f.fs = fs
	fs.StringSliceVar(&f.by, "count-by", nil, "count events with the same `FIELD`,… instead of showing them")
	fs.StringSliceVar(&f.sum, "sum", nil, "add up this `FIELD`,… of the events that are counted together")
	fs.StringVar(&f.hist, "hist", "", "draw a histogram of this `FIELD`, with percentiles, of the events that are counted together")
	fs.DurationVar(&f.every, "every", 0, "show what was counted each time `D` (2s) has passed, and begin anew; 0: at the end")
	fs.DurationVar(&f.every, "timer", 0, "the same as --every `D`: a line each time it has passed")
	fs.BoolVar(&f.total, "total", false, "with --every: at the end, show also what was counted in all")
	fs.IntVar(&f.top, "top", 0, "show the first `N` rows only; 0: all")
	fs.StringVar(&f.sort, "sort", "desc", "order of rows by their sums, or else the count, or a column of theirs: `asc|desc|COLUMN[:asc]`")
}

// registerScreen adds what only tools need that draw tables anew.
func (f *countFlags) registerScreen(fs *pflag.FlagSet) {
	fs.BoolVarP(&f.noClear, "no-clear", "C", false, "show tables one below the other, also on a terminal")
}

// shortestEvery is the time that a table takes to be of use to anybody.
const shortestEvery = 10 * time.Millisecond

// counting is what the flags say, on top of how the tool counts by itself (nil:
// it does not); nil where events are shown one by one.
func (f *countFlags) counting(own *event.Counting) (*event.Counting, error) {
	given := f.fs.Changed
	var c event.Counting
	if own != nil {
		c = *own
	}
	c.Redraw = c.Redraw && !f.noClear
	if given("count-by") {
		c.By = f.by
	}
	if given("sum") {
		c.Sums = nil
		for _, field := range f.sum {
			c.Sums = append(c.Sums, event.Sum{Field: field, Name: "sum_" + field})
		}
	}
	if given("hist") {
		c.Hist = f.hist
	}
	if given("every") || given("timer") {
		c.Every = f.every
	}
	c.Total = f.total
	if given("top") {
		c.Top = f.top
	}
	if err := f.check(&c); err != nil {
		return nil, err
	}
	if len(c.By) == 0 && len(c.Sums) == 0 && c.Hist == "" && c.Every == 0 {
		return nil, nil
	}
	if given("ustack") {
		return nil, usagef("--ustack shows the stack of each event, and events are counted here")
	}
	if given("stack") {
		return nil, usagef("--stack shows the stack of each event, and events are counted here")
	}
	return &c, f.order(&c)
}

// check refuses what cannot be meant.
func (f *countFlags) check(c *event.Counting) error {
	given := f.fs.Changed
	switch {
	case given("count-by") && (len(f.by) == 0 || slices.Contains(f.by, "")):
		return usagef("--count-by %s: it is one field or several, with commas between", strings.Join(f.by, ","))
	case given("sum") && (len(f.sum) == 0 || slices.Contains(f.sum, "")):
		return usagef("--sum %s: it is one field or several, with commas between", strings.Join(f.sum, ","))
	case given("hist") && f.hist == "":
		return usagef("--hist: it is a field")
	case f.every != 0 && f.every < shortestEvery:
		return usagef("--every %v: it is %v at least", f.every, shortestEvery)
	case f.top < 0:
		return usagef("--top %d: it cannot be negative", f.top)
	}
	if f.total && c.Every == 0 {
		return usagef("--total needs --every: without it there are only the rows of the whole run")
	}
	for _, flag := range []string{"top", "sort"} {
		if given(flag) && len(c.By) == 0 {
			return usagef("--%s needs --count-by: without it there is one row", flag)
		}
	}
	return nil
}

// order reads --sort.
func (f *countFlags) order(c *event.Counting) error {
	if !f.fs.Changed("sort") {
		return nil
	}
	column, order, _ := strings.Cut(f.sort, ":")
	if order == "" && (column == "asc" || column == "desc") {
		column, order = c.Order, column
	}
	if !slices.Contains([]string{"", "asc", "desc"}, order) || column == "" && f.sort != "asc" && f.sort != "desc" {
		return usagef("--sort %s: it is asc, desc, or a column of the rows, with :asc after it for the smallest first", f.sort)
	}
	c.Order, c.Ascending = column, order == "asc"
	return nil
}
