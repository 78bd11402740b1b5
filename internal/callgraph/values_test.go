package callgraph

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// TestValues takes arguments and results by the types of the functions.
func TestValues(t *testing.T) {
	number := func(name string, size int, signed bool) *fetchargs.Type {
		return &fetchargs.Type{Kind: fetchargs.Int, Name: name, Size: size, Signed: signed}
	}
	integer, short, void := number("int", 4, true), number("u16", 2, false), &fetchargs.Type{Kind: fetchargs.Void}
	states := &fetchargs.Type{Kind: fetchargs.Enum, Name: "enum state", Size: 4, Values: []fetchargs.Enumerator{{Name: "OPEN", Value: 3}}}
	pointer := fetchargs.PointerTo(nil)
	function := func(returns *fetchargs.Type, parameters ...fetchargs.Member) *fetchargs.Type {
		return fetchargs.FuncOf("f", parameters, returns)
	}
	prototypes := map[string]*fetchargs.Type{
		"open":  function(integer, fetchargs.Member{Name: "sk", Type: pointer}, fetchargs.Member{Name: "n", Type: integer}, fetchargs.Member{Name: "port", Type: short}, fetchargs.Member{Type: states}),
		"close": function(void),
		"find":  function(pointer, fetchargs.Member{Name: "key", Type: &fetchargs.Type{Kind: fetchargs.Struct, Name: "struct key", Size: 16}}, fetchargs.Member{Name: "n", Type: integer}),
	}
	values := &Values{Args: true, Retval: true, Arch: fetchargs.AMD64, Prototype: func(name string) *fetchargs.Type { return prototypes[name] }}
	s := &event.Schema{Tool: "graph", Events: []string{callName}}
	for _, f := range append(columns(Options{Values: values}), append(values.atEntry(), values.atReturn()...)...) {
		s.Columns = append(s.Columns, event.Column{Name: f.Name, Kind: f.Kind})
	}
	r := values.reader(s)
	ev := s.NewEvent(callName)
	for i, n := range []uint64{0xffff888000001000, 0x12345678fffffffe, 0xffff0050, 3} {
		ev.SetNum(r.rawArgs[i], n)
	}
	for name, want := range map[string]string{
		"open": "sk=0xffff888000001000 n=-2 port=80 arg4=OPEN", "bridge:open": "sk=0xffff888000001000 n=-2 port=80 arg4=OPEN",
		"close": "", "find": "…", "nosuch": "",
	} {
		if got := r.arguments(name, ev); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	ev.SetNum(r.rawRetval, 0xffffffea)
	if n, ok := r.result("open", ev); !ok || int64(n) != -22 {
		t.Errorf("open: %d %v", int64(n), ok)
	}
	if n, ok := r.result("find", ev); !ok || n != 0xffffffea {
		t.Errorf("find: %x %v", n, ok)
	}
	if _, ok := r.result("close", ev); ok {
		t.Error("close returns nothing")
	}
	if text := string(retval.Append(nil, &event.Value{Num: 0xffff888000001000})); text != "0xffff888000001000" {
		t.Error(text)
	}
	if text := string(retval.Append(nil, &event.Value{Num: ^uint64(21)})); text != "-EINVAL" && text != "EINVAL" {
		t.Error(text)
	}
}

// TestTracedValues takes them from records of the tracer, as kernels with both lay
// them out (kernel/trace/trace_entries.h, 6.15 with CONFIG_FUNCTION_GRAPH_RETVAL): the entry
// ends with as many registers as the architecture has for arguments, or with none.
func TestTracedValues(t *testing.T) {
	number := func(size int, signed bool) *fetchargs.Type {
		return &fetchargs.Type{Kind: fetchargs.Int, Name: "number", Size: size, Signed: signed}
	}
	long := number(8, false)
	send := fetchargs.FuncOf("send", []fetchargs.Member{{Name: "fd", Type: number(4, true)}, {Name: "len", Type: long}}, number(4, true))
	k := event.Kernel{Arch: fetchargs.AMD64, Symbol: func(dst []byte, _ uint64) []byte { return append(dst, "send+0x0"...) },
		Tracepoint: func(name string) ([]fetchargs.RecordField, error) {
			return map[string][]fetchargs.RecordField{
				EntryRecord: {{Name: "func", Type: long, Offset: 8}, {Name: "depth", Type: long, Offset: 16}, {Name: TracedArgs, Type: number(0, false), Offset: 24, Rest: true}},
				ReturnRecord: {{Name: "func", Type: long, Offset: 8}, {Name: TracedRetval, Type: long, Offset: 16}, {Name: "depth", Type: number(4, false), Offset: 24},
					{Name: "overrun", Type: number(4, false), Offset: 28}, {Name: "calltime", Type: long, Offset: 32}, {Name: "rettime", Type: long, Offset: 40}},
			}[name], nil
		}}
	options := Options{Values: &Values{Args: true, Retval: true, Arch: k.Arch, Prototype: func(string) *fetchargs.Type { return send }}}
	p, err := event.Compile(Traced(options), nil, nil, k)
	if err != nil {
		t.Fatal(err)
	}
	record := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	const header, addr = 7 << 32, 0xffffffff81000000
	entries := map[string][]byte{
		"fd=-1 len=100": record(header, addr, 0, 0xffffffff, 100, 3, 4, 5, 6),
		"fd=-1 …":       record(header, addr, 0, 0xffffffff),
		"…":             record(header, addr, 0),
	}
	for want, entry := range entries {
		tr := newTrees(&p.Schema, options, byAddress(&p.Schema))
		var got []string
		for i, record := range [][]byte{entry, record(header, addr, 0xffffffea, 0, 10, 30)} {
			c, ev := p.Probes[i], p.NewEvent()
			if err := c.Build(""); err != nil {
				t.Fatal(err)
			}
			if err := c.Entry.Bind(nil); err != nil {
				t.Fatal(err)
			}
			ev.TID, ev.Mono = 7, uint64(100+i)
			if ok, err := c.Decode(c.Entry, 7, record, ev); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if err := tr.Event(ev, func(ev *event.Event) error {
				got = append(got, fmt.Sprintf("%s = %d, %d ns", ev.Value(p.Schema.Column(argsColumn)).Text, int64(ev.Value(p.Schema.Column(retvalColumn)).Num), ev.Value(p.Schema.Column(durationColumn)).Num))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if want += " = -22, 20 ns"; len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %s", got, want)
		}
	}
}
