package ktype

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// handTypes is a small source of types with one of each construct.
type handTypes struct {
	types, funcs map[string]*fetchargs.Type
}

func (h handTypes) Source() string { return "hand" }

func (h handTypes) TypeNamed(name string) (*fetchargs.Type, error) {
	if t := h.types[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fetchargs.ErrNoType)
}

func (h handTypes) FuncNamed(name string) (*fetchargs.Type, error) {
	if t := h.funcs[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%s(): %w", name, fetchargs.ErrNoType)
}

func newHandTypes() handTypes {
	type (
		T = fetchargs.Type
		M = fetchargs.Member
	)
	u8 := &T{Kind: fetchargs.Int, Name: "u8", Size: 1}
	u32 := &T{Kind: fetchargs.Int, Name: "u32", Size: 4}
	integer := &T{Kind: fetchargs.Int, Name: "int", Size: 4, Signed: true}
	atomic := &T{Kind: fetchargs.Struct, Name: "atomic_t", Size: 4, Members: []M{{Name: "counter", Type: integer}}}
	state := &T{Kind: fetchargs.Enum, Name: "enum state", Size: 4, Signed: true, Values: []fetchargs.Enumerator{{Name: "BAD", Value: -1}, {Name: "GOOD", Value: 0}}}
	op := &T{Kind: fetchargs.Struct, Name: "struct opaque", Incomplete: true}
	other := &T{Kind: fetchargs.Struct, Name: "struct other", Size: 8, Members: []M{{Name: "x", Type: u32}, {Name: "y", Type: u32, Offset: 4}}}
	foo := &T{Kind: fetchargs.Struct, Name: "struct foo", Size: 96}
	ptr := func(t *T) *T { return fetchargs.PointerTo(func() *T { return t }) }
	pair := &T{Kind: fetchargs.Struct, Size: 8, Members: []M{{Name: "a", Type: u32}, {Name: "b", Type: u32, Offset: 4}}}
	foo.Members = []M{
		{Type: &T{Kind: fetchargs.Union, Size: 8, Members: []M{{Name: "words", Type: pair}, {Name: "bytes", Type: fetchargs.ArrayOf(u8, 8)}}}},
		{Name: "flag", Type: u8, Offset: 8, BitOffset: 3, BitSize: 2},
		{Name: "refs", Type: atomic, Offset: 12},
		{Name: "next", Type: ptr(foo), Offset: 16},
		{Name: "other", Type: ptr(other), Offset: 24},
		{Name: "opaque", Type: ptr(op), Offset: 32},
		{Name: "grid", Type: fetchargs.ArrayOf(fetchargs.ArrayOf(u8, 2), 4), Offset: 40},
		{Name: "call", Type: ptr(fetchargs.FuncOf("", []M{{Name: "x", Type: u32}}, integer)), Offset: 48},
		{Name: "any", Type: ptr(nil), Offset: 56},
		{Name: "pp", Type: ptr(ptr(other)), Offset: 64},
		{Name: "state", Type: state, Offset: 72},
		{Name: "pairs", Type: fetchargs.ArrayOf(pair, 2), Offset: 76},
		{Name: "tail", Type: fetchargs.ArrayOf(u8, 0), Offset: 92},
	}
	return handTypes{
		types: map[string]*T{"struct foo": foo, "struct other": other, "u32": u32, "atomic_alias": atomic, "struct opaque": op},
		funcs: map[string]*T{"do_foo": fetchargs.FuncOf("do_foo", []M{{Name: "f", Type: ptr(foo)}, {Type: u32}}, integer)},
	}
}

func TestProfileGolden(t *testing.T) {
	r := NewRecorder(newHandTypes())
	f, err := r.FuncNamed("do_foo")
	if err != nil {
		t.Fatal(err)
	}
	f.Members[0].Type.Elem()
	for _, n := range []string{"u32", "atomic_alias", "struct opaque"} {
		if _, err := r.TypeNamed(n); err != nil {
			t.Fatal(err)
		}
	}
	r.TypeNamed("struct nowhere")
	r.FuncNamed("mod:no_function")
	var got bytes.Buffer
	if _, err := r.Profile(Kernel{"6.1.0-test", "deadbeef", "amd64"}).WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/hand.json"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Fatalf("differs from %s (run with -update to write it anew):\n%s", file, d)
	}

	p, err := LoadProfile(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	p.WriteTo(&again)
	if again.String() != got.String() {
		t.Error("reading and writing changes the profile")
	}
	foo, err := p.TypeNamed("struct foo")
	if err != nil {
		t.Fatal(err)
	}
	orig, _ := newHandTypes().TypeNamed("struct foo")
	if d := cmp.Diff(dump(orig, 0), dump(foo, 0)); d != "" {
		t.Error(d)
	}
	next, _ := foo.Member("next")
	if next.Type.Elem() != foo {
		t.Error("next does not point to the same struct foo")
	}
	other, _ := foo.Member("other")
	if e := other.Type.Elem(); !e.Incomplete || e.Name != "struct other" {
		t.Errorf("other was not looked into, and points to %+v", e)
	}
	for name, want := range map[string]string{"atomic_alias": "atomic_t", "u32": "u32", "struct opaque": "struct opaque", "void": "void"} {
		if got, err := p.TypeNamed(name); err != nil || got.Name != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"struct nowhere": "does not have it", "struct other": "not recorded", "struct unheard": "not recorded"} {
		if _, err := p.TypeNamed(name); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.FuncNamed("no_function"); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "does not have it") {
		t.Error(err)
	}
}

// dump prints a type with all that it has by value; of pointers it prints the
// C spelling.
func dump(t *fetchargs.Type, depth int) string {
	var b strings.Builder
	name := t.String()
	for e := t; e.Kind == fetchargs.Pointer || e.Kind == fetchargs.Array; e = e.Elem() {
		if e.Elem().Kind == fetchargs.Func { // a profile does not keep its prototype
			name = "function pointer"
		}
	}
	fmt.Fprintf(&b, "%s kind %d size %d signed %v incomplete %v", name, t.Kind, t.Size, t.Signed, t.Incomplete)
	for _, v := range t.Values {
		fmt.Fprintf(&b, "\n%s%s=%d", strings.Repeat(" ", depth+1), v.Name, v.Value)
	}
	if t.Kind == fetchargs.Array {
		b.WriteString("\n" + strings.Repeat(" ", depth+1) + "of " + dump(t.Elem(), depth+1))
	}
	for _, m := range t.Members {
		fmt.Fprintf(&b, "\n%s%s at %d bits %d:%d: %s", strings.Repeat(" ", depth+1), m.Name, m.Offset, m.BitOffset, m.BitSize, dump(m.Type, depth+1))
	}
	return b.String()
}

func TestLoadProfileErrors(t *testing.T) {
	body := func(types string) string {
		return `{"format": "skprobe layout 1", "types": {` + types + `}}`
	}
	for text, want := range map[string]string{
		"":                              "line 1: unexpected end",
		"{\n\"format\": 3}":             "line 2: json: cannot unmarshal number",
		"{\n\n,}":                       "line 3: invalid character",
		`{"format": "other"}`:           `format "other"`,
		body(`"struct a": 3`):           `types: struct a: expected "kind size"`,
		body(`"struct a": "tree 3"`):    `types: struct a: "tree 3": expected a kind and a size`,
		body(`"struct a": "struct -3"`): `"struct -3"`,
		body(`"struct a": ["struct 8", "0 x u32"]`):                         `type "u32" is used and not described`,
		body(`"struct a": ["struct 8", "0 x struct a"]`):                    `contains itself`,
		body(`"struct a": ["struct 8", "0 x [2struct a"]`):                  `[ without ]`,
		body(`"struct a": ["struct 8", "0 x [-2]struct b"]`):                `is not the length of an array`,
		body(`"struct a": ["struct 8", "0 x [2147483648]*int"]`):            `larger than 2 GB`,
		body(`"struct a": ["struct 8", "0.1:0 x u32"]`):                     `a bit field of 0 bits`,
		body(`"struct a": ["struct 8", "x u32"]`):                           `member 1: "x u32": expected "offset name type"`,
		body(`"struct a": ["struct 8", "-1 x u32"]`):                        `"-1" is not a place`,
		body(`"enum a": ["enum 4", "X"]`):                                   `expected "NAME value"`,
		body(`"u8": ["uint 1", "0 x u8"]`):                                  `has nothing inside`,
		body(`"": "uint 1"`):                                                `cannot be described`,
		`{"format": "skprobe layout 1", "functions": {"f": []}}`:            `functions: f: expected its result`,
		`{"format": "skprobe layout 1", "functions": {"f": ["void", "x"]}}`: `functions: f: parameter 1`,
	} {
		if _, err := LoadProfile(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\n%v\nwant %s", text, err, want)
		}
	}
}

func TestCheckKernel(t *testing.T) {
	p := &Profile{Kernel: Kernel{"6.1.0", "aa", "amd64"}}
	for k, ok := range map[Kernel]bool{
		{"6.1.0", "aa", "amd64"}:       true,
		{"6.1.0-other", "aa", "amd64"}: true, // the same build under another name
		{"6.1.0", "bb", "amd64"}:       false,
		{"6.1.0", "", "amd64"}:         true,
		{"6.1.1", "", "amd64"}:         false,
		{"6.1.0", "aa", "arm64"}:       false,
	} {
		if err := p.CheckKernel(k); (err == nil) != ok {
			t.Errorf("%v: %v", k, err)
		}
	}
}

// tools is what network tools look into, more or less.
var (
	toolFuncs = strings.Fields("udp_sendmsg udp_recvmsg tcp_v4_connect tcp_connect ip_rcv ip_output kfree_skb arp_rcv arp_xmit inet_csk_accept tcp_set_state nf_hook_slow __dev_queue_xmit")
	toolTypes = strings.Fields("sock inet_sock udp_sock tcp_sock sk_buff net_device msghdr neighbour net ethhdr iphdr tcphdr udphdr")
)

// TestProfileOfKernel checks that a profile answers as its source does.
func TestProfileOfKernel(t *testing.T) {
	b := kernelBTF(t)
	r := NewRecorder(b)
	var names []string
	for _, n := range toolTypes {
		names = append(names, "struct "+n)
	}
	names = append(names, "u32", "__be16", "unsigned long", "enum skb_drop_reason", "size_t", "atomic_long_t")
	for _, n := range names {
		if _, err := r.TypeNamed(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range toolFuncs {
		r.FuncNamed(n)
	}
	var buf bytes.Buffer
	r.Profile(Kernel{"x", "y", "amd64"}).WriteTo(&buf)
	t.Logf("%d bytes", buf.Len())
	p, err := LoadProfile(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	fresh := kernelBTF(t)
	for _, n := range names {
		want, _ := fresh.TypeNamed(n)
		got, err := p.TypeNamed(n)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(dump(want, 0), dump(got, 0)); d != "" {
			t.Errorf("%s: %s", n, d)
		}
	}
	for _, n := range toolFuncs {
		want, err1 := fresh.FuncNamed(n)
		got, err2 := p.FuncNamed(n)
		if (err1 == nil) != (err2 == nil) || err1 == nil && dump(want, 0) != dump(got, 0) {
			t.Errorf("%s: %v, %v; want %v, %v", n, got, err2, want, err1)
		}
	}
}

func FuzzLoadProfile(f *testing.F) {
	if b, err := os.ReadFile("testdata/hand.json"); err == nil {
		f.Add(string(b))
	}
	f.Add(`{"format": "skprobe layout 1", "types": {"struct a": ["struct 8", ["0 - [2]union 4", "0 x int"]], "int": "int 4"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := LoadProfile(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, n := range p.Names() {
			if s, err := p.TypeNamed(n); err == nil {
				for _, m := range s.Members {
					m.Type.Elem()
				}
			}
		}
		p.WriteTo(new(bytes.Buffer))
	})
}
