package output

import (
	"bytes"
	"io"
	"math/bits"
	"net/netip"

	"github.com/skprobe/skprobe/internal/event"
)

// jsonSink writes one object per line. What is the same as in the event before
// (in the usual case, where one socket talks, all but the time) is copied from
// there: the whole line, or as one piece of text what comes behind the time, or
// at least value by value.
type jsonSink struct {
	buffer
	schema  *event.Schema
	clock   clock
	head    jsonHead
	columns []jsonColumn
	values  []byte // of the last event: `,"laddr":"127.0.0.1","lport":53`
	edition uint64 // of values, 0 where it is not known
	differs bool   // values are others than those of the event before
	spare   []byte
	scratch []byte
	text    []byte // of one value

	// Where in the buffer the last line is, 0 to 0 where it has gone or has a
	// stack, and where in it the values are.
	line, end, at int
}

// jsonTime is what a line begins with.
const jsonTime = `{"time":"`

// A jsonHead is what comes between the time and the columns.
type jsonHead struct {
	name          string
	task          bool
	cpu, pid, tid uint32
	comm          string
	text          []byte // `,"event":"udp.sendmsg","cpu":0,"pid":1,"tid":1,"comm":"init"`
}

type jsonColumn struct {
	key   []byte // `,"laddr":`
	kind  *event.Kind
	class event.Class
	plain bool // a text that is shown as it is
	// number: what is written depends on the number alone.
	number bool

	// The last event had this value, which was written there in values.
	set        bool
	num        uint64
	addr       netip.Addr
	text       []byte
	start, end int
	from       int // behind the key
}

func newJSON(w io.Writer, schema *event.Schema, opts Options) *jsonSink {
	s := &jsonSink{
		buffer: newBuffer(w),
		schema: schema,
		clock:  newClock(dateTime, opts.Location),
	}
	for _, c := range schema.Columns {
		s.columns = append(s.columns, newJSONColumn(c))
	}
	s.head.set(&event.Event{})
	return s
}

func newJSONColumn(c event.Column) jsonColumn {
	return jsonColumn{
		key: append(appendQuoted([]byte{','}, []byte(c.Name)), ':'), kind: c.Kind, class: c.Kind.Class,
		plain:  c.Kind.Class == event.Text && c.Kind.Append == nil,
		number: c.Kind.Class != event.Text && c.Kind.Class != event.Address,
	}
}

