package tools

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// TestNeighbours: a change is found on whatever CPU its end is told.
func TestNeighbours(t *testing.T) {
	const none, incomplete, reachable, stale = 0, 1, 2, 4
	type seen struct {
		name  string
		cpu   uint32
		addr  string
		state uint64
	}
	for name, c := range map[string]struct {
		events []seen
		want   []string
	}{
		"one CPU": {
			[]seen{{"neigh.before", 0, "10.0.0.1", none}, {"neigh.state", 0, "10.0.0.1", incomplete}},
			[]string{"10.0.0.1 0 1"},
		},
		"answered before the function that asks is done": {
			[]seen{{"neigh.before", 0, "10.0.0.1", none}, {"neigh.before", 0, "10.0.0.1", incomplete}, {"neigh.state", 0, "10.0.0.1", reachable}, {"neigh.state", 0, "10.0.0.1", reachable}},
			[]string{"10.0.0.1 0 1", "10.0.0.1 1 2"},
		},
		"moved to another CPU": {
			[]seen{{"neigh.before", 0, "10.0.0.1", none}, {"neigh.state", 1, "10.0.0.1", incomplete}},
			[]string{"10.0.0.1 0 1"},
		},
		"moved, and others are on both": {
			[]seen{{"neigh.before", 1, "10.0.0.2", stale}, {"neigh.before", 0, "10.0.0.1", none}, {"neigh.before", 0, "10.0.0.3", none},
				{"neigh.state", 0, "10.0.0.3", incomplete}, {"neigh.state", 1, "10.0.0.1", incomplete}, {"neigh.state", 1, "10.0.0.2", reachable}},
			[]string{"10.0.0.3 0 1", "10.0.0.1 0 1", "10.0.0.2 4 2"},
		},
		"answered on another CPU before it is done": {
			[]seen{{"neigh.before", 0, "10.0.0.1", none}, {"neigh.before", 1, "10.0.0.1", incomplete}, {"neigh.state", 1, "10.0.0.1", reachable}, {"neigh.state", 0, "10.0.0.1", reachable}},
			[]string{"10.0.0.1 0 1", "10.0.0.1 1 2"},
		},
		"began before tracing": {[]seen{{"neigh.state", 0, "10.0.0.1", reachable}}, nil},
		"no change":            {[]seen{{"neigh.before", 0, "10.0.0.1", stale}, {"neigh.state", 0, "10.0.0.1", stale}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &event.Schema{Tool: "neigh", Columns: []event.Column{{Name: "dev", Kind: event.Char}, {Name: "addr", Kind: event.IPv4}, {Name: "oldstate", Kind: nudState}, {Name: "newstate", Kind: nudState}}}
			r := newNeighbours(s, nil)
			var got []string
			for _, e := range c.events {
				ev := s.NewEvent(e.name)
				ev.CPU = e.cpu
				ev.Values[0] = event.Value{Set: true, Text: []byte("eth0")}
				ev.Values[1] = event.Value{Set: true, Addr: netip.MustParseAddr(e.addr)}
				ev.Values[3] = event.Value{Set: true, Num: e.state}
				err := r.Event(ev, func(ev *event.Event) error {
					got = append(got, fmt.Sprintf("%s %d %d", ev.Values[1].Addr, ev.Values[2].Num, ev.Values[3].Num))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
