package tools

import (
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "tcplife",
	Short: "TCP connections when they end: whose, bytes each way, and how long they lived",
	Long: `Shows each TCP connection of this host when its socket closes, of both ends
where both are here.

tx_bytes is the payload that the peer has acknowledged, rx_bytes the payload
that was received in order. They are of the whole life of the connection, and
do not count SYN and FIN. duration_ms is the time from the handshake's end; it
is absent where that was before tracing began, and where there was none: then
last_state is SYN_SENT or SYN_RECV.

last_state is the state of the socket before it closed: FIN_WAIT2, CLOSING or
LAST_ACK where both ends have said goodbye, others where one has not: --wide
adds the error with which it ended.

A connection belongs to who connected or accepted it, and one of before tracing
to who closes it.`,
	Example: `# Who sends much, and where to
skprobe tcplife --where 'tx_bytes > 1000000'

# Connections when they are opened too, as tcptracer shows them
skprobe tcplife --opens`,
	Cost: "about 15 µs for each end of a connection, and 1 µs for each change of its state",
	Events: append(append([]event.Source{
		{Name: "tcp.connected", Softirq: true, Socket: "skaddr", Short: "a connection that a process opens is established (--opens)"},
		{Name: "tcp.accept", Softirq: true, Socket: "skaddr", Short: "a process accepts a connection (--opens)"},
		{Name: "tcp.life", Softirq: true, Socket: "skaddr", Short: "a connection ends"},
	}, event.TCPConnections(acceptedAddrs)...), event.TCPClosing(), event.Source{
		// Of two probes on one function the later one runs first, so this one comes
		// after tcp.counters also where there is no tracepoint.
		Name: "tcp.state", Hidden: true, Softirq: true, Socket: "skaddr", Short: "a socket is established, or closes",
		Probes: []event.Probe{stateProbe(append([]event.Cond{{Field: "newstate", Op: event.AnyOf, Num: 1<<tcpEstablished | 1<<tcpClosed}}, ofConnections...),
			event.Field{Name: "duration_ms", Computed: true, Kind: event.Millis, Help: "milliseconds from the handshake's end; absent if it ended before tracing began, or never"},
			event.Field{Name: "last_state", Computed: true, Kind: event.State, Help: "state before it closed: SYN_SENT or SYN_RECV where it was never established"},
			event.Field{Name: "opened", Computed: true, Wide: true, Kind: openings, Help: "active: this end connected, passive: it was accepted; absent if it began before tracing"},
		)},
	}, event.Source{
		Name: "tcp.counters", Hidden: true, Softirq: true, Short: "what was counted of a socket that is about to close",
		Probes: []event.Probe{{
			Funcs:    []string{"tcp_set_state"},
			Params:   setStateParams,
			NonNull:  []string{"sk"},
			Optional: true,
			Rare:     append([]event.Cond{{Field: "newstate", Op: event.Equals, Num: tcpClosed}}, ofConnections...),
			Fields:   counters,
		}},
	}),
	Options: []event.Option{
		{Name: "opens", Help: "show connections when they are opened too", Events: []string{"tcp.connected", "tcp.accept"}},
	},
	Aliases: []event.Alias{{Name: "tcptracer", Args: []string{"--opens"}}},
	Letters: map[string]string{"lport": "L", "rport": "D"},
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "tx_bytes", "rx_bytes", "duration_ms", "last_state", "opened", "error"},
	Keys:    []string{"family"},
	Reduce:  newLives,
})

// openings are the two ways in which a connection comes about, as TCP calls them.
var openings = event.Named("opening", "who opened a connection", openedActive, "active", "passive")

const (
	openedActive  = 1
	openedPassive = 2
)

// ofConnections are the states in which a socket is that of a connection, or of
// one that is to be.
var ofConnections = []event.Cond{
	{Field: "oldstate", Op: event.NotEquals, Num: tcpClosed}, {Field: "oldstate", Op: event.NotEquals, Num: tcpListen},
	{Field: "oldstate", Op: event.NotEquals, Num: tcpBoundInactive},
}

// finSent are the states in which a socket has sent its FIN.
const finSent = 1<<tcpFinWait1 | 1<<tcpFinWait2 | 1<<tcpClosing | 1<<tcpLastAck

// counters are what a socket counts, from which it can be told how many bytes of
// payload it sent and received. bytes_acked and bytes_received are there since
// 4.1, bytes_sent and bytes_retrans since 4.19.
var counters = append(stateChange("sk", "sk->__sk_common.skc_state", "state"),
	event.Field{Name: "acked", Expr: "((struct tcp_sock *)sk)->bytes_acked", Kind: event.Uint, Hidden: true},
	event.Field{Name: "received", Expr: "((struct tcp_sock *)sk)->bytes_received", Kind: event.Uint, Hidden: true},
	event.Field{Name: "sent", Expr: "((struct tcp_sock *)sk)->bytes_sent", Kind: event.Uint, Hidden: true, Optional: true},
	event.Field{Name: "retrans", Expr: "((struct tcp_sock *)sk)->bytes_retrans", Kind: event.Uint, Hidden: true, Optional: true},
	event.Field{Name: "una", Expr: "((struct tcp_sock *)sk)->snd_una", Kind: event.Uint, Hidden: true},
	event.Field{Name: "written", Expr: "((struct tcp_sock *)sk)->write_seq", Kind: event.Uint, Hidden: true},
	event.Field{Name: "flags", Expr: "sk->__sk_common.skc_flags ?? sk->sk_flags", Kind: event.Uint, Hidden: true},
	event.Field{Name: "err", Expr: "sk->sk_err", Kind: event.Int, Hidden: true},
	event.Field{Name: "tx_bytes", Computed: true, Of: "written", Kind: event.Size, Help: "bytes of payload that the peer has acknowledged"},
	event.Field{Name: "rx_bytes", Computed: true, Of: "received", Kind: event.Size, Help: "bytes of payload received, in order"},
	event.Field{Name: "error", Computed: true, Of: "err", Wide: true, Kind: event.Errno, Help: "errno with which it ended, negative; 0 for none"},
	event.NetNS("sk"))

