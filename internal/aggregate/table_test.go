package aggregate

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

var schema = &event.Schema{Tool: "test", Task: true, Events: []string{"a", "b"}, Columns: []event.Column{
	{Name: "raddr", Kind: event.Addr}, {Name: "name", Kind: event.Char}, {Name: "size", Kind: event.Size},
	{Name: "ret", Kind: event.Errno}, {Name: "took", Kind: event.Duration}, {Name: "family", Kind: event.Family}, {Name: "ok", Kind: event.BoolKind}}}

// randomEvent has few different values in each field, and none in some.
func randomEvent(random *rand.Rand, ev *event.Event) {
	ev.Name = []string{"a", "b"}[random.IntN(2)]
	ev.CPU, ev.Task = random.Uint32N(2), random.IntN(5) > 0
	ev.PID, ev.TID, ev.Comm = random.Uint32N(3)+1, random.Uint32N(3)+1, []string{"", "x", "xy"}[random.IntN(3)]
	for i := range ev.Values {
		ev.Values[i] = event.Value{Set: random.IntN(6) > 0}
	}
	ev.Values[0].Addr = []netip.Addr{netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1"), netip.MustParseAddr("::102:304")}[random.IntN(3)]
	ev.Values[1].Text = []byte([]string{"", "x", "a\x00b"}[random.IntN(3)])
	ev.Values[2].Num = random.Uint64N(100)
	ev.Values[3].Num = uint64(random.Int64N(100) - 50)
	ev.Values[4].Num = random.Uint64N(3)
	ev.Values[5].Num = random.Uint64N(3)
}

func newEvent() *event.Event { return &event.Event{Values: make([]event.Value, len(schema.Columns))} }

// valueText shows the field of an event as only the model needs it.
func valueText(ev *event.Event, name string) string {
	task := func(v any) string {
		if !ev.Task || v == "" {
			return "-"
		}
		return fmt.Sprint(v)
	}
	switch name {
	case "event":
		return ev.Name
	case "cpu":
		return fmt.Sprint(ev.CPU)
	case "pid":
		return task(ev.PID)
	case "tid":
		return task(ev.TID)
	case "comm":
		return task(ev.Comm)
	}
	v := ev.Values[schema.Column(name)]
	if !v.Set {
		return "-"
	}
	return fmt.Sprintf("%d %v %q", v.Num, v.Addr, v.Text)
}

// Whatever is counted by whatever fields, in several rounds, the rows are those of a simple model.
func TestModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fields := []string{"event", "cpu", "pid", "tid", "comm", "raddr", "name", "size", "family", "took"}
	for range 200 {
		random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		by := slices.Clone(fields[:random.IntN(4)])
		table, err := New(schema, event.Counting{By: by, Sums: []event.Sum{{Field: "size", Name: "sum_size"}, {Field: "ret", Name: "sum_ret"}}, Ascending: true, Order: "sum_ret"})
		if err != nil {
			t.Fatal(err)
		}
		ev := newEvent()
		for range 3 {
			want := map[string][3]int64{}
			for range random.IntN(300) {
				randomEvent(random, ev)
				var key []string
				for _, f := range by {
					key = append(key, valueText(ev, f))
				}
				sums := want[strings.Join(key, "|")]
				sums[0]++
				for i, f := range []string{"size", "ret"} {
					if v := ev.Values[schema.Column(f)]; v.Set {
						sums[i+1] += int64(v.Num)
					}
				}
				want[strings.Join(key, "|")] = sums
				table.Add(ev)
				ev.Values[1].Text = nil // nothing of an event may be kept
			}
			if len(by) == 0 && len(want) == 0 {
				want[""] = [3]int64{}
			}
			got := map[string][3]int64{}
			last := int64(math.MinInt64)
			for _, r := range table.Rows() {
				var key []string
				row := newEvent()
				for i, f := range by {
					v := r.Values[i]
					if c := schema.Column(f); c >= 0 {
						row.Values[c] = v
						key = append(key, valueText(row, f))
					} else if v.Text != nil && v.Set {
						key = append(key, string(v.Text))
					} else if v.Set {
						key = append(key, fmt.Sprint(v.Num))
					} else {
						key = append(key, "-")
					}
				}
				sums := r.Values[len(by):]
				got[strings.Join(key, "|")] = [3]int64{int64(sums[0].Num), int64(sums[1].Num), int64(sums[2].Num)}
				if n := int64(sums[2].Num); n < last {
					t.Errorf("%d after %d", n, last)
				} else {
					last = n
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("by %q:\n got %v\nwant %v", by, got, want)
			}
			table.Reset()
		}
	}
}

// There are never more rows than there may be. What has no room is counted, and rows that have nothing in them make room.
func TestMost(t *testing.T) {
	table, err := New(schema, event.Counting{By: []string{"size"}, Top: 2})
	if err != nil {
		t.Fatal(err)
	}
	ev := newEvent()
	add := func(from, n int) {
		for i := range n {
			ev.Values[2] = event.Value{Set: true, Num: uint64(from + i)}
			table.Add(ev)
			table.Add(ev)
		}
	}
	add(0, MaxKeys+5)
	rows := table.Rows()
	if len(rows) != 3 || !rows[2].Others || rows[2].Values[0].Set || rows[2].Values[1].Num != 10 || rows[0].Others {
		t.Errorf("rows %+v", rows)
	}
	if table.Beyond() != 10 || len(table.rows) != MaxKeys || len(table.list) != MaxKeys {
		t.Errorf("%d beyond, %d and %d rows", table.Beyond(), len(table.rows), len(table.list))
	}
	table.Reset()
	add(MaxKeys+100, MaxKeys)
	if rows := table.Rows(); len(rows) != 2 || rows[0].Values[1].Num != 2 || table.Beyond() != 10 {
		t.Errorf("after new ones: %d rows, %d beyond", len(rows), table.Beyond())
	}
	table.Reset()
	table.Reset()
	if len(table.rows) != 0 || len(table.Rows()) != 0 {
		t.Errorf("%d rows of nothing", len(table.rows))
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		counting event.Counting
		want     string
	}{
		{event.Counting{}, "5 1 2 -"},
		{event.Counting{Ascending: true}, "2 - 1 5"},
		{event.Counting{Top: 2}, "5 1"},
		{event.Counting{Sums: []event.Sum{{Field: "took", Name: "took"}}}, "1 2 5 -"},
		{event.Counting{Sums: []event.Sum{{Field: "took", Name: "took"}}, Order: "count"}, "5 1 2 -"},
		{event.Counting{Sums: []event.Sum{{Field: "took", Name: "took"}, {Field: "size", Name: "sum_size"}}}, "1 5 2 -"},
		{event.Counting{Order: "size"}, "5 2 1 -"},
		{event.Counting{Order: "size", Ascending: true}, "- 1 2 5"},
	} {
		c.counting.By = []string{"size"}
		table, err := New(schema, c.counting)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []struct{ size, took uint64 }{{2, 7}, {5, 1}, {5, 1}, {1, 9}, {5, 1}, {1, 9}} {
			ev := newEvent()
			ev.Values[2], ev.Values[4] = event.Value{Set: true, Num: n.size}, event.Value{Set: true, Num: n.took}
			table.Add(ev)
		}
		table.Add(newEvent())
		var got []string
		for _, r := range table.Rows() {
			if v := r.Values[0]; v.Set {
				got = append(got, fmt.Sprint(v.Num))
			} else {
				got = append(got, "-")
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q, want %q", c.counting, got, c.want)
		}
	}
}

func TestNewErrors(t *testing.T) {
	softirq := *schema
	softirq.Task = false
	sum := func(f string) event.Counting { return event.Counting{Sums: []event.Sum{{Field: f, Name: "sum_" + f}}} }
	for _, c := range []struct {
		schema   *event.Schema
		counting event.Counting
		want     string
	}{
		{schema, event.Counting{By: []string{"pid", "rport"}}, `count-by: there is no field "rport"`},
		{&softirq, event.Counting{By: []string{"pid"}}, "count-by pid: these events are not of a process"},
		{schema, event.Counting{By: []string{"time"}}, "each event has one of its own"},
		{schema, event.Counting{By: []string{"pid", "pid"}}, "count-by pid: it is named twice"},
		{schema, sum("nosuch"), `sum: there is no field "nosuch"`},
		{schema, sum("comm"), "sum comm: it is text, and only numbers can be added up"},
		{schema, sum("raddr"), "sum raddr: it is an address"},
		{schema, sum("ok"), "sum ok: it is true or false"},
		{schema, event.Counting{Sums: append(sum("size").Sums, sum("size").Sums...)}, "sum size: it is named twice"},
		{schema, event.Counting{Hist: "family"}, "hist family: it is text, and only numbers can be drawn as a histogram"},
		{schema, event.Counting{By: []string{"pid"}, Order: "size"}, "sort size: it is no column of the rows: pid, count"},
	} {
		if _, err := New(c.schema, c.counting); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.counting, err, c.want)
		}
	}
}

