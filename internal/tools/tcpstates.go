package tools

import (
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

// Numbers of include/linux/socket.h, include/uapi/linux/in.h and
// include/net/tcp_states.h.
const (
	afInet           = 2
	afInet6          = 10
	protoTCP         = 6
	tcpEstablished   = 1
	tcpSynSent       = 2
	tcpSynRecv       = 3
	tcpFinWait1      = 4
	tcpFinWait2      = 5
	tcpClosed        = 7
	tcpLastAck       = 9
	tcpListen        = 10
	tcpClosing       = 11
	tcpBoundInactive = 13
)

var _ = add(event.Tool{
	Name:  "tcpstates",
	Short: "state changes of TCP sockets, with the time spent in the state before",
	Long: `Shows each change of a TCP socket's state, and for how long it was in the one
before. duration_ms is absent where that state began before tracing.

A change often happens in softirq, where the current task is a bystander. c_pid
and c_comm are therefore the current task's, as the C says, and not the
socket's owner's.

It uses the kernel's own tracepoint sock:inet_sock_set_state (4.16), also on
kernels without kprobes, and tcp_set_state where there is none.`,
	Example: `# What becomes of the connections to a server
skprobe tcpstates --lport 443`,
	Cost: "about 2 µs for each change of a state",
	Events: []event.Source{{
		Name:    "tcp.state",
		Short:   "a TCP socket goes from one state to another",
		Softirq: true,
		Probes: []event.Probe{{
			Tracepoint: "sock:inet_sock_set_state",
			Only:       []event.Cond{{Field: "protocol", Op: event.Equals, Num: protoTCP}},
			Fields:     append(recordedAddrs(), stateFields("skaddr", "oldstate", "newstate")...),
			Else: []event.Probe{{
				Funcs:  []string{"tcp_set_state"},
				Fields: append(sockAddrs("sk"), stateFields("sk", "sk->__sk_common.skc_state", "state")...),
			}},
		}},
	}},
	Columns: []string{"skaddr", "c_pid", "c_comm", "family", "laddr", "lport", "raddr", "rport", "oldstate", "newstate", "duration_ms"},
	Keys:    []string{"skaddr", "family", "lport", "rport"},
	Reduce:  newStates,
})

// stateFields are the fields that the tracepoint and the function have alike.
func stateFields(sk, old, new string) []event.Field {
	return []event.Field{
		{Name: "skaddr", Expr: sk, Kind: event.Pointer, Help: "address of the socket in the kernel, which tells sockets apart"},
		{Name: "oldstate", Expr: old, Kind: event.State, Help: "state before"},
		{Name: "newstate", Expr: new, Kind: event.State, Help: "state after"},
		{Name: "c_pid", Computed: true, Kind: event.Uint, Help: "process that was current, perhaps a bystander"},
		{Name: "c_comm", Computed: true, Kind: event.Char, Help: "name of the thread that was current"},
		{Name: "duration_ms", Computed: true, Kind: event.Millis, Help: "time in the state before, in milliseconds; absent if it began before tracing"},
	}
}

// sockAddrs are the ends of a socket, and its network namespace.
func sockAddrs(sk string) []event.Field {
	return []event.Field{
		{Expr: sk, Kind: event.Sock, Parts: []event.Pick{{Part: "family"}, {Part: "laddr"}, {Part: "lport"}, {Part: "raddr"}, {Part: "rport"}}},
		event.NetNS(sk),
	}
}

// stateProbe is the probe on those changes of a TCP socket's state that are
// asked for, with the ends of the socket and computed fields. It is the
// tracepoint, because a change often happens in softirq: where that interrupts
// the handler of a kprobe, the kernel runs no other kprobe, and the change would
// be missed. What the tracepoint does not record Reduce has from elsewhere.
func stateProbe(rare []event.Cond, computed ...event.Field) event.Probe {
	netns := event.NetNS("")
	netns.Expr, netns.Computed = "", true
	return event.Probe{
		Tracepoint: "sock:inet_sock_set_state",
		Only:       []event.Cond{{Field: "protocol", Op: event.Equals, Num: protoTCP}},
		Rare:       rare,
		Fields:     slices.Concat(recordedAddrs(), stateChange("skaddr", "oldstate", "newstate"), computed, []event.Field{netns}),
		Else: []event.Probe{{
			Funcs:   []string{"tcp_set_state"},
			Params:  setStateParams,
			NonNull: []string{"sk"},
			Rare:    rare,
			Fields:  slices.Concat(sockAddrs("sk"), stateChange("sk", "sk->__sk_common.skc_state", "state"), computed),
		}},
	}
}

const setStateParams = "struct sock *sk, int state"

// stateChange are the socket and its states before and after, for Reduce.
func stateChange(sk, old, new string) []event.Field {
	return []event.Field{
		event.SkAddr(sk),
		{Name: "oldstate", Expr: old, Kind: event.State, Hidden: true},
		{Name: "newstate", Expr: new, Kind: event.State, Hidden: true},
	}
}

// recordedAddrs are the ends of the socket as the tracepoint records them: its
// ports are in host order.
func recordedAddrs() []event.Field {
	fields := []event.Field{
		{Name: "family", Expr: "family", Kind: event.Family, Help: "address family of the socket"},
		{Name: "protocol", Expr: "protocol", Kind: event.Uint, Hidden: true},
		{Name: "lport", Expr: "sport", Kind: event.Uint16, Help: "local port"},
		{Name: "rport", Expr: "dport", Kind: event.Uint16, Help: "remote port"},
	}
	for _, end := range []struct{ name, field, help string }{{"laddr", "saddr", "local address"}, {"raddr", "daddr", "remote address"}} {
		both := address(end.name, event.Field{Expr: end.field, Kind: event.IPv4}, event.Field{Expr: end.field + "_v6", Kind: event.IPv6})
		both[len(both)-1].Help = end.help
		fields = append(fields, both...)
	}
	return fields
}

// address is an address that lies in one of two places, as the field family
// says.
func address(name string, ipv4, ipv6 event.Field) []event.Field {
	ipv4.Name, ipv6.Name = name+"4", name+"6"
	ipv4.Hidden, ipv6.Hidden = true, true
	return []event.Field{ipv4, ipv6, {Name: name, Cases: []event.Case{
		{If: []event.Cond{{Field: "family", Op: event.Equals, Num: afInet6}}, From: ipv6.Name}, {From: ipv4.Name}}}}
}

// maxSockets is how many sockets states remembers.
const maxSockets = 65536

// states measures how long sockets are in their states.
type states struct {
	since   map[uint64]uint64 // socket → when it came into its state
	evicted uint64

	skaddr, newstate, pid, comm, duration int
}

func newStates(s *event.Schema, _ event.Settings) event.Reducer {
	return &states{since: map[uint64]uint64{}, skaddr: s.Column("skaddr"), newstate: s.Column("newstate"),
		pid: s.Column("c_pid"), comm: s.Column("c_comm"), duration: s.Column("duration_ms")}
}

// Event sets the computed columns. A socket that is closed is forgotten: its
// address may be another's next.
func (s *states) Event(ev *event.Event, show func(*event.Event) error) error {
	sk := ev.Values[s.skaddr].Num
	if ev.PID != 0 {
		ev.Values[s.pid] = event.Value{Set: true, Num: uint64(ev.PID)}
	}
	if ev.Comm != "" {
		ev.Values[s.comm] = event.Value{Set: true, Text: []byte(ev.Comm)}
	}
	if t, ok := s.since[sk]; ok && ev.Mono >= t {
		ev.Values[s.duration] = event.Value{Set: true, Num: (ev.Mono - t) / 1000}
	}
	switch {
	case ev.Values[s.newstate].Num == tcpClosed:
		delete(s.since, sk)
	default:
		if _, known := s.since[sk]; !known && len(s.since) >= maxSockets {
			for old := range s.since { // any one
				delete(s.since, old)
				s.evicted++
				break
			}
		}
		s.since[sk] = ev.Mono
	}
	return show(ev)
}

// Evicted returns how many sockets were forgotten.
func (s *states) Evicted() uint64 { return s.evicted }
