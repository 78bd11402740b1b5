package output

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/skprobe/skprobe/internal/event"
)

func TestCSV(t *testing.T) {
	schema := &event.Schema{Columns: []event.Column{
		{Name: "laddr", Kind: address},
		{Name: "name", Kind: text, Wide: true},
		{Name: "delta", Kind: signed},
	}}
	minus := int64(-5)
	e := event.Event{
		Name: "x", Wall: 1_717_245_296_123_456_789, CPU: 1, Task: true, PID: 2, TID: 3, Comm: `a,"b`,
		Values: []event.Value{{Set: true, Addr: v4a}, {Set: true, Text: []byte("x\ny")}, {Set: true, Num: uint64(minus)}},
		Stack:  []uint64{16, 17},
	}
	absent := event.Event{Name: "x", Values: make([]event.Value, 3)}
	empty := event.Event{Name: "x", Values: []event.Value{{}, {Set: true}, {}}}
	got := write(t, "csv", schema, Options{Stack: true}, e, absent, empty)
	want := strings.TrimPrefix(`
time,event,cpu,pid,tid,comm,laddr,name,delta,stack
2024-06-01T12:34:56.123456789Z,x,1,2,3,"a,""b",127.0.0.1,x\x0ay,-5,0x10;0x11
1970-01-01T00:00:00.000000000Z,x,0,,,,,,,
1970-01-01T00:00:00.000000000Z,x,0,,,,,"",,
`, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzCSV: encoding/csv reads back what was written, in one record a line.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "curl", `a"b`, " x", "a,b", `\.`, "\x1b\n\r", "\xff", "é"} {
		f.Add(s)
	}
	schema := &event.Schema{Columns: []event.Column{{Name: "text", Kind: text}, {Name: "n", Kind: number}}}
	f.Fuzz(func(t *testing.T, s string) {
		e := event.Event{Name: "x", Task: true, Comm: s, Values: []event.Value{{Set: true, Text: []byte(s)}, {Set: true, Num: 1}}}
		out := write(t, "csv", schema, Options{}, e, e)
		if n := strings.Count(out, "\n"); n != 3 {
			t.Fatalf("%d lines: %q", n, out)
		}
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		visible, _ := appendVisible(nil, []byte(s))
		if r := records[2]; r[5] != string(visible) || r[6] != string(visible) || r[7] != "1" {
			t.Errorf("%q became %q", s, r)
		}
	})
}