// A life is what is known of a connection.
type life struct {
	opened uint64 // 0 where that is not known
	since  uint64 // when it was established, 0 where that is not known
	// What was counted, before it closes.
	tx, rx, err, netns event.Value
}

// lives follows connections from their beginning to their end.
type lives struct {
	bySocket *track.Table[uint64, life]
	opens    bool

	skaddr, oldstate, newstate, acked, received, sent, retrans, una, written, flags, err int
	tx, rx, duration, last, opened, error, netns                                         int
}

func newLives(s *event.Schema, settings event.Settings) event.Reducer {
	return &lives{bySocket: track.New[uint64, life](maxSockets), opens: settings.On("opens"),
		skaddr: s.Index("skaddr"), oldstate: s.Index("oldstate"), newstate: s.Index("newstate"), acked: s.Index("acked"),
		received: s.Index("received"), sent: s.Index("sent"), retrans: s.Index("retrans"), una: s.Index("una"), written: s.Index("written"),
		flags: s.Index("flags"), err: s.Index("err"),
		tx: s.Index("tx_bytes"), rx: s.Index("rx_bytes"), duration: s.Index("duration_ms"), last: s.Index("last_state"),
		opened: s.Index("opened"), error: s.Index("error"), netns: s.Index("netns")}
}

// Event shows a connection when it ends.
func (l *lives) Event(ev *event.Event, show func(*event.Event) error) error {
	sk := ev.Value(l.skaddr)
	if sk == nil {
		return nil
	}
	known := l.bySocket.Get(sk.Num)
	if known == nil && ev.Name != "tcp.destroyed" && ev.Name != "tcp.closing" {
		known = l.bySocket.Put(sk.Num, life{})
	}
	switch ev.Name {
	case "tcp.connecting":
		*known = life{opened: openedActive}
	case "tcp.accepted":
		if ev.Name = "tcp.accept"; l.opens {
			return show(ev)
		}
	case "tcp.counters":
		l.count(known, ev)
	case "tcp.state":
		return l.change(sk.Num, known, ev, show)
	case "tcp.destroyed":
		l.bySocket.Delete(sk.Num)
	}
	return nil
}

// change takes the beginning and the end of a connection.
func (l *lives) change(sk uint64, known *life, ev *event.Event, show func(*event.Event) error) error {
	old, state := ev.Value(l.oldstate), ev.Value(l.newstate)
	if old == nil || state == nil {
		return nil
	}
	if state.Num == tcpEstablished {
		known.since = ev.Mono
		switch {
		case old.Num == tcpSynSent:
			known.opened = openedActive
		case known.opened == 0:
			known.opened = openedPassive
		}
		if ev.Name = "tcp.connected"; l.opens && known.opened == openedActive {
			return show(ev)
		}
		return nil
	}
	ev.SetNum(l.last, old.Num)
	if known.opened != 0 {
		ev.SetNum(l.opened, known.opened)
	}
	if known.since != 0 && ev.Mono >= known.since {
		ev.SetNum(l.duration, (ev.Mono-known.since)/1000)
	}
	ev.Set(l.tx, known.tx)
	ev.Set(l.rx, known.rx)
	ev.Set(l.error, known.err)
	ev.Set(l.netns, known.netns)
	l.bySocket.Delete(sk)
	ev.Name = "tcp.life"
	return show(ev)
}

// count tells what a socket that closes has counted.
func (l *lives) count(known *life, ev *event.Event) {
	if err := ev.Value(l.err); err != nil {
		known.err = event.Value{Set: true, Num: -err.Num}
	}
	if netns := ev.Value(l.netns); netns != nil {
		known.netns = *netns
	}
	received, flags := ev.Value(l.received), ev.Value(l.flags)
	if received != nil && flags != nil {
		rx := received.Num
		if flags.Num>>sockDone&1 != 0 && rx > 0 {
			rx-- // the peer's FIN
		}
		known.rx = event.Value{Set: true, Num: rx}
	}
	acked, una, written, old := ev.Value(l.acked), ev.Value(l.una), ev.Value(l.written), ev.Value(l.oldstate)
	if acked == nil || una == nil || written == nil || old == nil {
		return
	}
	tx := acked.Num
	if finSent>>old.Num&1 != 0 && una.Num == written.Num && tx > 0 {
		tx-- // our FIN, which was acknowledged
	}
	// Our SYN counts where we sent it, and not where we answered one.
	active := known.opened == openedActive || old.Num == tcpSynSent
	if sent, retrans := ev.Value(l.sent), ev.Value(l.retrans); known.opened == 0 && sent != nil && retrans != nil {
		active = tx == sent.Num-retrans.Num+1
	}
	if active && tx > 0 {
		tx--
	}
	known.tx = event.Value{Set: true, Num: tx}
}

// sockDone is SOCK_DONE of include/net/sock.h, which tcp_fin sets.
const sockDone = 1

// Evicted returns how many connections were forgotten.
func (l *lives) Evicted() uint64 { return l.bySocket.Evicted() }
