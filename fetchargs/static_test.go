package fetchargs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a tracepoint recorded is in its record; an event probe fetches it, and
// follows the pointers in it.
func TestRecorded(t *testing.T) {
	f := table()
	u32 := &Type{Kind: Int, Name: "u32", Size: 4}
	record := []RecordField{
		{Name: "skaddr", Type: PointerTo(nil), Offset: 8},
		{Name: "reason", Type: u32, Offset: 16},
		{Name: "saddr", Type: ArrayOf(&Type{Kind: Int, Name: "u8", Size: 1}, 4), Offset: 20},
		{Name: "name", Type: charPointer, Offset: 24, Text: true},
		{Name: "filename", Type: charPointer, Offset: 28, Chars: true},
	}
	static := Target{Arch: AMD64, Types: f, Dialect: Dialect53, Record: record}
	probe := static
	probe.Fetched = true
	for _, c := range []struct{ expr, static, probe string }{
		{"reason", "at 16", "$reason:u32"},
		{"skaddr", "at 8", "$skaddr:x64"},
		{"saddr", "at 20", "fetches no u8[4]"},
		{"((struct sock *)skaddr)->dport", "a tracepoint recorded", "+12($skaddr):u16"},
		{"((struct sock *)skaddr)->next->dport", "a tracepoint recorded", "+12(+40($skaddr)):u16"},
		{"reason & 0xff", "at 16", "$reason:u8"},
		{"filename", "at 28", "cannot follow a pointer to text"},
		{"nosuch", "records no", "records no"},
	} {
		for target, want := range map[*Target]string{&static: c.static, &probe: c.probe} {
			if got := fetched(target, c.expr); !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", c.expr, got, want)
			}
		}
	}
	ref, err := resolve(&static, "((struct sock *)skaddr)->dport")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPlanner(Dialect53).Value(ref, 0); !errors.Is(err, ErrFollows) || !errors.Is(err, ErrNotFetchable) {
		t.Errorf("follow a recorded pointer: %v", err)
	}
	static.Record = append(static.Record, RecordField{Name: "rest", Type: &Type{Kind: Int, Name: "unsigned long"}, Offset: 28, Rest: true})
	if ref, err = resolve(&static, "rest"); err != nil {
		t.Fatal(err)
	}
	planner := NewPlanner(Dialect53)
	slot, err := planner.Value(ref, 0)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := planner.Build()
	if err != nil {
		t.Fatal(err)
	}
	layout, err := plan.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{28: "", 29: "a", 36: "aaaaaaaa"} {
		if rest := layout.Bytes([]byte(strings.Repeat("a", n)), 1, slot); string(rest) != want || (rest == nil) != (want == "") {
			t.Errorf("the rest of %d bytes: %q, want %q", n, rest, want)
		}
	}
	if _, err := layout.Present(make([]byte, 27)); err == nil {
		t.Error("a record that ends before the rest begins")
	}
	planner = NewPlanner(Dialect53)
	text, err := resolve(&probe, "name")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planner.Text(text, false); err != nil {
		t.Fatal(err)
	}
	if plan, err := planner.Build(); err != nil || plan.Args[0].Fetch() != "$name:string" {
		t.Errorf("a text: %v, %v", plan, err)
	}
}

// fetched is how a target gets a value: the fetch of its last argument, or where
// it lies in the record, or why not.
func fetched(target *Target, expr string) string {
	ref, err := resolve(target, expr)
	if err != nil {
		return err.Error()
	}
	planner := NewPlanner(target.Dialect)
	slot, err := planner.Value(ref, 0)
	if err != nil {
		return err.Error()
	}
	plan, err := planner.Build()
	if err != nil {
		return err.Error()
	}
	info := plan.Info(slot)
	if len(plan.Args) > 0 {
		return info.Arg.Fetch()
	}
	return fmt.Sprintf("at %d", info.Off)
}
