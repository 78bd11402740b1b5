package tools

import (
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// Each byte is counted once, whatever calls look at it, take it, or wait for more; and a socket does not inherit the numbers of one that had
// its address.
func TestReceivedOnce(t *testing.T) {
	type call struct {
		sk, copied   uint64
		seq, nxt     uint32
		total        uint64 // bytes received by then
		want         uint64
		what         string
		unknownTotal bool
	}
	const start = 0xfffffff0 // sequence numbers turn round
	seq := func(n uint32) uint32 { return start + n }
	calls := []call{
		{1, 10, seq(0), seq(50), 50, 0, "a peek first of all", false},
		{1, 10, seq(10), seq(50), 50, 10, "ten are taken", false},
		{1, 10, seq(10), seq(50), 50, 0, "a peek", false},
		{1, 20, seq(30), seq(50), 50, 20, "a call takes 20 and waits", false},
		{1, 40, seq(50), seq(50), 50, 20, "and takes 20 more", false},
		{1, 5, seq(56), seq(56), 55, 5, "the last five, and the end", false},
		{2, 100, 5000, 5000, 70000, 100, "a connection of before", false},
		{2, 30, 4000000000, 4000000000, 30, 30, "another socket with its address", false},
		{3, 64, 777, 900, 0, 64, "where only the sequence number is known", true},
		{3, 64, 777, 900, 0, 0, "a peek there", true},
	}
	r := &received{sk: 0, copied: 1, copiedSeq: 2, rcvNxt: 3, total: 4, rx: 5}
	r.next = newReceived(&event.Schema{}, nil).(*received).next
	for _, c := range calls {
		set := func(n uint64) event.Value { return event.Value{Set: true, Num: n} }
		ev := &event.Event{Values: []event.Value{set(c.sk), set(c.copied), set(uint64(c.seq)), set(uint64(c.nxt)), set(c.total), {}}}
		if c.unknownTotal {
			ev.Values[4].Set = false
		}
		var got uint64
		r.Event(ev, func(ev *event.Event) error {
			if got = ev.Values[5].Num; got == 0 {
				t.Errorf("%s: nothing is shown as something", c.what)
			}
			return nil
		})
		if got != c.want {
			t.Errorf("%s: %d, not %d", c.what, got, c.want)
		}
	}
	// A send is shown as it is.
	shown := false
	r.Event(&event.Event{Values: make([]event.Value, 6)}, func(*event.Event) error { shown = true; return nil })
	if !shown {
		t.Error("a send is not shown")
	}
}
