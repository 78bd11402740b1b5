package tools

import (
	"math"
	"net/netip"
	"strings"

	"github.com/skprobe/skprobe/internal/dns"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// Bounds of what is remembered of questions.
const (
	maxLookups = 16384
	lookupTime = 30e9 // nanoseconds: resolvers have given up by then
)

// A lookup is a question that waits for its answer.
type lookup struct {
	socket uint64
	server bool           // a process here is to answer it
	peer   netip.AddrPort // of whom the answer must come; not valid for a question to a group
	id     uint16
	name   string // of a question to a group, where the id is nothing
}

type lookedUp struct {
	first *event.Event
	tries uint64
	// unsure: something was sent or received that may be the answer.
	unsure bool
}

// A reading thread copies a packet of a connection.
type reading struct {
	socket uint64
	ends   *event.Event
	seen   bool // there was a message
}

// maxReading is how many threads read at a time.
const maxReading = 4096

// lookups finds the answers.
type lookups struct {
	open    *track.Table[lookup, lookedUp]
	reading *track.Table[uint32, reading] // by thread
	late    []*event.Event                // forgotten for want of room
	message dns.Message
	own     []int // columns of the message

	sk, payload, raddr, rport, laddr, lport                                int
	copied, bytes, proto                                                   int
	pieces                                                                 [3]int
	role, id, typ, name, rcode, answer, answers, truncated, latency, tries int
}

func newLookups(s *event.Schema, _ event.Settings) event.Reducer {
	d := &lookups{open: track.New[lookup, lookedUp](maxLookups), reading: track.New[uint32, reading](maxReading)}
	for name, to := range map[string]*int{"skaddr": &d.sk, "payload": &d.payload, "raddr": &d.raddr, "rport": &d.rport, "laddr": &d.laddr, "lport": &d.lport,
		"role": &d.role, "id": &d.id, "type": &d.typ, "name": &d.name, "rcode": &d.rcode, "answer": &d.answer, "answers": &d.answers,
		"truncated": &d.truncated, "latency_ms": &d.latency, "tries": &d.tries,
		"proto": &d.proto, "copied": &d.copied, "bytes": &d.bytes, "piece": &d.pieces[0], "piece2": &d.pieces[1], "piece4": &d.pieces[2]} {
		*to = s.Index(name)
	}
	d.own = []int{d.role, d.id, d.typ, d.name, d.rcode, d.answer, d.answers, d.truncated, d.latency, d.tries}
	d.open.Evict = func(_ lookup, l *lookedUp) {
		if !l.unsure {
			d.late = append(d.late, d.unanswered(l))
		}
	}
	return d
}

// Event makes events of the DNS messages in what was sent or received.
func (d *lookups) Event(ev *event.Event, show func(*event.Event) error) error {
	if ev.Mono > lookupTime {
		if err := d.expire(ev.Mono-lookupTime, ev.Mono, show); err != nil {
			return err
		}
	}
	var socket uint64
	if sk := ev.Value(d.sk); sk != nil {
		socket = sk.Num
	}
	switch ev.Name {
	case "dns.sent", "dns.received":
		if payload := ev.Value(d.payload); payload != nil {
			return d.took(ev, socket, ev.Name == "dns.sent", "udp", payload.Text, show)
		}
	case "dns.tcp_sent":
		seen := false
		for _, piece := range d.pieces {
			if v := ev.Value(piece); v != nil {
				some, err := d.tookStream(ev, socket, true, v.Text, show)
				if err != nil {
					return err
				}
				seen = seen || some
			}
		}
		if !seen {
			d.unseen(ev, socket, true)
		}
	case "dns.tcp_reading":
		d.reading.Put(ev.Thread, reading{socket: socket, ends: ev.Clone()})
	case "dns.tcp_received":
		r, b, n := d.reading.Get(ev.Thread), ev.Value(d.copied), ev.Value(d.bytes)
		if r == nil || b == nil || n == nil {
			return nil
		}
		ev.Update(r.ends)
		some, err := d.tookStream(ev, r.socket, false, b.Text[:min(n.Num, uint64(len(b.Text)))], show)
		r.seen = r.seen || some
		return err
	case "dns.tcp_read":
		if r := d.reading.Get(ev.Thread); r != nil {
			if !r.seen {
				d.unseen(ev, r.socket, false)
			}
			d.reading.Delete(ev.Thread)
		}
	}
	return nil
}

// tookStream takes the messages in bytes of a connection. It reports whether
// there are any.
func (d *lookups) tookStream(ev *event.Event, socket uint64, sent bool, b []byte, show func(*event.Event) error) (seen bool, err error) {
	for message := range dns.Stream(b) {
		seen = true
		for _, column := range d.own {
			ev.Set(column, event.Value{})
		}
		if err := d.took(ev, socket, sent, "tcp", message, show); err != nil {
			return true, err
		}
	}
	return seen, nil
}

// unseen notes that bytes were sent or received on a connection that are no
// message as it can be seen. They may be the answer to any of the questions
// there, unless they are a message's length alone.
func (d *lookups) unseen(ev *event.Event, socket uint64, sent bool) {
	if n := ev.Value(d.bytes); n != nil && n.Num <= 2 {
		return
	}
	d.open.All(func(key lookup, l *lookedUp) bool {
		if key.socket == socket && key.server == sent {
			l.unsure = true
		}
		return true
	})
}

// took makes an event of what may be a message.
func (d *lookups) took(ev *event.Event, socket uint64, sent bool, proto string, b []byte, show func(*event.Event) error) error {
	raddr, rport := ev.Value(d.raddr), ev.Value(d.rport)
	if raddr == nil || rport == nil || !d.message.Decode(b) {
		return nil
	}
	d.describe(ev, sent)
	ev.SetText(d.proto, []byte(proto))
	key := lookup{socket: socket, server: d.message.Response == sent, peer: netip.AddrPortFrom(raddr.Addr, uint16(rport.Num)), id: d.message.ID}
	if d.message.Response {
		ev.Name = "dns.answer"
		d.answered(ev, key)
	} else {
		ev.Name = "dns.query"
		d.asked(ev, key)
	}
	return show(ev)
}

var roles = map[bool][]byte{false: []byte("client"), true: []byte("server")}

// describe sets the columns of the message.
func (d *lookups) describe(ev *event.Event, sent bool) {
	m := &d.message
	ev.SetText(d.role, roles[m.Response == sent])
	ev.SetNum(d.id, uint64(m.ID))
	if m.Name != "" {
		ev.SetText(d.name, []byte(m.Name))
		ev.SetText(d.typ, []byte(dns.TypeName(m.Type)))
	}
	if !m.Response {
		return
	}
	ev.SetText(d.rcode, []byte(dns.RCodeName(m.RCode)))
	ev.SetNum(d.answers, uint64(m.Answers))
	if m.Truncated {
		ev.SetNum(d.truncated, 1)
	}
	if len(m.Data) > 0 {
		ev.SetText(d.answer, []byte(strings.Join(m.Data, " ")))
	}
}

// asked remembers a question. One to a group is answered by whom it may concern,
// and others than a process that got it may answer it.
func (d *lookups) asked(ev *event.Event, key lookup) {
	if laddr := ev.Value(d.laddr); key.server && laddr != nil && laddr.Addr.IsMulticast() {
		return
	}
	if key.peer.Addr().IsMulticast() {
		key = key.toGroup(d.message.Name)
	}
	if l := d.open.Get(key); l != nil {
		l.tries++
	} else {
		d.open.Put(key, lookedUp{first: ev.Clone(), tries: 1})
	}
}

// toGroup is the key of a question to a group: multicast DNS has no id.
func (k lookup) toGroup(name string) lookup {
	k.peer = netip.AddrPort{}
	if k.id == 0 {
		k.name = name
	}
	return k
}

// answered finds the question of an answer.
func (d *lookups) answered(ev *event.Event, key lookup) {
	for _, key := range [2]lookup{key, key.toGroup(d.message.Name)} {
		if l := d.open.Get(key); l != nil {
			ev.SetNum(d.latency, (ev.Mono-min(ev.Mono, l.first.Mono))/1000)
			ev.SetNum(d.tries, l.tries)
			d.open.Delete(key)
			return
		}
	}
}

// unanswered is the event of a question that nobody has answered.
func (d *lookups) unanswered(l *lookedUp) *event.Event {
	l.first.Name = "dns.unanswered"
	l.first.SetNum(d.tries, l.tries)
	return l.first
}

// expire shows questions of before a time, that nobody will answer any more.
func (d *lookups) expire(before, now uint64, show func(*event.Event) error) (err error) {
	for _, ev := range d.late {
		ev.Mono = now
		if err := show(ev); err != nil {
			return err
		}
	}
	d.late = d.late[:0]
	d.open.All(func(key lookup, l *lookedUp) bool {
		if l.first.Mono >= before {
			return false
		}
		d.open.Delete(key)
		if l.unsure {
			return true
		}
		ev := d.unanswered(l)
		ev.Mono = now
		err = show(ev)
		return err == nil
	})
	return err
}

// Finish shows what was not answered.
func (d *lookups) Finish(now uint64, show func(*event.Event) error) error {
	return d.expire(math.MaxUint64, now, show)
}

func (d *lookups) Evicted() uint64 { return d.open.Evicted() }
