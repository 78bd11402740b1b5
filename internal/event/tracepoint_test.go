package event_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// withTracepoint is a kernel with one static event, and event probes where err
// is nil.
func (w world) withTracepoint(err error) event.Kernel {
	k := w.kernel(fetchargs.Dialect53)
	k.Tracepoint = func(name string) ([]fetchargs.RecordField, error) {
		if name != "a:b" {
			return nil, errors.New("no such event")
		}
		return []fetchargs.RecordField{{Name: "skaddr", Type: pointer(void), Offset: 8}, {Name: "state", Type: s32, Offset: 16}}, nil
	}
	k.EventProbe = func(string) error { return err }
	return k
}

// A tracepoint whose own fields suffice is read as it is; where a pointer in it
// is followed an event probe fetches all fields; and where the kernel has no
// event probes, what comes in its place is probed.
func TestTracepointOrEventProbe(t *testing.T) {
	tool := func(exprs ...string) *event.Tool {
		p := event.Probe{Tracepoint: "a:b", Else: []event.Probe{{Funcs: []string{"f"}, Fields: []event.Field{{Name: "port", Expr: "sk->__sk_common.skc_num"}}}}}
		for _, e := range exprs {
			name, expr, _ := strings.Cut(e, "=")
			p.Fields = append(p.Fields, event.Field{Name: name, Expr: expr})
		}
		return &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{p}}}}
	}
	const follows = "port=((struct sock *)skaddr)->__sk_common.skc_num"
	none := errors.New("none here")
	for _, c := range []struct {
		exprs  []string
		probes error
		want   string // the arguments, or where
	}{
		{[]string{"state=state"}, none, "a:b"},
		{[]string{"state=state", follows}, nil, "$state:u32 $skaddr:x64 +14($skaddr):u16"},
		{[]string{"state=state", follows}, none, "f"},
	} {
		p, err := event.Compile(tool(c.exprs...), nil, nil, newWorld().withTracepoint(c.probes))
		if err != nil {
			t.Errorf("%v: %v", c.exprs, err)
			continue
		}
		compiled := p.Probes[0]
		if err := compiled.Build(""); err != nil {
			t.Fatal(err)
		}
		got := compiled.Symbol
		if compiled.EventProbe {
			var args []string
			for _, a := range compiled.Entry.Plan.Args {
				args = append(args, a.Fetch())
			}
			got = strings.Join(args, " ")
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.exprs, got, c.want)
		}
		if wanted := c.probes == nil || len(c.exprs) == 1; (p.Schema.Column("state") >= 0) != wanted {
			t.Errorf("%v: columns %v", c.exprs, p.Schema.Columns)
		}
	}
	tl := tool(follows)
	tl.Events[0].Probes[0].Else = nil
	if _, err := event.Compile(tl, nil, nil, newWorld().withTracepoint(none)); !errors.Is(err, none) {
		t.Errorf("without event probes: %v", err)
	}
}

// A number of an event probe is compared by the kernel, and a pointer that is
// none leads to no value.
func TestEventProbeValues(t *testing.T) {
	tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Tracepoint: "a:b", Fields: []event.Field{
		{Name: "state", Expr: "state"}, {Name: "port", Expr: "((struct sock *)skaddr)->__sk_common.skc_num"}}}}}}}
	p, err := event.Compile(tool, nil, nil, newWorld().withTracepoint(nil))
	if err != nil {
		t.Fatal(err)
	}
	c := p.Probes[0]
	text, exact, ok := c.Compare("state", event.Ge, event.Operand{Num: -3})
	if !ok || !exact || text != "state >= -3" {
		t.Errorf("a filter: %q, exact %t, %t", text, exact, ok)
	}
	if err := c.Build(text); err != nil {
		t.Fatal(err)
	}
	bind(t, c)
	m := newMachine(1)
	m.put(heap+14, 2, 53)
	ev := p.NewEvent()
	for _, sk := range []uint64{heap, 0} {
		m.regs["skaddr"], m.regs["state"] = sk, 7
		rec := m.record(c.Entry, false, make([]byte, 64, 4096))
		if ok, err := c.Decode(c.Entry, 1, rec, ev); !ok || err != nil {
			t.Fatal(ok, err)
		}
		port := ev.Values[p.Schema.Column("port")]
		if port.Set != (sk != 0) || port.Set && port.Num != 53 || ev.Values[p.Schema.Column("state")].Num != 7 {
			t.Errorf("sk %#x: %+v of %x", sk, ev.Values, binary.LittleEndian.Uint64(rec[16:]))
		}
	}
}

// A probe whose types a kernel does not have is not for it, nor one that it does
// not need for those that it has.
func TestProbeTypes(t *testing.T) {
	for name, want := range map[string]string{"struct thing": "f", "struct nope": "g", "!struct thing": "g", "!struct nope": "f"} {
		types, without := []string{name}, []string(nil)
		if not, ok := strings.CutPrefix(name, "!"); ok {
			types, without = nil, []string{not}
		}
		w := newWorld()
		w["g()"] = w["f()"]
		fields := []event.Field{{Name: "n", Expr: "n"}}
		tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"}, Needs: types, Without: without, Fields: fields,
			Else: []event.Probe{{Funcs: []string{"g"}, Fields: fields}}}}}}}
		p, err := event.Compile(tool, nil, nil, w.kernel(fetchargs.Dialect53))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Probes[0].Symbol; got != want {
			t.Errorf("with %s: %s, want %s", name, got, want)
		}
	}
}
