package filter

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/skprobe/skprobe/internal/event"
)

// A field is what a name in a condition stands for.
type field struct {
	name  string
	from  source
	class event.Class // 0: a time
	kind  *event.Kind // of a column
	index int         // of a column
}

// A source is where in an event a field is.
type source uint8

const (
	fromColumn source = iota
	fromTime
	fromEvent
	fromCPU
	fromPID
	fromTID
	fromComm
)

// common are the fields of all tools.
var common = []field{
	{name: "time", from: fromTime},
	{name: "event", from: fromEvent, class: event.Text},
	{name: "cpu", from: fromCPU, class: event.Unsigned},
	{name: "pid", from: fromPID, class: event.Unsigned},
	{name: "tid", from: fromTID, class: event.Unsigned},
	{name: "comm", from: fromComm, class: event.Text},
}

// fieldsOf returns all fields that a condition can name, in the order in
// which they are shown.
func fieldsOf(schema *event.Schema) []*field {
	var fields []*field
	for i := range common {
		fields = append(fields, &common[i])
	}
	for i, c := range schema.Columns {
		if c.Kind != nil {
			fields = append(fields, &field{name: c.Name, class: c.Kind.Class, kind: c.Kind, index: i})
		}
	}
	return fields
}

// always tells whether every event has the field.
func (f *field) always() bool {
	return f.from == fromTime || f.from == fromEvent || f.from == fromCPU
}

// present tells whether an event has the field.
func (f *field) present(e *event.Event) bool {
	switch f.from {
	case fromColumn:
		return f.index < len(e.Values) && e.Values[f.index].Set
	case fromPID, fromTID:
		return e.Task
	case fromComm:
		return e.Task && e.Comm != ""
	default:
		return true
	}
}

// number returns the value of a present field of a class that is a number.
func (f *field) number(e *event.Event) uint64 {
	switch f.from {
	case fromCPU:
		return uint64(e.CPU)
	case fromPID:
		return uint64(e.PID)
	case fromTID:
		return uint64(e.TID)
	default:
		return e.Values[f.index].Num
	}
}

// appendText appends the value of a present field of class Text.
func (f *field) appendText(dst []byte, e *event.Event) []byte {
	switch f.from {
	case fromEvent:
		return append(dst, e.Name...)
	case fromComm:
		return append(dst, e.Comm...)
	}
	v := &e.Values[f.index]
	if f.kind.Append != nil {
		return f.kind.Append(dst, v)
	}
	return append(dst, v.Text...)
}

// canonical returns a text as the field writes it, or what is wrong with it: a
// comparison with a text that can be none of the field's is a mistake.
func (f *field) canonical(text string, events []string) (canonical, problem string) {
	switch {
	case f.from == fromEvent && len(events) > 0 && !slices.Contains(events, text):
		return text, noValue(text, f, events)
	case f.kind == nil:
	case f.kind.Normalize != nil:
		canonical, ok := f.kind.Normalize(text)
		if !ok {
			return text, noValue(text, f, f.kind.Names)
		}
		return canonical, ""
	case f.kind.Lookup != nil:
		if _, ok := f.kind.Lookup(text); !ok {
			return text, noValue(text, f, f.kind.Names)
		}
	}
	return text, ""
}

// named returns the text that a field writes for a number, if its texts stand for
// numbers.
func (f *field) named(n int) (text string, ok bool) {
	switch {
	case f.kind == nil || n < 0:
	case f.kind.Lookup != nil && f.kind.Append != nil:
		text = string(f.kind.Append(nil, &event.Value{Set: true, Num: uint64(n)}))
		num, known := f.kind.Lookup(text)
		return text, known && num == uint64(n)
	case f.kind.Normalize != nil:
		return f.kind.Normalize(strconv.Itoa(n))
	}
	return "", false
}

// value returns a present field as expr-lang has it: int, bool, string or
// time.Time. Numbers of 2⁶³ and above become negative.
func (f *field) value(e *event.Event) any {
	switch f.class {
	case event.Unsigned, event.Signed:
		return int(f.number(e))
	case event.Decimal:
		return float64(f.number(e)) / 1000
	case event.Bool:
		return f.number(e) != 0
	case event.Address:
		return e.Values[f.index].Addr.String()
	case event.Text:
		return string(f.appendText(nil, e))
	default:
		return time.Unix(0, e.Wall)
	}
}

// sample returns a value of the type that value has, for the type check.
func (f *field) sample() any {
	switch f.class {
	case event.Unsigned, event.Signed:
		return 0
	case event.Decimal:
		return 0.5
	case event.Bool:
		return false
	case event.Address, event.Text:
		return ""
	default:
		return time.Time{}
	}
}

// is says in a message what a field is.
func (f *field) is() string {
	switch f.class {
	case event.Unsigned, event.Signed, event.Decimal:
		return "a number"
	case event.Bool:
		return "true or false"
	case event.Address:
		return "an address"
	case event.Text:
		return "text"
	default:
		return "a time"
	}
}

// parsePrefix reads an address, or a network of which the bits of hosts may
// be set. IPv4-mapped ones become IPv4.
func parsePrefix(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == ""
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
