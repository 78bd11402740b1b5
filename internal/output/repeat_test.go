package output

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// Sinks copy what has not changed from the event before. So each line of a
// long run must be that of a sink that has seen nothing before.
func TestRepeats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	schema := udpSchema()
	schema.Columns = append(schema.Columns,
		event.Column{Name: "note", Kind: &event.Kind{Name: "text", Class: event.Text}},
		event.Column{Name: "bytes", Kind: event.Bytes},
		event.Column{Name: "ok", Kind: event.BoolKind})
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("fe80::1%eth0")}
	texts := []string{"", "a", `"`, "longer text"}
	e := &event.Event{Values: make([]event.Value, len(schema.Columns))}
	var long bytes.Buffer
	sink, err := New("json", &long, schema, Options{})
	if err != nil {
		t.Fatal(err)
	}
	edition := uint64(0) // the last that was given
	for range 5000 {
		e.Wall += r.Int64N([]int64{1_000, 1_000_000, 2_000_000_000}[r.IntN(3)])
		if r.IntN(4) == 0 {
			e.Name, e.Task = []string{"", "udp.sendmsg", "other"}[r.IntN(3)], r.IntN(3) > 0
			e.PID, e.TID, e.CPU, e.Comm = r.Uint32N(2), r.Uint32N(2), r.Uint32N(2), texts[r.IntN(len(texts))]
		}
		again := e.Edition != 0 && r.IntN(2) == 0
		if !again {
			edition++
			e.Edition, e.Changed = edition, r.Uint64()&r.Uint64()&r.Uint64()
			switch r.IntN(8) {
			case 0:
				edition += 2 // others were not shown
				e.Edition = edition
			case 1:
				e.Edition = 0 // which says nothing
			}
		}
		if e.Stack = nil; r.IntN(8) == 0 {
			e.Stack = []uint64{r.Uint64N(2)}
		}
		for i := range e.Values {
			if again || r.IntN(8) > 0 {
				continue
			}
			e.Changed |= 1 << i
			v := &e.Values[i]
			v.Set = r.IntN(4) > 0 // what an absent value holds does not matter
			switch schema.Columns[i].Kind.Class {
			case event.Address:
				v.Addr = addrs[r.IntN(len(addrs))]
			case event.Text:
				v.Num, v.Text = r.Uint64N(3), nil
				if i >= 9 {
					v.Num, v.Text = 0, []byte(texts[r.IntN(len(texts))])
				}
			default:
				v.Num = r.Uint64N(2)
			}
		}
		long.Reset()
		var one bytes.Buffer
		alone, err := New("json", &one, schema, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []Sink{sink, alone} {
			if err := s.Event(e); err != nil {
				t.Fatal(err)
			}
		}
		if r.IntN(10) > 0 { // sometimes lines wait together
			sink.Flush()
			alone.Flush()
			if !bytes.HasSuffix(long.Bytes(), one.Bytes()) {
				t.Fatalf("after other events\n%s\nalone\n%s", long.Bytes(), one.Bytes())
			}
		}
	}
}
