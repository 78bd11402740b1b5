package output

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
)

// tableRows writes a table of the rows, or where they have histograms a paragraph for each. Tables that are repeated have the
// time in a line above them; one without keys, which has one row, goes on as lines with the time.
type tableRows struct {
	*tableSink
	columns  []event.Column
	keys     int
	drew     event.Column
	repeated bool
	begun    bool
	lines    bool // one row, again and again
	names    []string
	at       event.Event // for the time
	whole    bool        // the rows are those of the whole run
	screen   func() (lines, columns int)
	text     []byte
}

func newTableRows(w io.Writer, t *aggregate.Table, repeated bool, opts Options) *tableRows {
	s := &tableRows{
		tableSink: &tableSink{buffer: newBuffer(w), stamp: newStamper(opts.Timestamp, opts.Location)},
		columns:   t.Columns(), keys: t.Keys(), drew: t.Hist(), repeated: repeated && opts.Timestamp != None,
	}
	if repeated {
		s.screen = opts.Screen
	}
	s.lines = s.keys == 0 && s.drew.Name == "" && repeated
	add := func(name string, c cell) {
		c.width = max(c.width, utf8.RuneCountInString(name))
		c.grow = true
		s.names = append(s.names, name)
		s.cells = append(s.cells, c)
	}
	if s.lines && s.repeated {
		add("TIME", cell{from: fromTime, width: s.stamp.width()})
	}
	for i, c := range s.columns {
		width := 0
		if s.lines {
			width = c.Kind.Width
		}
		name, _ := appendVisible(nil, []byte(strings.ToUpper(c.Name)))
		add(string(name), cell{from: fromValue, index: i, kind: c.Kind, width: width, right: c.Kind.Right})
	}
	return s
}

func (s *tableRows) write(rows []aggregate.Row, wall int64, mono uint64, whole bool) {
	s.at, s.whole = event.Event{Wall: wall, Mono: mono}, whole
	if s.lines || s.screen == nil || whole {
		s.block(rows)
		return
	}
	start := len(s.b)
	s.begun = false
	s.block(rows)
	s.redraw(start)
}

// redraw makes what was appended from start on take the place of all that is
// on the screen, as far as it has room.
func (s *tableRows) redraw(start int) {
	lines, columns := s.screen()
	s.text = append(s.text[:0], s.b[start:]...)
	s.b = append(s.b[:start], "\x1b[H"...) // to the top
	n := 0
	for line := range bytes.Lines(s.text) {
		if n++; n >= lines {
			break
		}
		line = bytes.TrimSuffix(line, []byte{'\n'})
		for width, i := 0, 0; i < len(line); width++ {
			if width == columns {
				line = line[:i]
				break
			}
			_, size := utf8.DecodeRune(line[i:])
			i += size
		}
		s.b = append(append(s.b, line...), "\x1b[K\n"...) // nothing after it in the line
	}
	s.b = append(s.b, "\x1b[J"...) // nor below
}

// block writes the rows of a time, or those of the whole run.
func (s *tableRows) block(rows []aggregate.Row) {
	headed := !s.lines && s.repeated || s.whole && !(s.lines && s.repeated)
	if s.begun && (headed || !s.lines) {
		s.endLine()
	}
	if headed {
		s.b = s.appendTime(s.b)
		s.endLine()
	}
	if s.drew.Name != "" {
		for i, r := range rows {
			if i > 0 {
				s.endLine()
			}
			s.paragraph(r)
		}
		s.begun = true
		return
	}
	s.widen(rows)
	if !s.lines || !s.begun {
		for i, name := range s.names {
			s.cell(i, &s.cells[i], []byte(name), utf8.RuneCountInString(name))
		}
		s.endLine()
	}
	s.begun = true
	for _, r := range rows {
		for i := range s.cells {
			text, width := s.value(&s.cells[i], r)
			s.cell(i, &s.cells[i], text, width)
		}
		s.endLine()
	}
}

