package tools

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// A trailsTest feeds a reducer of --path.
type trailsTest struct {
	t      *testing.T
	schema *event.Schema
	trails event.Reducer
	now    uint64
	sport  uint64 // that of the packets; 0: as their addresses in the kernel
	flags  string
	shown  []string
}

func newTrailsTest(t *testing.T) *trailsTest {
	reasons := event.Named("dropreason", "", 0, "NOT_DROPPED_YET", "CONSUMED", "NO_SOCKET")
	places := &event.Kind{Class: event.Text, Append: func(dst []byte, v *event.Value) []byte {
		return append(dst, map[uint64]string{4: "sk_stream_kill_queues+0x58"}[v.Num]...)
	}}
	s := &event.Schema{Tool: "packet", Columns: []event.Column{{Name: "skb", Kind: event.Pointer}, {Name: "dev", Kind: event.Char}, {Name: "sport", Kind: event.Uint},
		{Name: "path", Kind: event.Char}, {Name: "fate", Kind: event.Char}, {Name: "duration_us", Kind: event.Micros}, {Name: "reason", Kind: reasons}, {Name: "location", Kind: places}, {Name: "flags", Kind: event.Char}}}
	return &trailsTest{t: t, schema: s, trails: newTrails(s, nil)}
}

// at is an event, 1.5 µs after the last.
func (w *trailsTest) at(skb uint64, name, dev string, more ...uint64) {
	w.t.Helper()
	w.now += 1500
	ev := w.schema.NewEvent(name)
	ev.Mono, ev.Values[0] = w.now, event.Value{Set: true, Num: skb}
	if dev != "" {
		ev.Values[1] = event.Value{Set: true, Text: []byte(dev)}
	}
	ev.Values[2] = event.Value{Set: true, Num: cmp.Or(w.sport, skb)}
	ev.SetText(8, []byte(w.flags))
	for i, n := range more {
		ev.Values[6+i] = event.Value{Set: true, Num: n}
	}
	if err := w.trails.Event(ev, w.show); err != nil {
		w.t.Fatal(err)
	}
	for i := range ev.Values { // which are the next event's
		copy(ev.Values[i].Text, "xxxxxxxx")
		ev.Values[i].Num = 99
	}
}

func (w *trailsTest) show(ev *event.Event) error {
	v := ev.Values
	text := fmt.Sprintf("%s %d: %s", ev.Name, v[2].Num, v[3].Text)
	if v[4].Set {
		text += fmt.Sprintf("; %s after %d", v[4].Text, v[5].Num)
	}
	if v[6].Set {
		text += fmt.Sprintf(" for %d at %d", v[6].Num, v[7].Num)
	}
	w.shown = append(w.shown, text)
	return nil
}

