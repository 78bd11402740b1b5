package tools

import (
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "tcpaccept",
	Short: "TCP connections that processes accept, with how long they had waited for that",
	Long: `Shows each connection that a process accepts: laddr and lport are the server's
end, raddr and rport the client's. Processes that slept in accept before tracing
began are seen too.

queue_us is how long the connection was in the queue of its listener: from the
end of the handshake, which the kernel does by itself, until the process had it.
It is absent where the handshake ended before tracing began.

A connection that no process accepts is not shown.`,
	Example: `# How long clients of a web server wait before it looks at them
skprobe tcpaccept --lport 443 --hist queue_us --every 10s`,
	Cost: "about 5 µs for each connection",
	Events: []event.Source{{
		Name:  "tcp.accept",
		Short: "a process accepts a connection",
		Probes: []event.Probe{event.TCPAccept(func(sk string) []event.Field {
			return append(acceptedAddrs(sk), event.Field{Name: "queue_us", Computed: true, Kind: event.Uint, Help: "microseconds that it was in the listener's queue; absent if the handshake ended before tracing began"})
		})},
	}, {
		Name: "tcp.queued", Hidden: true, Softirq: true, Short: "a handshake has ended",
		Probes: []event.Probe{{
			// The socket of the connection is made when the handshake ends,
			// and queued at once.
			Tracepoint: "sock:inet_sock_set_state",
			Only:       []event.Cond{{Field: "protocol", Op: event.Equals, Num: protoTCP}},
			Rare:       []event.Cond{{Field: "oldstate", Op: event.Equals, Num: tcpListen}, {Field: "newstate", Op: event.Equals, Num: tcpSynRecv}},
			Fields: append(stateChange("skaddr", "oldstate", "newstate"),
				event.Field{Name: "protocol", Expr: "protocol", Kind: event.Uint, Hidden: true},
				event.Field{Name: "lport", Expr: "sport", Kind: event.Uint16}),
			// The second is called by the first, or is a part of it; and by
			// itself for SYN cookies and TCP Fast Open.
			Else: []event.Probe{
				childQueued("inet_csk_complete_hashdance", "struct sock *sk, struct sock *child", // 4.4
					childQueued("tcp_child_process", "struct sock *parent, struct sock *child")),
				childQueued("inet_csk_reqsk_queue_add", "struct sock *sk, struct request_sock *req, struct sock *child"),
			},
		}},
	}},
	Letters: map[string]string{"lport": "P"},
	Columns: []string{"family", "raddr", "rport", "laddr", "lport", "queue_us"},
	Keys:    []string{"lport"},
	Reduce:  newAccepts,
})

// acceptedAddrs are the ends of a socket that is accepted. One that was reset
// meanwhile has no skc_num any more.
func acceptedAddrs(sk string) []event.Field {
	return []event.Field{
		{Expr: sk, Kind: event.Sock, Parts: []event.Pick{{Part: "family"}, {Part: "laddr"}, {Part: "raddr"}, {Part: "rport"}}},
		{Name: "lport", Expr: "((struct inet_sock *)" + sk + ")->inet_sport", Kind: event.Port, Help: "local port"},
		event.NetNS(sk),
	}
}

// childQueued is a probe on a function that gets a connection's new socket as child.
func childQueued(function, params string, or ...event.Probe) event.Probe {
	return event.Probe{
		Funcs:    []string{function},
		Params:   params,
		NonNull:  []string{"child"},
		Optional: true,
		Fields:   []event.Field{event.SkAddr("child"), {Name: "lport", Expr: "child->__sk_common.skc_num", Kind: event.Uint16}},
		Else:     or,
	}
}

// accepts measures how long connections wait to be accepted.
type accepts struct {
	since *track.Table[uint64, uint64] // socket → when it was queued

	skaddr, queue int
}

func newAccepts(s *event.Schema, _ event.Settings) event.Reducer {
	return &accepts{track.New[uint64, uint64](maxSockets), s.Index("skaddr"), s.Index("queue_us")}
}

// Event shows connections when they are accepted.
func (a *accepts) Event(ev *event.Event, show func(*event.Event) error) error {
	sk := ev.Value(a.skaddr)
	if ev.Name != "tcp.accept" {
		if sk != nil {
			a.since.Put(sk.Num, ev.Mono)
		}
		return nil
	}
	if sk != nil {
		if since := a.since.Get(sk.Num); since != nil && ev.Mono >= *since {
			ev.SetNum(a.queue, (ev.Mono-*since)/1000)
		}
		a.since.Delete(sk.Num)
	}
	return show(ev)
}

// Evicted returns how many connections were forgotten.
func (a *accepts) Evicted() uint64 { return a.since.Evicted() }
