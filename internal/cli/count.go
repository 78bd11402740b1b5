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
	top   int
	sort  string
}

func (f *countFlags) register(fs *pflag.FlagSet) {
	f.fs = fs
	fs.StringSliceVar(&f.by, "count-by", nil, "count events with the same `FIELD`,… instead of showing them")
	fs.StringSliceVar(&f.sum, "sum", nil, "add up this `FIELD`,… of the events that are counted together")
	fs.StringVar(&f.hist, "hist", "", "draw a histogram of this `FIELD`, with percentiles, of the events that are counted together")
	fs.DurationVar(&f.every, "every", 0, "show what was counted each time `D` (2s) has passed, and begin anew; without, at the end")
	fs.IntVar(&f.top, "top", 0, "show the first `N` rows only")
	fs.StringVar(&f.sort, "sort", "desc", "order of rows by the first sum, or else the count, or a column of theirs: `asc|desc|COLUMN[:asc]`")
}

// shortestEvery is the time that a table takes to be of use to anybody.
const shortestEvery = 10 * time.Millisecond

// counting is what the flags say, nil where they say that events are shown.
func (f *countFlags) counting() (*event.Counting, error) {
	given := f.fs.Changed
	switch {
	case given("count-by") && (len(f.by) == 0 || slices.Contains(f.by, "")):
		return nil, usagef("--count-by %s: it is one field or several, with commas between", strings.Join(f.by, ","))
	case given("sum") && (len(f.sum) == 0 || slices.Contains(f.sum, "")):
		return nil, usagef("--sum %s: it is one field or several, with commas between", strings.Join(f.sum, ","))
	case given("hist") && f.hist == "":
		return nil, usagef("--hist: it is a field")
	case given("every") && f.every < shortestEvery:
		return nil, usagef("--every %v: it is %v at least", f.every, shortestEvery)
	case given("top") && f.top <= 0:
		return nil, usagef("--top %d: it is 1 at least", f.top)
	case given("top") && len(f.by) == 0:
		return nil, usagef("--top needs --count-by: without it there is one row")
	case given("sort") && len(f.by) == 0:
		return nil, usagef("--sort needs --count-by: without it there is one row")
	case len(f.by) == 0 && len(f.sum) == 0 && f.hist == "" && f.every == 0:
		return nil, nil
	case given("stack"):
		return nil, usagef("--stack shows the stack of each event; it excludes --count-by, --sum, --hist and --every")
	}
	c := &event.Counting{By: f.by, Hist: f.hist, Every: f.every, Top: f.top}
	for _, field := range f.sum {
		c.Sums = append(c.Sums, event.Sum{Field: field, Name: "sum_" + field})
	}
	var order string
	c.Order, order, _ = strings.Cut(f.sort, ":")
	if order == "" && (c.Order == "asc" || c.Order == "desc") {
		c.Order, order = "", c.Order
	}
	if !slices.Contains([]string{"", "asc", "desc"}, order) {
		return nil, usagef("--sort %s: it is asc, desc, or a column of the rows, with :asc after it for the smallest first", f.sort)
	}
	c.Ascending = order == "asc"
	return c, nil
}
