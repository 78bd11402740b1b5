package aggregate

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

// A Row is what was counted of events that have their keys in common.
type Row struct {
	Values []event.Value // parallel to Columns
	Hist   *Histogram    // nil where none was asked for
	// Others marks the row of all events for which there was no room: its keys are absent. It is the last.
	Others bool
}

// Columns are what rows consist of: the keys, the count and the sums.
func (t *Table) Columns() []event.Column { return t.all }

// Keys is how many of the columns, the first ones, are keys.
func (t *Table) Keys() int { return len(t.keys) }

// Hist is the column of which there are histograms; without, its name is "".
func (t *Table) Hist() event.Column { return t.drew }

// Rows returns the rows that have something in them, in their order, the first ones only where that was asked for. Without keys
// there is always one. They are valid until the next call of a method.
func (t *Table) Rows() []Row {
	t.shown, t.values = t.shown[:0], t.values[:0]
	if len(t.keys) == 0 && len(t.list) == 0 {
		r := &row{}
		t.prepare(r)
		t.rows[""], t.list = r, append(t.list, r)
	}
	for _, r := range t.list {
		if r.count > 0 || len(t.keys) == 0 {
			t.show(r, r.keys)
		}
	}
	slices.SortStableFunc(t.shown, t.compare)
	if t.top > 0 {
		t.shown = t.shown[:min(t.top, len(t.shown))]
	}
	if t.others.count > 0 {
		t.show(&t.others, make([]event.Value, len(t.keys)))
		t.shown[len(t.shown)-1].Others = true
	}
	return t.shown
}

// show adds a row to those that are shown.
func (t *Table) show(r *row, keys []event.Value) {
	start := len(t.values)
	t.values = append(t.values, keys...)
	t.values = append(t.values, event.Value{Set: true, Num: r.count})
	for _, n := range r.sums {
		t.values = append(t.values, event.Value{Set: true, Num: n})
	}
	t.shown = append(t.shown, Row{Values: t.values[start:len(t.values):len(t.values)], Hist: r.hist})
}

// compare orders rows. What is absent is less than everything else.
func (t *Table) compare(a, b Row) int {
	var n int
	if t.order < 0 {
		n = t.compareSums(a, b)
	} else {
		n = compare(t.all[t.order].Kind.Class, &a.Values[t.order], &b.Values[t.order])
	}
	if t.least {
		return n
	}
	return -n
}

// compareSums compares the sums, added up.
func (t *Table) compareSums(a, b Row) int {
	total := func(r Row) (sum int64) {
		for i, v := range r.Values[len(t.keys)+1:] {
			if t.sums[i].signed {
				sum = int64(add(uint64(sum), v.Num, true))
			} else {
				sum = int64(add(uint64(sum), min(v.Num, math.MaxInt64), true))
			}
		}
		return sum
	}
	return cmp.Compare(total(a), total(b))
}

// compare compares two values of a class.
func compare(class event.Class, v, w *event.Value) int {
	switch {
	case !v.Set || !w.Set:
		return cmp.Compare(boolInt(v.Set), boolInt(w.Set))
	case class == event.Signed:
		return cmp.Compare(int64(v.Num), int64(w.Num))
	case class == event.Address:
		return v.Addr.Compare(w.Addr)
	case class == event.Text:
		return cmp.Or(bytes.Compare(v.Text, w.Text), cmp.Compare(v.Num, w.Num))
	}
	return cmp.Compare(v.Num, w.Num)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
