package output

import (
	"io"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// csvSink writes a line for each event, fields quoted as RFC 4180 and
// encoding/csv have it. An absent value is an empty field, a text that is
// empty is "". What does not print is escaped as in tables: a line of output
// is one event, also for tools that know nothing of quotes.
type csvSink struct {
	buffer
	schema  *event.Schema
	clock   clock
	stack   bool
	ustack  bool
	scratch []byte
	visible []byte
}

func newCSV(w io.Writer, schema *event.Schema, opts Options) *csvSink {
	s := &csvSink{
		buffer: newBuffer(w),
		schema: schema,
		clock:  newClock(dateTime, opts.Location),
		stack:  opts.Stack,
		ustack: opts.UserStack,
	}
	s.b = append(s.b, "time,event,cpu,pid,tid,comm"...)
	for _, c := range schema.Columns {
		s.b = s.appendField(append(s.b, ','), []byte(c.Name))
	}
	if s.stack {
		s.b = append(s.b, ",stack"...)
	}
	if s.ustack {
		s.b = append(s.b, ",ustack"...)
	}
	s.b = append(s.b, '\n')
	return s
}

func (s *csvSink) Event(e *event.Event) error {
	b := s.clock.appendRFC3339(s.b, e.Wall)
	s.scratch = append(s.scratch[:0], e.Name...)
	b = s.appendField(append(b, ','), s.scratch)
	b = appendUint(append(b, ','), uint64(e.CPU))
	if e.Task {
		b = appendUint(append(b, ','), uint64(e.PID))
		b = appendUint(append(b, ','), uint64(e.TID))
		b = append(b, ',')
		if e.Comm != "" {
			s.scratch = append(s.scratch[:0], e.Comm...)
			b = s.appendField(b, s.scratch)
		}
	} else {
		b = append(b, ",,,"...)
	}
	for i := range s.schema.Columns {
		b = append(b, ',')
		if i < len(e.Values) && e.Values[i].Set {
			b = s.appendValue(b, s.schema.Columns[i].Kind, &e.Values[i])
		}
	}
	if s.stack {
		b = append(b, ',')
		if len(e.Stack) > 0 {
			s.scratch = s.scratch[:0]
			for i, addr := range e.Stack {
				if i > 0 {
					s.scratch = append(s.scratch, ';')
				}
				s.scratch = appendFrame(s.scratch, s.schema, addr)
			}
			b = s.appendField(b, s.scratch)
		}
	}
	if s.ustack {
		b = append(b, ',')
		if len(e.UserStack) > 0 {
			b = s.appendField(b, []byte(strings.Join(e.UserStack, ";")))
		}
	}
	s.b = append(b, '\n')
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// appendValue appends a present value: numbers plain, as in JSON.
func (s *csvSink) appendValue(b []byte, kind *event.Kind, v *event.Value) []byte {
	switch {
	case kind.Class == event.Text, kind.Append != nil && kind.Class == event.Address:
		s.scratch = appendValue(s.scratch[:0], kind, v)
		return s.appendField(b, s.scratch)
	case kind.Class == event.Address:
		return appendAddr(b, v.Addr)
	default:
		return appendNumber(b, kind.Class, v.Num)
	}
}

// appendField appends a text, in quotes where it needs them.
func (s *csvSink) appendField(b, text []byte) []byte {
	s.visible, _ = appendVisible(s.visible[:0], text)
	if !needsQuotes(s.visible) {
		return append(b, s.visible...)
	}
	b = append(b, '"')
	for _, c := range s.visible {
		if c == '"' {
			b = append(b, '"')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// needsQuotes follows encoding/csv, but for the empty field, which is in
// quotes to be told from an absent one.
func needsQuotes(field []byte) bool {
	if len(field) == 0 || field[0] == ' ' || string(field) == `\.` {
		return true
	}
	for _, c := range field {
		if c == ',' || c == '"' {
			return true
		}
	}
	return false
}

func (s *csvSink) Close(Summary) error { return s.Flush() }
