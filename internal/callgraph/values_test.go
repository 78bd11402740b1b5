package callgraph

import (
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
