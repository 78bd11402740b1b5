package output

import (
	"io"

	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
)

// jsonRows writes an object for each row: time, keys, count, sums, the histogram, "others" where it is the row of those, and "total" where it is of
// the whole run.
type jsonRows struct {
	*jsonSink
	hist jsonColumn
	drew event.Column
}

func newJSONRows(w io.Writer, t *aggregate.Table, opts Options) *jsonRows {
	s := &jsonRows{jsonSink: newJSON(w, &event.Schema{Columns: t.Columns()}, opts), drew: t.Hist()}
	if s.drew.Name != "" {
		s.hist = newJSONColumn(event.Column{Name: "hist_" + s.drew.Name, Kind: s.drew.Kind})
	}
	return s
}

func (s *jsonRows) write(rows []aggregate.Row, wall int64, _ uint64, whole bool) {
	for _, r := range rows {
		b := append(s.b, `{"time":"`...)
		b = s.clock.appendRFC3339(b, wall)
		b = append(b, '"')
		for i := range r.Values {
			if v := &r.Values[i]; v.Set {
				b = s.appendColumn(append(b, s.columns[i].key...), &s.columns[i], v)
			}
		}
		if r.Hist != nil {
			b = s.appendHist(append(b, s.hist.key...), r.Hist)
		}
		if r.Others {
			b = append(b, `,"others":true`...)
		}
		if whole {
			b = append(b, `,"total":true`...)
		}
		s.b = append(b, '}', '\n')
	}
}

func (s *jsonRows) appendHist(b []byte, h *aggregate.Histogram) []byte {
	number := func(n uint64) { b = appendNumber(b, s.drew.Kind.Class, n) }
	b = append(b, `{"count":`...)
	b = appendUint(b, h.Count())
	for name, v := range eachPercentile(h) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		number(v.Num)
	}
	b = append(b, `,"buckets":[`...)
	for i, bucket := range h.Buckets() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"from":`...)
		number(bucket.From)
		b = append(b, `,"to":`...)
		number(bucket.To)
		b = append(b, `,"count":`...)
		b = append(appendUint(b, bucket.Count), '}')
	}
	return append(b, ']', '}')
}

// csvRows writes a line for each row. A histogram is its percentiles, and its buckets as "32..63:5 64..127:9".
type csvRows struct {
	*csvSink
	columns []event.Column
	keys    int
	drew    event.Column
	total   bool // rows tell whether they are of the whole run
	buckets []byte
}

func newCSVRows(w io.Writer, t *aggregate.Table, total bool, opts Options) *csvRows {
	s := &csvRows{csvSink: &csvSink{buffer: newBuffer(w), clock: newClock(dateTime, opts.Location)}, columns: t.Columns(), keys: t.Keys(), drew: t.Hist(), total: total}
	s.b = append(s.b, "time"...)
	add := func(name string) { s.b = s.appendField(append(s.b, ','), []byte(name)) }
	for _, c := range s.columns {
		add(c.Name)
	}
	if s.drew.Name != "" {
		for _, p := range percentiles {
			add(p.name + "_" + s.drew.Name)
		}
		add("max_" + s.drew.Name)
		add("hist_" + s.drew.Name)
	}
	if s.keys > 0 {
		add("others")
	}
	if total {
		add("total")
	}
	s.b = append(s.b, '\n')
	return s
}

func (s *csvRows) write(rows []aggregate.Row, wall int64, _ uint64, whole bool) {
	for _, r := range rows {
		b := s.clock.appendRFC3339(s.b, wall)
		for i := range r.Values {
			b = append(b, ',')
			if v := &r.Values[i]; v.Set {
				b = s.appendValue(b, s.columns[i].Kind, v)
			}
		}
		if r.Hist != nil {
			b = s.appendHist(b, r.Hist)
		}
		if s.keys > 0 {
			b = append(b, ',')
		}
		if r.Others {
			b = append(b, "true"...)
		}
		if s.total {
			b = append(b, ',')
		}
		if whole {
			b = append(b, "true"...)
		}
		s.b = append(b, '\n')
	}
}

func (s *csvRows) appendHist(b []byte, h *aggregate.Histogram) []byte {
	class := s.drew.Kind.Class
	if h.Count() == 0 {
		return append(b, ",,,,,"...)
	}
	for _, v := range eachPercentile(h) {
		b = appendNumber(append(b, ','), class, v.Num)
	}
	s.buckets = s.buckets[:0]
	for i, bucket := range h.Buckets() {
		if i > 0 {
			s.buckets = append(s.buckets, ' ')
		}
		s.buckets = append(appendNumber(s.buckets, class, bucket.From), ".."...)
		s.buckets = append(appendNumber(s.buckets, class, bucket.To), ':')
		s.buckets = appendUint(s.buckets, bucket.Count)
	}
	return s.appendField(append(b, ','), s.buckets)
}