func (w *trailsTest) want(lines ...string) {
	w.t.Helper()
	if got, want := strings.Join(w.shown, "\n"), strings.Join(lines, "\n"); got != want {
		w.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.shown = nil
}

func TestTrails(t *testing.T) {
	w := newTrailsTest(t)
	w.at(1, "packet.rx", "eth0")
	w.at(2, "packet.rx", "eth0")
	w.at(1, "packet.forward", "eth0")
	w.at(1, "packet.queue", "eth1")
	w.at(2, "packet.local-in", "eth0")
	w.at(1, "packet.tx", "eth1")
	w.at(7, pathFreed, "") // another's
	w.at(8, pathDropped, "", 2, 5)
	w.want()
	w.at(1, pathFreed, "")
	w.at(1, pathFreed, "") // told twice
	w.at(2, pathDropped, "", 2, 0x77)
	w.want("packet.path 1: rx(eth0) 3.0µs forward(eth0) 1.5µs queue(eth1) 3.0µs tx(eth1); forwarded after 12000",
		"packet.path 2: rx(eth0) 4.5µs local-in(eth0); dropped after 13500 for 2 at 119")

	// The same addresses, of other packets.
	w.at(1, "packet.local-out", "")
	w.at(1, "packet.queue", "va")
	w.at(1, "packet.tx", "va")
	w.at(1, "packet.rx", "vb")
	w.at(1, "packet.local-in", "vb")
	w.at(1, "udp_rcv", "vb")
	w.at(1, pathFreed, "")
	w.at(2, "packet.queue", "va")
	w.at(2, "packet.tx", "va")
	w.at(2, pathDropped, "", 1, 0x77) // no drop
	w.at(3, "packet.rx", "va")
	w.at(3, pathFreed, "")
	w.at(4, "packet.rx", "va")
	w.at(4, "ip_rcv", "va")
	w.at(4, "ip_rcv", "va")
	w.want("packet.path 1: local-out 1.5µs queue(va) 1.5µs tx(va) 1.5µs rx(vb) 1.5µs local-in(vb) 1.5µs udp_rcv(vb); delivered after 9000",
		"packet.path 2: queue(va) 1.5µs tx(va); sent after 3000",
		"packet.path 3: rx(va); consumed after 1500")
	if err := w.trails.(event.Finisher).Finish(w.now, w.show); err != nil {
		t.Fatal(err)
	}
	w.want("packet.path 4: rx(va) 1.5µs ip_rcv(va) 1.5µs ip_rcv(va)")
}

// A driver may get a packet again, and the other end of a pair receive it; what
// has other headers then is another packet.
func TestTrailsHeaders(t *testing.T) {
	w := newTrailsTest(t)
	w.at(1, "packet.tx", "va")
	w.at(1, "packet.tx", "va")
	w.at(1, "packet.rx", "vb")
	w.want()
	w.sport = 7
	w.at(1, "packet.forward", "vb") // translated
	w.at(1, "packet.tx", "eth0")
	w.sport = 8
	w.at(1, "packet.tx", "eth0")
	w.sport = 9
	w.at(1, "packet.rx", "eth1")
	w.sport = 0
	w.want("packet.path 1: tx(va) 1.5µs tx(va) 1.5µs rx(vb) 1.5µs forward(vb) 1.5µs tx(eth0)",
		"packet.path 8: tx(eth0)")
}

// A connection's end that nobody waited for is no drop, as for the tool drop.
func TestTrailsFIN(t *testing.T) {
	w := newTrailsTest(t)
	for skb, flags := range map[uint64]string{1: "FIN|ACK", 2: "PSH|ACK"} {
		w.flags = flags
		w.at(skb, "packet.local-in", "va")
		w.at(skb, pathDropped, "", 2, 4)
		fate := map[uint64]string{1: "delivered after 1500", 2: "dropped after 1500 for 2 at 4"}[skb]
		w.want(fmt.Sprintf("packet.path %d: local-in(va); %s", skb, fate))
	}
}

// Where the end of a packet was not seen, its address is another's all the same.
func TestTrailsReused(t *testing.T) {
	w := newTrailsTest(t)
	w.at(1, "packet.rx", "eth0")
	w.at(1, "packet.local-in", "eth0")
	w.at(1, "packet.rx", "eth0") // not again
	w.at(1, "packet.rx", "br0")  // up from a port of a bridge
	w.at(1, "packet.local-out", "")
	w.at(1, "packet.queue", "tun0")
	w.at(1, "packet.tx", "tun0")
	w.at(1, "packet.local-out", "") // around it
	w.at(1, "packet.tx", "eth0")
	w.at(1, pathFreed, "")
	w.want("packet.path 1: rx(eth0) 1.5µs local-in(eth0)",
		"packet.path 1: rx(eth0) 1.5µs rx(br0)",
		"packet.path 1: local-out 1.5µs queue(tun0) 1.5µs tx(tun0) 1.5µs local-out 1.5µs tx(eth0); sent after 7500")
}

// What is remembered is bounded, of all packets and of each.
func TestTrailsBounded(t *testing.T) {
	w := newTrailsTest(t)
	for i := range uint64(maxTrails + 10) {
		w.at(1000+i, "packet.rx", "eth0")
	}
	if n := w.trails.Evicted(); n != 10 {
		t.Errorf("%d were forgotten", n)
	}
	last := uint64(1000 + maxTrails + 9)
	for range 1000 {
		w.at(last, "nf_hook_slow", "")
	}
	w.at(last, pathFreed, "")
	if len(w.shown) != 1 || strings.Count(w.shown[0], "nf_hook_slow") != maxStops-2 || !strings.Contains(w.shown[0], "nf_hook_slow …; consumed") {
		t.Errorf("%q", w.shown)
	}
}
