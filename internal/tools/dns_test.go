package tools

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/skprobe/skprobe/internal/event"
)

// dnsMessage makes a question, or an answer with an address.
func dnsMessage(t testing.TB, id uint16, name string, response bool) []byte {
	t.Helper()
	q := dnsmessage.Question{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, Response: response}, Questions: []dnsmessage.Question{q}}
	if response {
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A dnsWorld feeds lookups with datagrams and collects what they show.
type dnsWorld struct {
	t     *testing.T
	d     *lookups
	names []string
	now   uint64
	shown []string
}

func newDNSWorld(t *testing.T) *dnsWorld {
	w := &dnsWorld{t: t, names: []string{"skaddr", "payload", "raddr", "rport", "laddr", "role", "id", "type", "name", "rcode", "answer", "answers", "truncated", "latency_ms", "tries",
		"proto", "copied", "bytes", "piece", "piece2", "piece4"}, now: 100e9}
	s := &event.Schema{}
	for _, n := range w.names {
		s.Columns = append(s.Columns, event.Column{Name: n, Kind: event.Char})
	}
	w.d = newLookups(s, nil).(*lookups)
	return w
}

func (w *dnsWorld) show(ev *event.Event) error {
	line := ev.Name
	for _, n := range []string{"role", "name", "rcode", "answer", "latency_ms", "tries"} {
		v := ev.Values[slices.Index(w.names, n)]
		switch {
		case !v.Set:
			line += " -"
		case v.Text != nil:
			line += " " + string(v.Text)
		default:
			line += fmt.Sprint(" ", v.Num)
		}
	}
	if ev.Mono != w.now {
		w.t.Errorf("%s is shown at %d, at %d", line, ev.Mono, w.now)
	}
	w.shown = append(w.shown, line)
	return nil
}

// datagram is sent or received some milliseconds after the one before.
func (w *dnsWorld) datagram(ms uint64, name string, sk uint64, local, remote string, payload []byte) {
	w.now += ms * 1e6
	r := netip.MustParseAddrPort(remote)
	values := make([]event.Value, len(w.names))
	values[0], values[1] = event.Value{Set: true, Num: sk}, event.Value{Set: true, Text: payload}
	values[2], values[3] = event.Value{Set: true, Addr: r.Addr()}, event.Value{Set: true, Num: uint64(r.Port())}
	values[4] = event.Value{Set: true, Addr: netip.MustParseAddr(local)}
	if err := w.d.Event(&event.Event{Name: name, Mono: w.now, Values: values}, w.show); err != nil {
		w.t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 0xee // nothing of it may be kept
	}
}

// Answers find their questions: asked again, by several sockets with one id, of several servers, as a server, by multicast; and what was not
// answered is shown in time.
func TestLookups(t *testing.T) {
	w := newDNSWorld(t)
	q := func(id uint16, name string) []byte { return dnsMessage(t, id, name, false) }
	a := func(id uint16, name string) []byte { return dnsMessage(t, id, name, true) }
	const me, server, other = "10.0.0.1", "10.0.0.53:53", "10.0.0.54:53"
	w.datagram(0, "dns.sent", 1, me, server, q(7, "a"))
	w.datagram(5, "dns.sent", 2, me, server, q(7, "b"))
	w.datagram(5, "dns.received", 2, me, server, a(7, "b"))
	w.datagram(5, "dns.received", 1, me, other, a(7, "a")) // of somebody else
	w.datagram(5, "dns.sent", 1, me, server, q(7, "a"))
	w.datagram(5, "dns.received", 1, me, server, a(7, "a"))
	w.datagram(5, "dns.received", 1, me, server, a(7, "a")) // once more
	// As a server.
	w.datagram(0, "dns.received", 3, me, "10.0.0.9:5000", q(9, "c"))
	w.datagram(2, "dns.sent", 3, me, "10.0.0.9:5000", a(9, "c"))
	// Multicast: LLMNR has ids, multicast DNS has none.
	w.datagram(0, "dns.sent", 4, me, "224.0.0.252:5355", q(11, "d"))
	w.datagram(3, "dns.received", 4, me, "10.0.0.77:5355", a(11, "d"))
	w.datagram(0, "dns.sent", 5, me, "224.0.0.251:5353", q(0, "e"))
	w.datagram(0, "dns.sent", 5, me, "224.0.0.251:5353", q(0, "f"))
	w.datagram(0, "dns.received", 6, "224.0.0.251", "10.0.0.1:5353", q(0, "f")) // for whom it may concern
	w.datagram(4, "dns.received", 5, "224.0.0.251", "10.0.0.77:5353", a(0, "f"))
	// What is not DNS.
	w.datagram(0, "dns.sent", 7, me, server, []byte("GET / HTTP/1.1"))
	w.datagram(0, "dns.sent", 7, me, server, nil)
	// Time goes by.
	w.datagram(0, "dns.sent", 8, me, server, q(1, "late"))
	w.datagram(29_000, "dns.sent", 8, me, server, q(2, "later"))
	w.datagram(1_500, "dns.received", 8, me, server, a(2, "later"))
	if err := w.d.Finish(w.now, w.show); err != nil {
		t.Fatal(err)
	}
	want := `dns.query client a - - - -
dns.query client b - - - -
dns.answer client b NOERROR 192.0.2.7 5000 1
dns.answer client a NOERROR 192.0.2.7 - -
dns.query client a - - - -
dns.answer client a NOERROR 192.0.2.7 25000 2
dns.answer client a NOERROR 192.0.2.7 - -
dns.query server c - - - -
dns.answer server c NOERROR 192.0.2.7 2000 1
dns.query client d - - - -
dns.answer client d NOERROR 192.0.2.7 3000 1
dns.query client e - - - -
dns.query client f - - - -
dns.query server f - - - -
dns.answer client f NOERROR 192.0.2.7 4000 1
dns.query client late - - - -
dns.query client later - - - -
dns.unanswered client e - - - 1
dns.unanswered client late - - - 1
dns.answer client later NOERROR 192.0.2.7 1500000 1`
	if got := strings.Join(w.shown, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// stream is a call on a TCP socket: dns.tcp_sent with pieces of what is sent, or
// dns.tcp_received with a piece of what is read, between the events that tell
// whose it is.
func (w *dnsWorld) stream(name string, sk uint64, remote string, pieces ...string) {
	w.t.Helper()
	r := netip.MustParseAddrPort(remote)
	feed := func(name string, ends bool, more map[string]event.Value) {
		values := make([]event.Value, len(w.names))
		if ends {
			more["skaddr"], more["raddr"], more["rport"] = event.Value{Set: true, Num: sk}, event.Value{Set: true, Addr: r.Addr()}, event.Value{Set: true, Num: uint64(r.Port())}
		}
		for n, v := range more {
			values[slices.Index(w.names, n)] = v
		}
		if err := w.d.Event(&event.Event{Name: name, Mono: w.now, Thread: 1, Values: values}, w.show); err != nil {
			w.t.Fatal(err)
		}
	}
	w.now += 1e6
	if name == "dns.tcp_sent" {
		values := map[string]event.Value{"bytes": {Set: true, Num: uint64(len(strings.Join(pieces, "")))}}
		for i, p := range pieces {
			values[[]string{"piece", "piece2", "piece4"}[i]] = event.Value{Set: true, Text: []byte(p)}
		}
		feed(name, true, values)
		return
	}
	if sk != 0 {
		feed("dns.tcp_reading", true, map[string]event.Value{})
	}
	for _, p := range pieces {
		// More was read than is copied.
		feed(name, false, map[string]event.Value{"copied": {Set: true, Text: []byte(p + "and more")}, "bytes": {Set: true, Num: uint64(len(p))}})
	}
	if sk != 0 {
		feed("dns.tcp_read", false, map[string]event.Value{"bytes": {Set: true, Num: uint64(len(strings.Join(pieces, "")))}})
	}
}

// Over TCP messages have their length before them, and come as programs send
// and read them.
func TestLookupsOverTCP(t *testing.T) {
	w := newDNSWorld(t)
	const server = "10.0.0.53:53"
	q := func(id uint16, name string) string { return string(dnsMessage(t, id, name, false)) }
	a := func(id uint16, name string) string { return string(dnsMessage(t, id, name, true)) }
	length := func(m string) string { return string([]byte{byte(len(m) >> 8), byte(len(m))}) }
	// In one piece, and read in one.
	w.stream("dns.tcp_sent", 1, server, length(q(7, "a"))+q(7, "a"))
	w.stream("dns.tcp_received", 1, server, length(a(7, "a"))+a(7, "a"))
	// The length by itself.
	w.stream("dns.tcp_sent", 1, server, length(q(8, "b")), q(8, "b"))
	w.stream("dns.tcp_received", 1, server, length(a(8, "b")))
	w.stream("dns.tcp_received", 1, server, a(8, "b"))
	// Two at once, with three pieces of which the lengths are not read, and both answers in a row.
	w.stream("dns.tcp_sent", 1, server, length(q(9, "c")), q(9, "c"), q(10, "d"))
	w.stream("dns.tcp_received", 1, server, length(a(10, "d"))+a(10, "d")+length(a(9, "c"))+a(9, "c"))
	// As a server, with a connection for each.
	w.stream("dns.tcp_received", 2, "10.0.0.9:5000", length(q(1, "e"))+q(1, "e"))
	w.stream("dns.tcp_received", 3, "10.0.0.9:5001", length(q(1, "f"))+q(1, "f"))
	w.stream("dns.tcp_sent", 3, "10.0.0.9:5001", length(a(1, "f"))+a(1, "f"))
	// What is no message as it can be seen may be the answer.
	w.stream("dns.tcp_sent", 4, server, length(q(1, "g"))+q(1, "g"))
	w.stream("dns.tcp_received", 4, server, "abc")
	w.stream("dns.tcp_received", 5, "10.0.0.9:5002", length(q(1, "h"))+q(1, "h"))
	w.stream("dns.tcp_sent", 5, "10.0.0.9:5002", "abc")
	// What other sockets read on the same thread, when nothing is read of these.
	w.stream("dns.tcp_received", 0, server, a(1, "e"))
	if err := w.d.Finish(w.now, w.show); err != nil {
		t.Fatal(err)
	}
	want := `dns.query client a - - - -
dns.answer client a NOERROR 192.0.2.7 1000 1
dns.query client b - - - -
dns.answer client b NOERROR 192.0.2.7 2000 1
dns.query client c - - - -
dns.query client d - - - -
dns.answer client d NOERROR 192.0.2.7 1000 1
dns.answer client c NOERROR 192.0.2.7 1000 1
dns.query server e - - - -
dns.query server f - - - -
dns.answer server f NOERROR 192.0.2.7 1000 1
dns.query client g - - - -
dns.query server h - - - -
dns.unanswered server e - - - 1`
	if got := strings.Join(w.shown, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Questions that must be forgotten for want of room are shown, and counted.
func TestLookupsForgotten(t *testing.T) {
	w := newDNSWorld(t)
	const more = 3
	for i := range maxLookups + more {
		w.datagram(0, "dns.sent", uint64(i), "10.0.0.1", "10.0.0.53:53", dnsMessage(t, 1, "a", false))
	}
	if err := w.d.Finish(w.now, w.show); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range w.shown {
		if strings.HasPrefix(line, "dns.unanswered") {
			n++
		}
	}
	if n != maxLookups+more || w.d.Evicted() != more {
		t.Errorf("%d unanswered of %d, %d evicted", n, maxLookups+more, w.d.Evicted())
	}
}
