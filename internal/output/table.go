package output

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/skprobe/skprobe/internal/event"
)

// tableSink writes a header, and a line for each event, as they come. A
// value wider than its column pushes the rest of its line; where it is not a
// text, the column stays as wide from then on, so that later lines are again
// below each other.
type tableSink struct {
	buffer
	schema  *event.Schema
	stamp   stamper
	cells   []cell
	scratch []byte // a value as it is
	visible []byte // and as it can be shown
}

// A cell is one column of the table.
type cell struct {
	from  source
	index int // from a value: of the column
	kind  *event.Kind
	width int
	right bool
	grow  bool // a wider value widens the column
}

// A source is where a cell comes from.
type source uint8

const (
	fromTime source = iota
	fromName
	fromCPU
	fromPID
	fromTID
	fromComm
	fromValue
)

func newTable(w io.Writer, schema *event.Schema, opts Options) *tableSink {
	s := &tableSink{buffer: newBuffer(w), schema: schema, stamp: newStamper(opts.Timestamp, opts.Location)}
	var header []string
	add := func(name string, c cell) {
		c.width = max(c.width, utf8.RuneCountInString(name))
		header = append(header, name)
		s.cells = append(s.cells, c)
	}
	if opts.Timestamp != None {
		clock := opts.Timestamp == Wall || opts.Timestamp == ISO
		add("TIME", cell{from: fromTime, width: s.stamp.width(), right: !clock, grow: true})
	}
	if len(schema.Events) > 1 {
		width := 0
		for _, name := range schema.Events {
			width = max(width, len(name))
		}
		add("EVENT", cell{from: fromName, width: width, grow: true})
	}
	if opts.Wide {
		add("CPU", cell{from: fromCPU, right: true, grow: true})
	}
	if schema.Task {
		add("PID", cell{from: fromPID, width: 7, right: true, grow: true})
		if opts.Wide {
			add("TID", cell{from: fromTID, width: 7, right: true, grow: true})
		}
		add("COMM", cell{from: fromComm, width: 15})
	}
	for i, c := range schema.Columns {
		if c.Wide && !opts.Wide {
			continue
		}
		name, _ := appendVisible(nil, []byte(strings.ToUpper(c.Name)))
		add(string(name), cell{
			from: fromValue, index: i, kind: c.Kind,
			width: c.Kind.Width, right: c.Kind.Right, grow: c.Kind.Class != event.Text,
		})
	}
	for i, name := range header {
		c := &s.cells[i]
		s.cell(i, c, []byte(name), utf8.RuneCountInString(name))
	}
	s.endLine()
	return s
}

func (s *tableSink) Event(e *event.Event) error {
	for i := range s.cells {
		c := &s.cells[i]
		s.scratch = s.appendText(s.scratch[:0], c, e)
		text, width := s.scratch, len(s.scratch)
		if !isPlain(text) {
			s.visible, width = appendVisible(s.visible[:0], text)
			text = s.visible
		}
		s.cell(i, c, text, width)
	}
	s.endLine()
	for _, addr := range e.Stack {
		s.scratch = appendFrame(s.scratch[:0], s.schema, addr)
		s.b, _ = appendVisible(append(s.b, "        "...), s.scratch)
		s.endLine()
	}
	for _, frame := range e.UserStack {
		s.b, _ = appendVisible(append(s.b, "        "...), []byte(frame))
		s.endLine()
	}
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// appendText appends what is in a cell, "-" where it is absent.
func (s *tableSink) appendText(b []byte, c *cell, e *event.Event) []byte {
	switch {
	case c.from == fromTime:
		return s.stamp.append(b, e)
	case c.from == fromName:
		return append(b, e.Name...)
	case c.from == fromCPU:
		return appendUint(b, uint64(e.CPU))
	case c.from == fromValue:
		return s.appendValue(b, c, e)
	case !e.Task, c.from == fromComm && e.Comm == "":
		return append(b, '-')
	case c.from == fromPID:
		return appendUint(b, uint64(e.PID))
	case c.from == fromTID:
		return appendUint(b, uint64(e.TID))
	default:
		return append(b, e.Comm...)
	}
}

// maxIndent is how deep text is indented.
const maxIndent = 60

func (s *tableSink) appendValue(b []byte, c *cell, e *event.Event) []byte {
	if c.index >= len(e.Values) || !e.Values[c.index].Set {
		return append(b, '-')
	}
	if c.kind.Indent {
		for range min(e.Values[c.index].Num, maxIndent) {
			b = append(b, "  "...)
		}
	}
	if b = appendValue(b, c.kind, &e.Values[c.index]); len(b) == 0 {
		return append(b, `""`...) // a text, and empty
	}
	return b
}

// cell writes the text of a cell, width characters, after the blank that
// parts it from the one before.
func (s *tableSink) cell(i int, c *cell, text []byte, width int) {
	if i > 0 {
		s.b = append(s.b, ' ')
	}
	pad := c.width - width
	if pad < 0 && c.grow {
		c.width = width
	}
	if c.right {
		s.pad(pad)
	}
	s.b = append(s.b, text...)
	if !c.right && i < len(s.cells)-1 {
		s.pad(pad)
	}
}

func (s *tableSink) pad(n int) {
	const blanks = "                                                                "
	for ; n > 0; n -= len(blanks) {
		s.b = append(s.b, blanks[:min(n, len(blanks))]...)
	}
}

func (s *tableSink) endLine() { s.b = append(s.b, '\n') }

func (s *tableSink) Close(Summary) error { return s.Flush() }
