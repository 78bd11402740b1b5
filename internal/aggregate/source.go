package aggregate

import (
	"encoding/binary"

	"github.com/skprobe/skprobe/internal/event"
)

// A source is where in an event a field is.
type source struct {
	from   from
	index  int // of a column
	class  event.Class
	signed bool
}

type from uint8

const (
	nowhere from = iota
	fromColumn
	fromEvent
	fromCPU
	fromPID
	fromTID
	fromComm
)

// The columns that all events have. What is a number of several kinds in tables has one here.
var (
	number = &event.Kind{Name: "number", Class: event.Unsigned, Width: 5, Right: true}
	id     = &event.Kind{Name: "number", Class: event.Unsigned, Width: 7, Right: true}
	text   = &event.Kind{Name: "text", Class: event.Text, Width: 15}

	common = []struct {
		column event.Column
		from   from
		task   bool // only events that belong to a task have it
	}{
		{event.Column{Name: "event", Kind: text}, fromEvent, false},
		{event.Column{Name: "cpu", Kind: number}, fromCPU, false},
		{event.Column{Name: "pid", Kind: id}, fromPID, true},
		{event.Column{Name: "tid", Kind: id}, fromTID, true},
		{event.Column{Name: "comm", Kind: text}, fromComm, true},
	}
)

// find finds a field by its name, for a use of it.
func find(s *event.Schema, use, name string) (source, event.Column, error) {
	for _, c := range common {
		switch {
		case c.column.Name != name:
		case c.task && !s.Task:
			return source{}, event.Column{}, &FieldError{use, name, "these events are not of a process: they happen in softirq, where the current one is a bystander"}
		default:
			return source{from: c.from, class: c.column.Kind.Class}, c.column, nil
		}
	}
	i := s.Column(name)
	if i < 0 {
		return source{}, event.Column{}, &FieldError{Use: use, Field: name}
	}
	c := s.Columns[i]
	return source{from: fromColumn, index: i, class: c.Kind.Class, signed: c.Kind.Class == event.Signed}, c, nil
}

// number is the field's value in an event, if there is one. The field must be a number.
func (s *source) number(ev *event.Event) (uint64, bool) {
	switch s.from {
	case fromColumn:
		v := &ev.Values[s.index]
		return v.Num, v.Set
	case fromCPU:
		return uint64(ev.CPU), true
	case fromPID:
		return uint64(ev.PID), ev.Task
	case fromTID:
		return uint64(ev.TID), ev.Task
	}
	return 0, false
}

// appendKey appends what is the same for two events if, and only if, they have the same value.
func (s *source) appendKey(dst []byte, ev *event.Event) []byte {
	const (
		absent = iota
		present
	)
	switch s.from {
	case fromEvent:
		return appendText(dst, ev.Name)
	case fromComm:
		if !ev.Task || ev.Comm == "" {
			return append(dst, absent)
		}
		return appendText(append(dst, present), ev.Comm)
	case fromColumn:
		v := &ev.Values[s.index]
		if !v.Set {
			return append(dst, absent)
		}
		dst = append(dst, present)
		switch s.class {
		case event.Address:
			b := v.Addr.As16()
			return append(append(dst, byte(v.Addr.BitLen())), b[:]...)
		case event.Text:
			return appendText(binary.LittleEndian.AppendUint64(dst, v.Num), v.Text)
		}
		return binary.LittleEndian.AppendUint64(dst, v.Num)
	}
	n, ok := s.number(ev)
	if !ok {
		return append(dst, absent)
	}
	return binary.LittleEndian.AppendUint64(append(dst, present), n)
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// copy is the field's value, for as long as it is needed.
func (s *source) copy(ev *event.Event) event.Value {
	switch s.from {
	case fromColumn:
		v := ev.Values[s.index]
		v.Text = append([]byte(nil), v.Text...)
		return v
	case fromEvent:
		return event.Value{Set: true, Text: []byte(ev.Name)}
	case fromComm:
		return event.Value{Set: ev.Task && ev.Comm != "", Text: []byte(ev.Comm)}
	}
	n, ok := s.number(ev)
	return event.Value{Set: ok, Num: n}
}
