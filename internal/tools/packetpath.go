package tools

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// Sources of --path: what becomes of packets.
const (
	pathShown   = "packet.path"
	pathDropped = "packet.dropped"
	pathFreed   = "packet.freed"
)

// pathEnds are the ends of packets. The tracepoints are those of drops, and of
// packets that were used; TCP frees what it has received without either.
func pathEnds() []event.Source {
	const params = "struct sk_buff *skb"
	freed := func(function string) event.Probe {
		return event.Probe{Funcs: []string{function}, Params: params, NonNull: []string{"skb"}, Optional: true, Fields: pathFields("$skb")}
	}
	droppedAt := func(place string) event.Field {
		return event.Field{Name: "location", Expr: place, KindName: "symbol", Help: "with --path: place in the kernel where it was dropped"}
	}
	return []event.Source{{
		Name: pathShown, Short: "the way of a packet from the first of the places to its end",
	}, {
		Name: pathDropped, Hidden: true, Short: "a packet is dropped",
		Probes: []event.Probe{{
			Tracepoint: "skb:kfree_skb",
			Optional:   true,
			Fields: append(pathFields("skbaddr"), droppedAt("location"),
				event.Field{Name: "reason", Expr: "reason", KindName: "dropreason", Optional: true, Help: "with --path: why it was dropped, by the kernel's name without SKB_DROP_REASON_"}),
		}, {
			// Before 5.17 TCP frees what it drops as if it had used it: see drop.
			Funcs:    []string{"tcp_drop"},
			Params:   "struct sock *sk, struct sk_buff *skb",
			Without:  []string{"enum skb_drop_reason"},
			NonNull:  []string{"skb"},
			Optional: true,
			Fields:   append(pathFields("$skb"), droppedAt("$caller")),
		}},
	}, passingOn(false), {
		Name: pathFreed, Hidden: true, Short: "a packet is not needed any more",
		Probes: []event.Probe{
			{Tracepoint: "skb:consume_skb", Optional: true, Fields: pathFields("skbaddr")},
			freed("__kfree_skb"), freed("kfree_skb_partial"), freed("skb_attempt_defer_free"),
		},
	}}
}

func pathFields(skb string) []event.Field {
	return []event.Field{
		{Name: "skb", Expr: skb, Kind: event.Pointer, Wide: true},
		{Name: "path", Computed: true, Kind: event.Char, Help: "with --path: the places that it passed, with the times between them"},
		{Name: "fate", Computed: true, Kind: event.Char, Help: "with --path: delivered, forwarded, sent, dropped, or consumed; absent if it was still on its way"},
		{Name: "duration_us", Computed: true, Kind: event.Micros, Help: "with --path: time from the first place to its end, in microseconds"},
	}
}

// maxTrails is how many packets are followed at a time, and maxStops how many
// places of one are told.
const (
	maxTrails = 8192
	maxStops  = 64
)

// A trail is the way of one packet so far.
type trail struct {
	first     *event.Event // at the first place
	text      []byte       // the places, with the times between
	stops     int
	start     uint64
	last      uint64 // when it was at the last place
	place     string // the last with a name of its own
	headers   headers
	forwarded bool
}

// headers are what tells packets apart, as far as they are known.
type headers [8]event.Value

// trails follow packets from place to place, by their addresses in the kernel,
// which are those of others when they have ended.
type trails struct {
	open    *track.Table[uint64, *trail]
	callers *callers

	skb, dev, flags, path, fate, reason, location, duration int

	headers  [len(headers{})]int
	columns  []event.Column
	stopText []byte
}

func newTrails(s *event.Schema, _ event.Settings) event.Reducer {
	w := &trails{open: track.New[uint64, *trail](maxTrails), callers: newCallers(s), columns: s.Columns,
		skb: s.Index("skb"), dev: s.Index("dev"), flags: s.Index("flags"), path: s.Index("path"), fate: s.Index("fate"),
		reason: s.Index("reason"), location: s.Index("location"), duration: s.Index("duration_us")}
	for i, name := range []string{"saddr", "daddr", "sport", "dport", "ip_id", "seq", "icmp_seq", "ethertype"} {
		w.headers[i] = s.Index(name)
	}
	return w
}

func (w *trails) Event(ev *event.Event, show func(*event.Event) error) error {
	if ev.Name == dropCallers {
		w.callers.note(ev)
		return nil
	}
	skb := ev.Value(w.skb)
	if skb == nil {
		return nil
	}
	var p *trail
	if at := w.open.Get(skb.Num); at != nil {
		p = *at
	}
	switch ev.Name {
	case pathDropped, pathFreed:
		if p == nil {
			return nil
		}
		w.open.Delete(skb.Num)
		w.callers.place(ev)
		return w.end(p, ev, show)
	}
	w.stopText = w.appendStop(w.stopText[:0], ev)
	if p != nil && w.isAnother(p, ev) {
		if err := w.show(p, show); err != nil {
			return err
		}
		p = nil
	}
	if p == nil {
		p = &trail{first: ev.Clone(), start: ev.Mono, last: ev.Mono}
		w.open.Put(skb.Num, p)
	}
	p.stop(ev, w.stopText)
	for i, column := range w.headers {
		p.headers[i] = event.Value{}
		if v := ev.Value(column); v != nil {
			p.headers[i] = event.Value{Set: true, Num: v.Num, Addr: v.Addr}
		}
	}
	return nil
}

