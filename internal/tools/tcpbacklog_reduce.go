package tools

import (
	"net/netip"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// Limits of what the backlog remembers.
const (
	maxListeners  = 4096
	maxHandshakes = 65536
)

// A handshake is known by the listening socket and the client's end.
type handshake struct {
	listener uint64
	client   netip.AddrPort
}

// A begun handshake has had SYNs with one sequence number, the first at a time.
type begun struct{ since, isn, syns uint64 }

// A listener is what is known of a listening socket.
type listener struct {
	line                         *event.Event // that is shown at its end
	syn, accept                  uint64       // most in the queues
	syns, connections, overflows uint64
}

// backlog follows handshakes, and adds up what listening sockets see.
type backlog struct {
	schema     *event.Schema
	listeners  *track.Table[uint64, listener]
	handshakes *track.Table[handshake, begun]

	skaddr, family, laddr, bound, lport, raddr, rport, netns int
	qlenDec, synLimit, req, synackType, isn                  int
	synQueue, acceptQueue, acceptLimit                       int
	answer, queue, syns, connections, overflows, duration    int
}

func newBacklog(s *event.Schema, _ event.Settings) event.Reducer {
	return &backlog{
		schema: s, listeners: track.New[uint64, listener](maxListeners), handshakes: track.New[handshake, begun](maxHandshakes),
		skaddr: s.Index("skaddr"), family: s.Index("family"), laddr: s.Index("laddr"), bound: s.Index("bound_laddr"), lport: s.Index("lport"),
		raddr: s.Index("raddr"), rport: s.Index("rport"), netns: s.Index("netns"),
		qlenDec: s.Index("qlen_dec"), synLimit: s.Index("syn_limit"), req: s.Index("req"), synackType: s.Index("synack_type"), isn: s.Index("syn_isn"),
		synQueue: s.Index("syn_queue"), acceptQueue: s.Index("accept_queue"), acceptLimit: s.Index("accept_limit"),
		answer: s.Index("answer"), queue: s.Index("queue"), syns: s.Index("syns"), connections: s.Index("connections"),
		overflows: s.Index("overflows"), duration: s.Index("duration_ms"),
	}
}

// Evicted returns how many listening sockets and handshakes were forgotten.
func (b *backlog) Evicted() uint64 { return b.listeners.Evicted() + b.handshakes.Evicted() }

// Event shows what arrives.
func (b *backlog) Event(ev *event.Event, show func(*event.Event) error) error {
	sk := ev.Value(b.skaddr)
	if sk == nil {
		return nil
	}
	switch ev.Name {
	case "tcp.destroyed":
		if l := b.listeners.Get(sk.Num); l != nil {
			b.listeners.Delete(sk.Num)
			return b.end(l, ev.Mono, show)
		}
		return nil
	case "tcp.listening", "tcp.accepting":
		if l := b.listeners.Get(sk.Num); l != nil {
			l.ownedBy(ev)
		}
		return nil
	}
	l := b.listeners.Get(sk.Num)
	if l == nil {
		l = b.listeners.Put(sk.Num, listener{line: b.newLine(ev)})
	}
	l.ownedBy(ev)
	l.accept = max(l.accept, b.number(ev, b.acceptQueue))
	if dec := ev.Value(b.qlenDec); dec != nil {
		ev.SetNum(b.synQueue, uint64(uint32(b.number(ev, b.synQueue)-dec.Num)))
	}
	l.syn = max(l.syn, b.number(ev, b.synQueue))
	copyValue(l.line, ev, b.acceptLimit)
	key := handshake{listener: sk.Num}
	if addr, port := ev.Value(b.raddr), ev.Value(b.rport); addr != nil && port != nil {
		key.client = netip.AddrPortFrom(addr.Addr, uint16(port.Num))
	}
	switch ev.Name {
	case "tcp.conn_request":
		return b.synArrived(ev, l, key, show)
	case "tcp.complete":
		l.connections++
		l.accept = max(l.accept, b.number(ev, b.acceptQueue)+1)
		if h := b.handshakes.Get(key); h != nil && ev.Mono >= h.since {
			ev.SetNum(b.syns, h.syns)
			ev.SetNum(b.duration, (ev.Mono-h.since)/1000)
		}
		b.handshakes.Delete(key)
		ev.Name = "established"
		return show(ev)
	}
	if accept, _ := b.full(ev); !accept { // tcp.last_ack
		return nil
	}
	return b.dropped(ev, l, show)
}

// synArrived shows a SYN, and what becomes of one that is not answered.
func (b *backlog) synArrived(ev *event.Event, l *listener, key handshake, show func(*event.Event) error) error {
	l.syns++
	isn := b.number(ev, b.isn)
	h := b.handshakes.Get(key)
	if h == nil || h.isn != isn { // an earlier one from the same port was given up
		h = b.handshakes.Put(key, begun{since: ev.Mono, isn: isn})
	}
	h.syns++
	ev.SetNum(b.syns, h.syns)
	ev.Name = "syn"
	if b.req < 0 { // what it was answered is not known
		return show(ev)
	}
	answer := uint64(answerNone)
	if ev.Value(b.req) != nil {
		answer = answerSynAck
		if typ := ev.Value(b.synackType); typ != nil {
			answer += typ.Num
		}
	}
	switch answer {
	case answerSynAck:
		l.syn = max(l.syn, b.number(ev, b.synQueue)+1)
	case answerFastOpen:
		l.accept = max(l.accept, b.number(ev, b.acceptQueue)+1)
	}
	ev.SetNum(b.answer, answer)
	if err := show(ev); err != nil || answer != answerNone {
		return err
	}
	ev.Values[b.answer], ev.Values[b.syns] = event.Value{}, event.Value{}
	return b.dropped(ev, l, show)
}

// dropped shows why a packet is dropped.
func (b *backlog) dropped(ev *event.Event, l *listener, show func(*event.Event) error) error {
	accept, syn := b.full(ev)
	if !accept && !syn {
		ev.Name = "drop"
		return show(ev)
	}
	l.overflows++
	if accept != syn { // if both are full, it depends on syncookies which it was
		n := uint64(0)
		if accept {
			n = 1
		}
		ev.SetNum(b.queue, n)
	}
	ev.Name = "overflow"
	return show(ev)
}

// full tells which of the queues are full, as sk_acceptq_is_full and
// inet_csk_reqsk_queue_is_full do.
func (b *backlog) full(ev *event.Event) (accept, syn bool) {
	waiting, limit := ev.Value(b.acceptQueue), ev.Value(b.acceptLimit)
	accept = waiting != nil && limit != nil && waiting.Num > limit.Num
	if old := ev.Value(b.synLimit); old != nil {
		limit = old
	}
	begun := ev.Value(b.synQueue)
	return accept, begun != nil && limit != nil && begun.Num >= limit.Num
}

// newLine is the beginning of the line about a listening socket.
func (b *backlog) newLine(ev *event.Event) *event.Event {
	line := b.schema.NewEvent("listener")
	for _, i := range []int{b.family, b.lport, b.netns} {
		copyValue(line, ev, i)
	}
	if addr := ev.Value(b.bound); addr != nil && b.laddr >= 0 {
		line.Values[b.laddr] = *addr
	}
	return line
}

// number is a value, 0 where it is absent.
func (b *backlog) number(ev *event.Event, index int) uint64 {
	if v := ev.Value(index); v != nil {
		return v.Num
	}
	return 0
}

// copyValue copies a column.
func copyValue(to, from *event.Event, column int) {
	if v := from.Value(column); v != nil {
		to.Values[column] = *v
	}
}

// ownedBy notes whose the socket is.
func (l *listener) ownedBy(ev *event.Event) {
	if ev.Task {
		l.line.Task, l.line.PID, l.line.TID, l.line.Comm = true, ev.PID, ev.TID, ev.Comm
	}
}

// end shows what a listening socket has seen.
func (b *backlog) end(l *listener, now uint64, show func(*event.Event) error) error {
	ev := l.line
	ev.Mono = now
	ev.SetNum(b.synQueue, l.syn)
	ev.SetNum(b.acceptQueue, l.accept)
	ev.SetNum(b.syns, l.syns)
	ev.SetNum(b.connections, l.connections)
	ev.SetNum(b.overflows, l.overflows)
	return show(ev)
}

// Finish shows what the listening sockets have seen that are left.
func (b *backlog) Finish(now uint64, show func(*event.Event) error) (err error) {
	b.listeners.All(func(_ uint64, l *listener) bool {
		err = b.end(l, now, show)
		return err == nil
	})
	return err
}
