package tools

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/dns"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "dns",
	Short: "DNS questions and answers, by process, with server, code, addresses and latency",
	Long: `Shows each DNS answer that a process receives, with the question that it had
asked, the server, the code, the first addresses and the time since the question;
and what processes answer themselves (role server). What was not answered is
shown at the end, or after 30 s.

The messages are taken from the datagrams that processes send and receive, so
it does not matter with which library, or with none, a program asks. Port 53 is
looked at, or those that --port gives; --mdns adds multicast DNS and LLMNR.`,
	Example: `# Names that are asked for most, and those that take longest
skprobe dns --count-by name --hist latency_ms --where 'role == "client"'`,
	Cost:  "about 3 µs for each datagram that any process sends or receives",
	Ports: []uint16{53},
	Options: []event.Option{
		{Name: "mdns", Help: "also multicast DNS and LLMNR: ports 5353 and 5355", Ports: []uint16{5353, 5355}},
		{Name: "queries", Help: "show questions too, when they are asked", Events: []string{"dns.query"}},
	},
	Events: []event.Source{
		{Name: "dns.query", Short: "a question is asked (--queries)"},
		{Name: "dns.answer", Short: "a question is answered"},
		{Name: "dns.unanswered", Short: "a question was not answered within 30 s, or until the end"},
		{
			Name: "dns.sent", Hidden: true, Short: "a datagram is sent",
			Probes: []event.Probe{{
				Funcs:   []string{"ip_send_skb"},
				NonNull: []string{"skb"},
				Fields:  dnsSent(event.DatagramSent4()),
			}, {
				// Until 3.19 what is inlined in the caller calls the second.
				Funcs:    []string{"ip6_send_skb", "ip6_local_out"},
				NonNull:  []string{"skb"},
				Optional: true, // CONFIG_IPV6
				Fields:   dnsSent(event.DatagramSent6()),
			}},
		}, {
			Name: "dns.received", Hidden: true, Short: "a datagram is received",
			Probes: []event.Probe{udpTaken(
				[]event.Field{event.SkAddr("sk")},
				[]event.Field{dnsDatagram(event.DatagramReceived(), "daddr", "saddr")},
				func(string) []event.Field { return dnsFields() })},
		},
	},
	Columns: []string{"role", "laddr", "lport", "raddr", "rport", "id", "type", "rcode", "latency_ms", "tries", "name", "answer", "answers", "truncated"},
	Keys:    []string{"laddr", "lport", "raddr", "rport"},
	Reduce:  newLookups,
})

// dnsSent are the fields of a datagram that is sent.
func dnsSent(kind *event.Kind) []event.Field {
	return slices.Concat(
		[]event.Field{event.SkAddr("skb->sk"), dnsDatagram(kind, "saddr", "daddr")},
		dnsFields(), []event.Field{event.NetNS("skb->sk")})
}

// dnsDatagram are the ends of a datagram, of which one is this host's, and its
// payload.
func dnsDatagram(kind *event.Kind, local, remote string) event.Field {
	port := map[string]string{"saddr": "sport", "daddr": "dport"}
	return event.Field{Expr: "skb", Kind: kind, Parts: []event.Pick{
		{Part: local, Name: "laddr", Help: "local address", Wide: true},
		{Part: port[local], Name: "lport", Help: "local port", Wide: true},
		{Part: remote, Name: "raddr", Help: "remote address: the server that is asked, or for role server the client"},
		{Part: port[remote], Name: "rport", Help: "remote port", Wide: true},
		{Part: "payload", Hidden: true},
	}}
}

// dnsFields are those of the message.
func dnsFields() []event.Field {
	text := func(name, help string) event.Field {
		return event.Field{Name: name, Computed: true, Kind: event.Char, Help: help}
	}
	role := &event.Kind{Name: "role", Class: event.Text, Width: 6, Names: []string{"client", "server"}}
	short := &event.Kind{Name: "text", Class: event.Text, Width: 8}
	return []event.Field{
		{Name: "role", Computed: true, Kind: role, Help: "client: the process asks; server: it is asked"},
		{Name: "id", Computed: true, Kind: event.Uint16, Wide: true, Help: "number of the question, by which its answer is known"},
		{Name: "type", Computed: true, Kind: short, Help: "type of record that is asked for: A, AAAA, MX"},
		text("name", "name that is asked for"),
		{Name: "rcode", Computed: true, Kind: short, Help: "code of the answer: NOERROR, NXDOMAIN, SERVFAIL"},
		text("answer", "addresses in the answer, or where there are none names and texts; the first eight"),
		{Name: "answers", Computed: true, Kind: event.Uint16, Wide: true, Help: "records that the answer has"},
		{Name: "truncated", Computed: true, Kind: event.BoolKind, Wide: true, Help: "the answer did not fit into a datagram"},
		{Name: "latency_ms", Computed: true, Kind: event.Millis, Help: "time from the question, the first if it was asked again, to this answer"},
		{Name: "tries", Computed: true, Kind: event.Uint16, Wide: true, Help: "how often was asked"},
	}
}

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
}

// lookups finds the answers.
type lookups struct {
	open    *track.Table[lookup, lookedUp]
	late    []*event.Event // forgotten for want of room
	message dns.Message

	sk, payload, raddr, rport, laddr, lport                                int
	role, id, typ, name, rcode, answer, answers, truncated, latency, tries int
}

func newLookups(s *event.Schema, _ event.Settings) event.Reducer {
	d := &lookups{open: track.New[lookup, lookedUp](maxLookups)}
	for name, to := range map[string]*int{"skaddr": &d.sk, "payload": &d.payload, "raddr": &d.raddr, "rport": &d.rport, "laddr": &d.laddr, "lport": &d.lport,
		"role": &d.role, "id": &d.id, "type": &d.typ, "name": &d.name, "rcode": &d.rcode, "answer": &d.answer, "answers": &d.answers,
		"truncated": &d.truncated, "latency_ms": &d.latency, "tries": &d.tries} {
		*to = s.Index(name)
	}
	d.open.Evict = func(_ lookup, l *lookedUp) { d.late = append(d.late, d.unanswered(l)) }
	return d
}

// Event makes an event of a datagram that is a DNS message.
func (d *lookups) Event(ev *event.Event, show func(*event.Event) error) error {
	if ev.Mono > lookupTime {
		if err := d.expire(ev.Mono-lookupTime, ev.Mono, show); err != nil {
			return err
		}
	}
	payload, raddr, rport := ev.Value(d.payload), ev.Value(d.raddr), ev.Value(d.rport)
	if payload == nil || raddr == nil || rport == nil || !d.message.Decode(payload.Text) {
		return nil
	}
	sent := ev.Name == "dns.sent"
	d.describe(ev, sent)
	key := lookup{server: d.message.Response == sent, peer: netip.AddrPortFrom(raddr.Addr, uint16(rport.Num)), id: d.message.ID}
	if sk := ev.Value(d.sk); sk != nil {
		key.socket = sk.Num
	}
	if d.message.Response {
		ev.Name = "dns.answer"
		d.answered(ev, key)
		return show(ev)
	}
	ev.Name = "dns.query"
	d.asked(ev, key)
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
		d.open.Put(key, lookedUp{ev.Clone(), 1})
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
		ev := d.unanswered(l)
		ev.Mono = now
		d.open.Delete(key)
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
