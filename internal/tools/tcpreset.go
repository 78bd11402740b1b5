package tools

import "github.com/skprobe/skprobe/internal/event"

var _ = add(event.Tool{
	Name:  "tcpreset",
	Short: "TCP resets that this host sends and receives, of which socket, and where in the kernel",
	Long: `Shows each RST of TCP. One that is sent answers a packet for which there is no
socket, or none that fits, or ends a connection that a process closes with data
unread or without lingering, or that the kernel gives up. One that is received
ends a connection, or refuses one.

state is the socket's before the reset, and absent where there is no socket. Of
a connection that a process has closed it is CLOSE already. caller is the kernel's
function in which the reset was decided; reason is the kernel's own word for it,
from 6.10 on.

pid and comm are those of who connected, accepted, listens or closes, and absent
where that is not known: most resets happen in softirq.`,
	Example: `# Whom do we refuse, and why
skprobe tcpreset --sent`,
	Cost: "about 3 µs for each reset, and 1 µs each time that a TCP socket connects, listens, is accepted, is closed or ends",
	Events: append([]event.Source{{
		Name:    "tcp.send_reset",
		Flag:    "sent",
		Short:   "a reset is sent",
		Softirq: true,
		Socket:  "skaddr",
		Probes: []event.Probe{
			{Funcs: []string{"tcp_v4_send_reset"}, Params: resetParams, NonNull: []string{"skb"}, Only: noReset, Fields: answeredByReset()},
			{Funcs: []string{"tcp_v6_send_reset"}, Params: resetParams, NonNull: []string{"skb"}, Only: noReset, Fields: answeredByReset(), Optional: true},
			{Funcs: []string{"tcp_send_active_reset"}, Params: "struct sock *sk", NonNull: []string{"sk"},
				Fields: append(resetSocket(), event.Field{Name: "reason", Expr: "reason", Optional: true})},
		},
	}, {
		Name:    "tcp.receive_reset",
		Flag:    "received",
		Short:   "a reset is received",
		Softirq: true,
		Socket:  "skaddr",
		Probes: []event.Probe{{
			Funcs:   []string{"tcp_reset"},
			Params:  "struct sock *sk",
			NonNull: []string{"sk"},
			// Nothing happens to a socket that is closed.
			Only:   []event.Cond{{Field: "state", Op: event.NotEquals, Num: tcpClosed}},
			Fields: resetSocket(),
		}},
	}}, append(event.TCPOwners(), event.TCPClosing())...),
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "state", "caller", "reason"},
	Keys:    []string{"laddr", "lport", "raddr", "rport", "state"},
	Reduce:  newResets,
})

const resetParams = "struct sock *sk, struct sk_buff *skb"

// noReset: a reset is never answered with a reset.
var noReset = []event.Cond{{Field: "rst", Op: event.Equals, Num: 0}}

// resetSocket are the fields of a socket. One that is closed has no skc_num any
// more.
func resetSocket() []event.Field {
	return []event.Field{
		{Expr: "sk", Kind: event.Sock, Parts: []event.Pick{{Part: "family"}, {Part: "laddr"}, {Part: "raddr"}, {Part: "rport"}}},
		{Name: "lport", Expr: "((struct inet_sock *)sk)->inet_sport", Kind: event.Port, Help: "local port"},
		{Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.State, Help: "state of the socket before; absent where there is none"},
		{Name: "caller", Expr: "$caller", KindName: "symbol", Help: "where in the kernel the reset was decided"},
		event.SkAddr("sk"),
		event.NetNS("sk"),
	}
}

// answeredByReset are the fields of a packet that is answered with a reset: its
// destination is this end. skb->data is at its TCP header. What is called sk may
// be none, or one of TIME_WAIT or of a handshake, which begin as all do.
func answeredByReset() []event.Field {
	return []event.Field{
		{Expr: "skb", Kind: event.Received(), Parts: []event.Pick{
			{Part: "daddr", Name: "laddr", Help: "local address"}, {Part: "dport", Name: "lport", Help: "local port"},
			{Part: "saddr", Name: "raddr", Help: "remote address"}, {Part: "sport", Name: "rport", Help: "remote port"}}},
		{Name: "rst", Expr: "(*((u8 *)skb->data + 13) >> 2) & 1", Kind: event.Uint, Hidden: true},
		{Name: "family", Expr: "sk->__sk_common.skc_family", Kind: event.Family, Help: "address family of the socket, or of the packet where there is none"},
		{Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.State},
		{Name: "caller", Expr: "$caller", KindName: "symbol"},
		{Name: "reason", Expr: "reason", Optional: true, Help: "why, as the kernel calls it"},
		event.SkAddr("sk"),
		event.NetNS("sk"),
	}
}

// resets says of resets without a socket which family they are of.
type resets struct{ family, laddr int }

func newResets(s *event.Schema, _ event.Settings) event.Reducer {
	return resets{s.Index("family"), s.Index("laddr")}
}

// Event sets the family.
func (r resets) Event(ev *event.Event, show func(*event.Event) error) error {
	if local := ev.Value(r.laddr); local != nil && ev.Value(r.family) == nil {
		ev.SetNum(r.family, afInet6)
		if local.Addr.Is4() {
			ev.SetNum(r.family, afInet)
		}
	}
	return show(ev)
}

// Evicted is none: each event is shown by itself.
func (resets) Evicted() uint64 { return 0 }
