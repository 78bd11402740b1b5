package filter

import (
	"net/netip"
	"strconv"

	"github.com/skprobe/skprobe/internal/event"
)

var (
	number  = &event.Kind{Name: "u32", Class: event.Unsigned}
	signed  = &event.Kind{Name: "s32", Class: event.Signed}
	boolean = &event.Kind{Name: "bool", Class: event.Bool}
	address = &event.Kind{Name: "ip", Class: event.Address}
	text    = &event.Kind{Name: "string", Class: event.Text}
	family  = &event.Kind{
		Name: "family", Class: event.Text,
		Append: func(dst []byte, v *event.Value) []byte {
			switch v.Num {
			case 2:
				return append(dst, "inet"...)
			case 10:
				return append(dst, "inet6"...)
			}
			return strconv.AppendUint(dst, v.Num, 10)
		},
		Lookup: func(s string) (uint64, bool) {
			n, ok := map[string]uint64{"inet": 2, "inet6": 10}[s]
			return n, ok
		},
	}
)

var schema = &event.Schema{
	Tool: "test",
	Columns: []event.Column{
		{Name: "family", Kind: family},
		{Name: "laddr", Kind: address},
		{Name: "lport", Kind: number},
		{Name: "raddr", Kind: address},
		{Name: "rport", Kind: number},
		{Name: "size", Kind: signed},
		{Name: "qname", Kind: text},
		{Name: "syn", Kind: boolean},
		{Name: "len", Kind: number},
	},
	Task:   true,
	Events: []string{"udp.sendmsg", "udp.recvmsg"},
}

// A fields map makes an event: what it does not have is absent.
type fields map[string]any

func (f fields) event() *event.Event {
	e := &event.Event{Name: "udp.sendmsg", Values: make([]event.Value, len(schema.Columns))}
	for name, v := range f {
		switch name {
		case "event":
			e.Name = v.(string)
		case "cpu":
			e.CPU = uint32(v.(int))
		case "pid":
			e.Task, e.PID = true, uint32(v.(int))
		case "tid":
			e.Task, e.TID = true, uint32(v.(int))
		case "comm":
			e.Task, e.Comm = true, v.(string)
		default:
			value := &e.Values[schema.Column(name)]
			value.Set = true
			switch v := v.(type) {
			case int:
				value.Num = uint64(v)
			case bool:
				if v {
					value.Num = 1
				}
			case string:
				if addr, err := netip.ParseAddr(v); err == nil {
					value.Addr = addr
				} else {
					value.Text = []byte(v)
				}
			}
		}
	}
	return e
}
