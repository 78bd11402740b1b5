package aggregate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// A FieldError is a field that cannot be counted so.
type FieldError struct {
	Use     string // "count-by", "sum", "hist", "sort"
	Field   string
	Problem string // what is wrong with it, "" where there is no such field
}

func (e *FieldError) Error() string {
	if e.Problem == "" {
		return fmt.Sprintf("%s: there is no field %q", e.Use, e.Field)
	}
	return fmt.Sprintf("%s %s: %s", e.Use, e.Field, e.Problem)
}

// columns are what rows consist of.
type columns struct {
	all  []event.Column
	drew event.Column // of which there are histograms
}

// Count is the name of the column with the number of events.
const Count = "count"

// New returns an empty table for events of the schema. The error is a [*FieldError].
func New(s *event.Schema, c event.Counting) (*Table, error) {
	t := &Table{rows: map[string]*row{}, top: c.Top, least: c.Ascending}
	for _, name := range c.By {
		src, column, err := find(s, "count-by", name)
		switch {
		case err != nil && c.Some:
			continue
		case name == "time":
			return nil, &FieldError{"count-by", name, "each event has one of its own; give a time after which counting begins anew (every)"}
		case name == Count:
			return nil, &FieldError{"count-by", name, "rows have the number of events in a column of this name"}
		case err != nil:
			return nil, err
		case slices.ContainsFunc(t.all, func(c event.Column) bool { return c.Name == name }):
			return nil, &FieldError{"count-by", name, "it is named twice"}
		}
		t.keys = append(t.keys, src)
		t.all = append(t.all, column)
	}
	t.all = append(t.all, event.Column{Name: Count, Kind: &event.Kind{Name: "number", Class: event.Unsigned, Width: 8, Right: true}})
	for _, sum := range c.Sums {
		src, column, err := t.numeric(s, "sum", sum.Field, "added up")
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(t.all, func(c event.Column) bool { return c.Name == sum.Name }) {
			return nil, &FieldError{"sum", sum.Field, "it is named twice"}
		}
		t.sums = append(t.sums, src)
		t.all = append(t.all, event.Column{Name: sum.Name, Kind: amount(column.Kind)})
	}
	if c.Hist != "" {
		src, column, err := t.numeric(s, "hist", c.Hist, "drawn as a histogram")
		if err != nil {
			return nil, err
		}
		t.hist = src
		t.drew = event.Column{Name: column.Name, Kind: amount(column.Kind)}
	}
	t.prepare(&t.others)
	return t, t.sortBy(c)
}

// numeric finds a field that must be a number.
func (t *Table) numeric(s *event.Schema, use, name, done string) (source, event.Column, error) {
	src, column, err := find(s, use, name)
	if err != nil {
		return src, column, err
	}
	what := map[event.Class]string{event.Text: "text", event.Address: "an address", event.Bool: "true or false"}[src.class]
	if what != "" {
		return src, column, &FieldError{use, name, fmt.Sprintf("it is %s, and only numbers can be %s", what, done)}
	}
	return src, column, nil
}

// amount is how sums and bounds of a kind's values are shown. Names and hexadecimal forms are those of single values.
func amount(k *event.Kind) *event.Kind {
	if k == event.Duration {
		return k
	}
	return &event.Kind{Name: k.Name, Class: k.Class, Width: max(k.Width, 10), Right: true}
}

// sortBy finds the column by which rows are sorted.
func (t *Table) sortBy(c event.Counting) error {
	if c.Order == "" {
		t.order = -1
		if len(t.sums) == 0 {
			t.order = len(t.keys)
		}
		return nil
	}
	t.order = slices.IndexFunc(t.all, func(col event.Column) bool { return col.Name == c.Order })
	if t.order < 0 {
		var names []string
		for _, col := range t.all {
			names = append(names, col.Name)
		}
		return &FieldError{"sort", c.Order, "it is no column of the rows: " + strings.Join(names, ", ")}
	}
	return nil
}