// Sums stop at the largest number that there is.
func TestSaturation(t *testing.T) {
	least := int64(math.MinInt64)
	for _, c := range []struct {
		a, b   uint64
		signed bool
		want   uint64
	}{
		{1, 2, false, 3}, {math.MaxUint64, 1, false, math.MaxUint64}, {math.MaxUint64, 1, true, 0},
		{math.MaxInt64, 1, true, math.MaxInt64}, {uint64(least), math.MaxUint64, true, uint64(least)}, {uint64(least), 1, true, uint64(least + 1)},
	} {
		if got := add(c.a, c.b, c.signed); got != c.want {
			t.Errorf("%d + %d: %d, not %d", c.a, c.b, got, c.want)
		}
	}
}

// Events of known rows cost no memory, in a later round neither.
func TestNoAllocations(t *testing.T) {
	table, events := busy(t)
	if n := testing.AllocsPerRun(20, func() {
		for _, ev := range events {
			table.Add(ev)
		}
		table.Reset()
	}); n > 0 {
		t.Errorf("%v allocations for %d events", n, len(events))
	}
}

// busy is a table that has counted events of 1,000 different keys.
func busy(t testing.TB) (*Table, []*event.Event) {
	table, err := New(schema, event.Counting{By: []string{"comm", "raddr", "name", "pid"}, Sums: []event.Sum{{Field: "size", Name: "sum_size"}}, Hist: "took"})
	if err != nil {
		t.Fatal(err)
	}
	var events []*event.Event
	for i := range 1000 {
		ev := newEvent()
		ev.Task, ev.PID, ev.Comm = true, uint32(1000+i%10), "isc-net-0000"
		ev.Values[0] = event.Value{Set: true, Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
		ev.Values[1] = event.Value{Set: true, Text: []byte("example.com")}
		ev.Values[2] = event.Value{Set: true, Num: uint64(i)}
		ev.Values[4] = event.Value{Set: true, Num: uint64(i * i)}
		events = append(events, ev)
	}
	for range 2 {
		for _, ev := range events {
			table.Add(ev)
		}
	}
	return table, events
}

func BenchmarkAdd(b *testing.B) {
	for _, keys := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) {
			table, events := busy(b)
			b.ReportAllocs()
			for i := range b.N {
				table.Add(events[i%keys])
			}
		})
	}
}
