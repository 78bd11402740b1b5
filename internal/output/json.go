package output

import (
	"bytes"
	"io"
	"net/netip"

	"github.com/skprobe/skprobe/internal/event"
)

// jsonSink writes one object per line. What is the same as in the event before
// (in the usual case, where one socket talks, all but the time) is copied from
// there as one piece of text, or at least value by value.
type jsonSink struct {
	buffer
	schema  *event.Schema
	clock   clock
	head    jsonHead
	columns []jsonColumn
	values  []byte // of the last event: `,"laddr":"127.0.0.1","lport":53`
	spare   []byte
	scratch []byte
}

// A jsonHead is what comes between the time and the columns.
type jsonHead struct {
	name          string
	task          bool
	cpu, pid, tid uint32
	comm          []byte
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
	b := append(s.b, `{"time":"`...)
	b = s.clock.appendRFC3339(b, e.Wall)
	b = append(b, '"')
	if !s.head.is(e) {
		s.head.set(e)
	}
	b = append(b, s.head.text...)
	s.update(e.Values)
	b = append(b, s.values...)
	if len(e.Stack) > 0 {
		b = s.appendStack(b, e.Stack)
	}
	s.b = append(b, '}', '\n')
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// is tells whether the head is that of e.
func (h *jsonHead) is(e *event.Event) bool {
	return h.cpu == e.CPU && h.name == e.Name && h.task == e.Task &&
		(!h.task || h.pid == e.PID && h.tid == e.TID && string(h.comm) == e.Comm)
}

func (h *jsonHead) set(e *event.Event) {
	h.name, h.task, h.cpu, h.pid, h.tid = e.Name, e.Task, e.CPU, e.PID, e.TID
	h.comm = append(h.comm[:0], e.Comm...)
	b := append(h.text[:0], `,"event":`...)
	b = appendQuoted(b, []byte(e.Name))
	b = appendUint(append(b, `,"cpu":`...), uint64(e.CPU))
	if e.Task {
		b = appendUint(append(b, `,"pid":`...), uint64(e.PID))
		b = appendUint(append(b, `,"tid":`...), uint64(e.TID))
		if e.Comm != "" {
			b = appendQuoted(append(b, `,"comm":`...), h.comm)
		}
	}
	h.text = b
}

// update makes s.values the text of these values.
func (s *jsonSink) update(values []event.Value) {
	values = values[:min(len(values), len(s.columns))]
	columns := s.columns[:len(values)]
	for i := range columns {
		c, v := &columns[i], &values[i]
		if c.number && c.num == v.Num && c.set && v.Set {
			continue
		}
		if !c.is(v) {
			s.rewrite(values, i)
			return
		}
	}
}

// rewrite writes the values that have changed, of which the first is given,
// and copies what stands between them.
func (s *jsonSink) rewrite(values []event.Value, first int) {
	b := s.spare[:0]
	copied, moved := 0, 0 // up to where, and by how much what follows moves
	for i := first; i < len(values); i++ {
		c, v := &s.columns[i], &values[i]
		if i > first && c.is(v) {
			c.start, c.end = c.start+moved, c.end+moved
			continue
		}
		b = append(b, s.values[copied:c.start]...)
		copied = c.end
		c.start = len(b)
		if v.Set {
			b = s.appendColumn(append(b, c.key...), c, v)
		}
		c.set, c.num, c.addr = v.Set, v.Num, v.Addr
		if !c.number {
			c.text = append(c.text[:0], v.Text...)
		}
		c.end = len(b)
		moved = c.end - copied
	}
	b = append(b, s.values[copied:]...)
	s.values, s.spare = b, s.values
}

// is tells whether v is what the last event had.
func (c *jsonColumn) is(v *event.Value) bool {
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

func (s *jsonSink) Close(Summary) error { return s.Flush() }