// widen makes the columns as wide as what is in them.
func (s *tableRows) widen(rows []aggregate.Row) {
	for i := range s.cells {
		if c := &s.cells[i]; c.from == fromValue {
			for _, r := range rows {
				_, width := s.value(c, r)
				c.width = max(c.width, width)
			}
		}
	}
}

// appendTime appends of which time the rows are.
func (s *tableRows) appendTime(dst []byte) []byte {
	if s.whole {
		return append(dst, "total"...)
	}
	return s.stamp.append(dst, &s.at)
}

// value is what is in a cell of a row, valid until the next call.
func (s *tableRows) value(c *cell, r aggregate.Row) (text []byte, width int) {
	s.scratch = s.scratch[:0]
	if c.from == fromTime {
		s.scratch = s.appendTime(s.scratch)
		return s.scratch, len(s.scratch)
	}
	switch v := &r.Values[c.index]; {
	case r.Others && c.index == 0:
		s.scratch = append(s.scratch, "(others)"...)
	case !v.Set:
		s.scratch = append(s.scratch, '-')
	default:
		if s.scratch = appendValue(s.scratch, c.kind, v); len(s.scratch) == 0 {
			s.scratch = append(s.scratch, `""`...)
		}
	}
	s.visible, width = appendVisible(s.visible[:0], s.scratch)
	return s.visible, width
}

// paragraph writes a row and its histogram.
func (s *tableRows) paragraph(r aggregate.Row) {
	first := true
	add := func(words ...[]byte) {
		if !first {
			s.b = append(s.b, ',', ' ')
		}
		first = false
		for i, w := range words {
			if i > 0 {
				s.b = append(s.b, ' ')
			}
			s.b = append(s.b, w...)
		}
	}
	for i := range s.cells {
		text, _ := s.value(&s.cells[i], r)
		switch {
		case r.Others && i == 0:
			add(text)
		case !r.Others || i >= s.keys:
			add([]byte(s.columns[i].Name), text)
		}
	}
	words := [][]byte{[]byte(s.drew.Name)}
	for name, v := range eachPercentile(r.Hist) {
		words = append(words, []byte(name), appendValue(nil, s.drew.Kind, &v))
	}
	if len(words) == 1 {
		words = append(words, []byte("-"))
	}
	add(words...)
	s.endLine()
	if r.Hist.Count() > 0 {
		s.draw(r.Hist.Buckets())
	}
}

// stars is the length of the longest bar.
const stars = 40

// draw draws a histogram as bcc does.
func (s *tableRows) draw(buckets []aggregate.Bucket) {
	type bound struct{ from, to []byte }
	var bounds []bound
	width, most := 10, uint64(1)
	for _, b := range buckets {
		n := bound{appendValue(nil, s.drew.Kind, &event.Value{Set: true, Num: b.From}), appendValue(nil, s.drew.Kind, &event.Value{Set: true, Num: b.To})}
		bounds = append(bounds, n)
		width = max(width, utf8.RuneCount(n.from), utf8.RuneCount(n.to))
		most = max(most, b.Count)
	}
	name, n := appendVisible(nil, []byte(s.drew.Name))
	s.pad(5)
	s.b = append(s.b, name...)
	s.pad(2*width + 4 - 5 - n)
	s.b = append(s.b, " : count     distribution\n"...)
	for i, b := range buckets {
		s.pad(width - utf8.RuneCount(bounds[i].from))
		s.b = append(append(append(s.b, bounds[i].from...), " -> "...), bounds[i].to...)
		s.pad(width - utf8.RuneCount(bounds[i].to))
		s.b = append(s.b, " : "...)
		start := len(s.b)
		s.b = appendUint(s.b, b.Count)
		s.pad(8 - (len(s.b) - start))
		s.b = append(s.b, " |"...)
		bar := int(float64(b.Count) / float64(most) * stars)
		s.b = append(s.b, "****************************************"[:bar]...)
		s.pad(stars - bar)
		s.b = append(s.b, "|\n"...)
	}
}
