package output

import (
	"net/netip"
	"strconv"

	"github.com/skprobe/skprobe/internal/event"
)

var (
	number  = &event.Kind{Name: "u32", Class: event.Unsigned, Width: 6, Right: true}
	signed  = &event.Kind{Name: "s32", Class: event.Signed, Width: 6, Right: true}
	boolean = &event.Kind{Name: "bool", Class: event.Bool, Width: 5}
	address = &event.Kind{Name: "ip", Class: event.Address, Width: 15}
	text    = &event.Kind{Name: "string", Class: event.Text, Width: 12}
	family  = &event.Kind{Name: "family", Class: event.Text, Width: 4, Append: func(dst []byte, v *event.Value) []byte {
		switch v.Num {
		case 2:
			return append(dst, "ipv4"...)
		case 10:
			return append(dst, "ipv6"...)
		}
		return strconv.AppendUint(dst, v.Num, 10)
	}}
	hex = &event.Kind{Name: "hex", Class: event.Unsigned, Width: 6, Append: func(dst []byte, v *event.Value) []byte {
		return appendHex(dst, v.Num)
	}}
)

// udpSchema is that of "skprobe udp".
func udpSchema() *event.Schema {
	return &event.Schema{
		Tool: "udp",
		Columns: []event.Column{
			{Name: "family", Kind: family},
			{Name: "laddr", Kind: address},
			{Name: "lport", Kind: number},
			{Name: "raddr", Kind: address},
			{Name: "rport", Kind: number},
			{Name: "size", Kind: number},
			{Name: "dest", Kind: address, Wide: true},
			{Name: "sock_raddr", Kind: address, Wide: true},
			{Name: "sock_rport", Kind: number, Wide: true},
		},
		Task:   true,
		Events: []string{"udp.sendmsg", "udp.recvmsg"},
	}
}

func udpEvent(local, remote netip.Addr, port uint64) event.Event {
	num := func(n uint64) event.Value { return event.Value{Set: true, Num: n} }
	addr := func(a netip.Addr) event.Value { return event.Value{Set: true, Addr: a} }
	fam := uint64(2)
	if remote.Is6() {
		fam = 10
	}
	return event.Event{
		Name: "udp.sendmsg", Wall: 1_717_245_296_123_456_789, Mono: 5_000_000_001,
		CPU: 3, Task: true, PID: 31337, TID: 31338, Comm: "isc-net-0000",
		Values: []event.Value{
			num(fam), addr(local), num(port), addr(remote), num(53), num(port - 38000),
			addr(remote), addr(remote), num(port),
		},
	}
}