func (s *jsonSink) Event(e *event.Event) error {
	headed := s.head.is(e)
	if !headed {
		s.head.set(e)
	}
	moved := s.update(e)
	if headed && !moved && s.end > 0 && s.clock.has(e.Wall) && !hasStack(e) {
		s.repeat(e.Wall)
	} else {
		s.write(e)
	}
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// write writes a line.
func (s *jsonSink) write(e *event.Event) {
	line := len(s.b)
	b := append(s.b, jsonTime...)
	b = s.clock.appendRFC3339(b, e.Wall)
	b = append(b, '"')
	b = append(b, s.head.text...)
	s.line, s.at = line, len(b)-line
	b = append(b, s.values...)
	if len(e.Stack) > 0 {
		b = s.appendStack(b, e.Stack)
	}
	if len(e.UserStack) > 0 {
		b = s.appendUserStack(b, e.UserStack)
	}
	s.b = append(b, '}', '\n')
	if s.end = len(s.b); hasStack(e) {
		s.end = 0
	}
}

// repeat writes the last line again, with other values in the same places.
func (s *jsonSink) repeat(wall int64) {
	line := len(s.b)
	s.b = append(s.b, s.b[s.line:s.end]...)
	putNano((*[9]byte)(s.b[line+len(jsonTime)+len(s.clock.head):]), uint32(wall-s.clock.start))
	if s.differs {
		copy(s.b[line+s.at:], s.values)
	}
	s.line, s.end = line, len(s.b)
}

// Flush writes what has been collected.
func (s *jsonSink) Flush() error {
	s.line, s.end = 0, 0
	return s.buffer.Flush()
}

// is tells whether the head is that of e.
func (h *jsonHead) is(e *event.Event) bool {
	return h.cpu == e.CPU && h.name == e.Name && h.task == e.Task &&
		(!h.task || h.pid == e.PID && h.tid == e.TID && h.comm == e.Comm)
}

func (h *jsonHead) set(e *event.Event) {
	h.name, h.task, h.cpu, h.pid, h.tid, h.comm = e.Name, e.Task, e.CPU, e.PID, e.TID, e.Comm
	b := append(h.text[:0], `,"event":`...)
	b = appendQuoted(b, []byte(e.Name))
	b = appendUint(append(b, `,"cpu":`...), uint64(e.CPU))
	if e.Task {
		b = appendUint(append(b, `,"pid":`...), uint64(e.PID))
		b = appendUint(append(b, `,"tid":`...), uint64(e.TID))
		if e.Comm != "" {
			b = appendQuoted(append(b, `,"comm":`...), []byte(e.Comm))
		}
	}
	h.text = b
}

// update makes s.values the text of an event's values. It reports whether one
// of them has another place than before.
func (s *jsonSink) update(e *event.Event) (moved bool) {
	s.differs = false
	if s.edition != 0 {
		switch e.Edition {
		case s.edition:
			return false
		case s.edition + 1:
			s.edition = e.Edition
			for changed := e.Changed; changed != 0; changed &= changed - 1 {
				i := bits.TrailingZeros64(changed)
				if i >= len(e.Values) {
					return false
				}
				if i == 63 {
					return s.updateFrom(e, i)
				}
				if !s.set(e, i) {
					return true
				}
			}
			return false
		}
	}
	s.edition = e.Edition
	return s.updateFrom(e, 0)
}

// updateFrom does it for the columns from i on.
func (s *jsonSink) updateFrom(e *event.Event, i int) (moved bool) {
	for n := min(len(e.Values), len(s.columns)); i < n; i++ {
		if !s.set(e, i) {
			return true
		}
	}
	return false
}

// set writes a value in the place of the one before. Where it has another
// length, it does so for all following ones too, and returns false.
func (s *jsonSink) set(e *event.Event, i int) bool {
	c, v := &s.columns[i], &e.Values[i]
	switch place := s.values[c.from:c.end]; {
	case c.is(v):
		return true
	case !v.Set || !c.set:
	case c.class == event.Unsigned && putUint(place, v.Num):
		s.differs, c.num = true, v.Num
		return true
	case s.replace(place, c, v):
		s.differs = true
		c.keep(v)
		return true
	}
	s.rewrite(e.Values[:min(len(e.Values), len(s.columns))], i)
	return false
}

// replace writes a value in the place of the one before, if it has the same
// length.
func (s *jsonSink) replace(place []byte, c *jsonColumn, v *event.Value) bool {
	s.text = s.appendColumn(s.text[:0], c, v)
	return len(s.text) == len(place) && copy(place, s.text) > 0
}

// rewrite writes the values that have changed, of which the first is given,
// and copies what stands between them.
func (s *jsonSink) rewrite(values []event.Value, first int) {
	b := s.spare[:0]
	copied, moved := 0, 0 // up to where, and by how much what follows moves
	for i := first; i < len(values); i++ {
		c, v := &s.columns[i], &values[i]
		if i > first && c.is(v) {
			c.start, c.from, c.end = c.start+moved, c.from+moved, c.end+moved
			continue
		}
		b = append(b, s.values[copied:c.start]...)
		copied = c.end
		c.start = len(b)
		if c.from = c.start; v.Set {
			b = append(b, c.key...)
			c.from = len(b)
			b = s.appendColumn(b, c, v)
		}
		c.keep(v)
		c.end = len(b)
		moved = c.end - copied
	}
	b = append(b, s.values[copied:]...)
	s.values, s.spare = b, s.values
}

// keep notes what is written.
func (c *jsonColumn) keep(v *event.Value) {
	c.set, c.num, c.addr = v.Set, v.Num, v.Addr
	if !c.number {
		c.text = append(c.text[:0], v.Text...)
	}
}

// is tells whether v is what the last event had.
func (c *jsonColumn) is(v *event.Value) bool {
	return c.number && c.set && v.Set && c.num == v.Num || c.looks(v)
}

// looks does it for other values than numbers.
func (c *jsonColumn) looks(v *event.Value) bool {
	switch {
	case c.set != v.Set:
		return false
	case !c.set:
		return true
	case c.num != v.Num:
		return false
	case c.number:
		return true
	case c.plain:
		return bytes.Equal(c.text, v.Text)
	}
	return c.addr == v.Addr && len(c.text)+len(v.Text) == 0
}

// appendColumn appends a present value.
func (s *jsonSink) appendColumn(b []byte, c *jsonColumn, v *event.Value) []byte {
	switch {
	case c.plain:
		return appendQuoted(b, v.Text)
	case c.class == event.Text, c.class == event.Address && (c.kind.Append != nil || v.Addr.Zone() != ""):
		s.scratch = appendValue(s.scratch[:0], c.kind, v)
		return appendQuoted(b, s.scratch)
	case c.class == event.Address:
		return append(appendAddr(append(b, '"'), v.Addr), '"')
	default:
		return appendNumber(b, c.class, v.Num)
	}
}

func (s *jsonSink) appendStack(b []byte, stack []uint64) []byte {
	b = append(b, `,"stack":[`...)
	for i, addr := range stack {
		if i > 0 {
			b = append(b, ',')
		}
		s.scratch = appendFrame(s.scratch[:0], s.schema, addr)
		b = appendQuoted(b, s.scratch)
	}
	return append(b, ']')
}

func (s *jsonSink) appendUserStack(b []byte, stack []string) []byte {
	b = append(b, `,"ustack":[`...)
	for i, frame := range stack {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, []byte(frame))
	}
	return append(b, ']')
}

func hasStack(e *event.Event) bool { return len(e.Stack)+len(e.UserStack) > 0 }

func (s *jsonSink) Close(Summary) error { return s.Flush() }