// appendStop writes a place: rx(eth0).
func (w *trails) appendStop(dst []byte, ev *event.Event) []byte {
	dst = append(dst, strings.TrimPrefix(ev.Name, "packet.")...)
	if dev := ev.Value(w.dev); dev != nil {
		dst = append(append(append(dst, '('), dev.Text...), ')')
	}
	return dst
}

// isAnother tells that what is at a place now has the address of a packet of
// which the end was not seen. None comes to a place twice, or is made anew but
// by a tunnel's device; and a driver may get it again, and the other end of a
// pair receive it, but with the same headers.
func (w *trails) isAnother(p *trail, ev *event.Event) bool {
	sent := p.place == "packet.tx"
	switch ev.Name {
	case "packet.local-out":
		return !sent && p.place != "packet.queue"
	case "packet.rx":
		return p.was(w.stopText) || sent && w.differs(p, ev)
	case "packet.tx":
		return p.was(w.stopText) && w.differs(p, ev)
	case "packet.queue", "packet.forward", "packet.local-in":
		return p.was(w.stopText)
	}
	return false
}

// was tells whether it was at a place already.
func (p *trail) was(stop []byte) bool {
	return slices.ContainsFunc(bytes.Fields(p.text), func(word []byte) bool { return bytes.Equal(word, stop) })
}

// differs tells whether a header is not what it was at the last place.
func (w *trails) differs(p *trail, ev *event.Event) bool {
	for i, column := range w.headers {
		v, was := ev.Value(column), &p.headers[i]
		if v != nil && was.Set && (v.Num != was.Num || v.Addr != was.Addr) {
			return true
		}
	}
	return false
}

// stop adds a place.
func (p *trail) stop(ev *event.Event, text []byte) {
	since := uint64(0)
	if ev.Mono > p.last {
		since = ev.Mono - p.last
	}
	p.last = max(p.last, ev.Mono)
	if strings.HasPrefix(ev.Name, "packet.") { // a function may be anywhere
		p.place = ev.Name
	}
	p.forwarded = p.forwarded && ev.Name != "packet.rx" || ev.Name == "packet.forward"
	p.stops++
	switch {
	case p.stops > maxStops:
		return
	case p.stops == maxStops:
		p.text = append(p.text, " …"...)
		return
	case p.stops > 1:
		p.text = append(appendMicros(append(p.text, ' '), since), ' ')
	}
	p.text = append(p.text, text...)
}

// appendMicros writes nanoseconds as microseconds, 12.3µs.
func appendMicros(dst []byte, ns uint64) []byte {
	dst = strconv.AppendUint(dst, ns/1000, 10)
	return append(append(dst, '.', byte('0'+ns%1000/100)), "µs"...)
}

// end shows the way of a packet that has ended with ev.
func (w *trails) end(p *trail, ev *event.Event, show func(*event.Event) error) error {
	fate := "consumed"
	switch {
	case ev.Name == pathDropped && !w.isUsed(p, ev):
		fate = "dropped"
		copyValue(p.first, ev, w.reason)
		copyValue(p.first, ev, w.location)
	case p.place == "packet.local-in":
		fate = "delivered"
	case p.place == "packet.tx" && p.forwarded:
		fate = "forwarded"
	case p.place == "packet.tx":
		fate = "sent"
	}
	p.first.SetText(w.fate, []byte(fate))
	if ev.Mono >= p.start {
		p.first.SetNum(w.duration, ev.Mono-p.start)
	}
	return w.show(p, show)
}

// isUsed tells that what looks like a drop is none: the kernel says so, or it is
// the end of a connection that waited in a socket when that was closed.
func (w *trails) isUsed(p *trail, ev *event.Event) bool {
	if flags := p.first.Value(w.flags); flags != nil && bytes.Contains(flags.Text, []byte("FIN")) &&
		bytes.HasPrefix(w.written(ev, w.location), atClose) {
		return true
	}
	switch string(w.written(ev, w.reason)) {
	case "CONSUMED", "NOT_DROPPED_YET":
		return true
	}
	return false
}

// written is a value as it is shown.
func (w *trails) written(ev *event.Event, column int) []byte {
	if v := ev.Value(column); v != nil {
		return w.columns[column].Kind.Append(nil, v)
	}
	return nil
}

func (w *trails) show(p *trail, show func(*event.Event) error) error {
	p.first.Name = pathShown
	p.first.SetText(w.path, p.text)
	return show(p.first)
}

// Finish shows the packets that are still on their way.
func (w *trails) Finish(_ uint64, show func(*event.Event) error) (err error) {
	w.open.All(func(_ uint64, p **trail) bool {
		err = w.show(*p, show)
		return err == nil
	})
	return err
}

// Everywhere: a packet is freed in the context of others.
func (w *trails) Everywhere() {}

// Evicted returns how many packets were forgotten.
func (w *trails) Evicted() uint64 { return w.open.Evicted() }
