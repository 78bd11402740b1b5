// Package aggregate counts events by what they have in common, adds up their numbers and draws up histograms of them. It is
// pure, and its memory is bounded.
package aggregate

import (
	"math"
	"math/bits"

	"github.com/skprobe/skprobe/internal/event"
)

// MaxKeys is how many rows a table can have. Events of others are counted together.
const MaxKeys = 16384

// A Table counts events. To count one of a known row allocates nothing.
type Table struct {
	keys []source
	sums []source
	hist source
	columns
	top   int
	order int // column by which rows are sorted, -1: by the sums
	least bool

	rows   map[string]*row
	list   []*row // of rows, in the order in which they came
	others row
	last   *row   // of the last event…
	key    []byte // …and its key
	next   []byte

	stale  bool // rows may have nothing in them
	beyond uint64
	shown  []Row
	values []event.Value
}

// A row is what was counted of events with the same key.
type row struct {
	key   string
	keys  []event.Value
	count uint64
	sums  []uint64
	hist  *Histogram
}

// Add counts an event.
func (t *Table) Add(ev *event.Event) {
	r := t.row(ev)
	r.count++
	if r == &t.others {
		t.beyond++
	}
	for i := range t.sums {
		if n, ok := t.sums[i].number(ev); ok {
			r.sums[i] = add(r.sums[i], n, t.sums[i].signed)
		}
	}
	if t.hist.from == nowhere {
		return
	}
	if n, ok := t.hist.number(ev); ok {
		r.hist.add(n)
	}
}

// row finds the row of an event.
func (t *Table) row(ev *event.Event) *row {
	b := t.next[:0]
	for i := range t.keys {
		b = t.keys[i].appendKey(b, ev)
	}
	if t.last != nil && string(b) == string(t.key) {
		t.next = b
		return t.last
	}
	t.key, t.next = b, t.key
	r := t.rows[string(b)]
	if r == nil {
		r = t.newRow(ev)
	}
	t.last = r
	return r
}

func (t *Table) newRow(ev *event.Event) *row {
	if len(t.rows) >= MaxKeys && t.stale {
		t.forget()
	}
	if len(t.rows) >= MaxKeys {
		return &t.others
	}
	r := &row{key: string(t.key)}
	t.prepare(r)
	for i := range t.keys {
		r.keys = append(r.keys, t.keys[i].copy(ev))
	}
	t.rows[r.key] = r
	t.list = append(t.list, r)
	return r
}

func (t *Table) prepare(r *row) {
	r.sums = make([]uint64, len(t.sums))
	if t.hist.from != nowhere {
		r.hist = &Histogram{signed: t.hist.signed}
	}
}

// add is a + b, or the nearest to it that there is.
func add(a, b uint64, signed bool) uint64 {
	if signed {
		sum := int64(a) + int64(b)
		switch {
		case int64(a) > 0 && int64(b) > 0 && sum < 0:
			return math.MaxInt64
		case int64(a) < 0 && int64(b) < 0 && sum >= 0:
			return 1 << 63
		}
		return uint64(sum)
	}
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// Reset begins to count anew. Rows that had nothing in them since the last Reset are forgotten; the others are kept for
// events that are like those before.
func (t *Table) Reset() {
	if t.stale {
		t.forget()
	}
	t.last = nil
	t.others.reset()
	for _, r := range t.list {
		r.reset()
	}
	t.stale = true
}

// forget takes away rows that have nothing in them.
func (t *Table) forget() {
	t.last = nil
	kept := t.list[:0]
	for _, r := range t.list {
		if r.count == 0 {
			delete(t.rows, r.key)
		} else {
			kept = append(kept, r)
		}
	}
	clear(t.list[len(kept):])
	t.list, t.stale = kept, false
}

func (r *row) reset() {
	r.count = 0
	clear(r.sums)
	if r.hist != nil {
		r.hist.reset()
	}
}

// Beyond is how many events since New were of more rows than the table can have.
func (t *Table) Beyond() uint64 { return t.beyond }
