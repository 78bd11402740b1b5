package output

import (
	"io"
	"net/netip"

	"github.com/skprobe/skprobe/internal/event"
)

// jsonSink writes one object per line. An event is written from pieces that
// are ready: all that does not change between events is computed once, and a
// value that is the same as in the event before (the usual case: one socket
// talks) is copied from there, out of the buffer.
type jsonSink struct {
	buffer
	schema  *event.Schema
	clock   clock
	names   []jsonName
	name    *jsonName // of the last event
	task    jsonTask  // of the last event that has one
	columns []jsonColumn
	scratch []byte
}

// A jsonName is `,"event":"udp.sendmsg","cpu":`.
type jsonName struct {
	name string
	text []byte
}

// A piece is where in the buffer something was last written.
type piece struct{ start, end int }

type jsonTask struct {
	pid, tid uint32
	comm     []byte
	text     []byte // `,"pid":1,"tid":1,"comm":"init"`
}

type jsonColumn struct {
	key   []byte // `,"laddr":`
	kind  *event.Kind
	class event.Class
	// last is where the column was last written with num and addr, and no
	// text; end is 0 where it is not in the buffer.
	last piece
	num  uint64
	addr netip.Addr
}

func newJSON(w io.Writer, schema *event.Schema, opts Options) *jsonSink {
	s := &jsonSink{
		buffer: newBuffer(w),
		schema: schema,
		clock:  newClock(dateTime, opts.Location),
	}
	for _, c := range schema.Columns {
		key := append(appendQuoted([]byte{','}, []byte(c.Name)), ':')
		s.columns = append(s.columns, jsonColumn{key: key, kind: c.Kind, class: c.Kind.Class})
	}
	for _, name := range schema.Events {
		s.addName(name)
	}
	s.name = s.findName("")
	s.task.set(0, 0, "")
	return s
}

func (s *jsonSink) addName(name string) {
	text := append(appendQuoted([]byte(`,"event":`), []byte(name)), `,"cpu":`...)
	s.names = append(s.names, jsonName{name, text})
}

// findName returns the piece for an event's name.
func (s *jsonSink) findName(name string) *jsonName {
	for i := range s.names {
		if s.names[i].name == name {
			return &s.names[i]
		}
	}
	s.addName(name)
	return &s.names[len(s.names)-1]
}

func (t *jsonTask) set(pid, tid uint32, comm string) {
	t.pid, t.tid, t.comm = pid, tid, append(t.comm[:0], comm...)
	b := appendUint(append(t.text[:0], `,"pid":`...), uint64(pid))
	b = appendUint(append(b, `,"tid":`...), uint64(tid))
	if comm != "" {
		b = appendQuoted(append(b, `,"comm":`...), t.comm)
	}
	t.text = b
}

func (s *jsonSink) Event(e *event.Event) error {
	b := append(s.b, `{"time":"`...)
	b = s.clock.appendRFC3339(b, e.Wall)
	b = append(b, '"')
	if s.name.name != e.Name {
		s.name = s.findName(e.Name)
	}
	b = append(b, s.name.text...)
	b = appendUint(b, uint64(e.CPU))
	if e.Task {
		if t := &s.task; t.pid != e.PID || t.tid != e.TID || string(t.comm) != e.Comm {
			t.set(e.PID, e.TID, e.Comm)
		}
		b = append(b, s.task.text...)
	}
	values := e.Values
	for i := range s.columns {
		if i >= len(values) {
			break
		}
		v := &values[i]
		if !v.Set {
			continue
		}
		c := &s.columns[i]
		if c.last.end > 0 && c.num == v.Num && c.addr == v.Addr && len(v.Text) == 0 {
			b = append(b, b[c.last.start:c.last.end]...)
			continue
		}
		start := len(b)
		b = s.appendColumn(append(b, c.key...), c, v)
		if len(v.Text) == 0 {
			c.last, c.num, c.addr = piece{start, len(b)}, v.Num, v.Addr
		}
	}
	if len(e.Stack) > 0 {
		b = s.appendStack(b, e.Stack)
	}
	s.b = append(b, '}', '\n')
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// appendColumn appends a present value.
func (s *jsonSink) appendColumn(b []byte, c *jsonColumn, v *event.Value) []byte {
	switch {
	case c.class == event.Text && c.kind.Append == nil:
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

func (s *jsonSink) Flush() error {
	for i := range s.columns {
		s.columns[i].last = piece{}
	}
	return s.buffer.Flush()
}

func (s *jsonSink) Close(Summary) error { return s.Flush() }
