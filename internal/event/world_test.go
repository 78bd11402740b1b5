package event_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// world is a small kernel: types by name, and a function f(sk, t, n, flags).
type world map[string]*fetchargs.Type

func (w world) TypeNamed(name string) (*fetchargs.Type, error) {
	if t := w[name]; t != nil {
		return t, nil
	}
	return nil, fetchargs.ErrNoType
}

func (w world) FuncNamed(name string) (*fetchargs.Type, error) { return w.TypeNamed(name + "()") }
func (w world) Source() string                                 { return "a test" }

func number(name string, size int, signed bool) *fetchargs.Type {
	return &fetchargs.Type{Kind: fetchargs.Int, Name: name, Size: size, Signed: signed}
}

var (
	u8, u16, u32, u64 = number("u8", 1, false), number("u16", 2, false), number("u32", 4, false), number("u64", 8, false)
	s16, s32, s64     = number("short", 2, true), number("int", 4, true), number("long", 8, true)
	char              = number("char", 1, true)
	void              = &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}
	boolean           = &fetchargs.Type{Kind: fetchargs.Bool, Name: "bool", Size: 1}
)

func pointer(t *fetchargs.Type) *fetchargs.Type {
	return fetchargs.PointerTo(func() *fetchargs.Type { return t })
}

func structOf(name string, size int, members ...fetchargs.Member) *fetchargs.Type {
	return &fetchargs.Type{Kind: fetchargs.Struct, Name: name, Size: size, Members: members}
}

func newWorld() world {
	m := func(name string, t *fetchargs.Type, off int) fetchargs.Member {
		return fetchargs.Member{Name: name, Type: t, Offset: off}
	}
	bits := func(name string, t *fetchargs.Type, off, bit, width int) fetchargs.Member {
		return fetchargs.Member{Name: name, Type: t, Offset: off, BitOffset: bit, BitSize: width}
	}
	in6 := structOf("struct in6_addr", 16, m("b", fetchargs.ArrayOf(u8, 16), 0))
	common := structOf("struct sock_common", 80, m("skc_daddr", u32, 0), m("skc_rcv_saddr", u32, 4), m("skc_dport", u16, 12),
		m("skc_num", u16, 14), m("skc_family", u16, 16), m("skc_state", u8, 18), m("skc_v6_daddr", in6, 24), m("skc_v6_rcv_saddr", in6, 40))
	sock := structOf("struct sock", 80, m("__sk_common", common, 0))
	enum := &fetchargs.Type{Kind: fetchargs.Enum, Name: "enum mood", Size: 4, Signed: true, Values: []fetchargs.Enumerator{{Name: "BAD", Value: -1}, {Name: "GOOD", Value: 2}}}
	thing := structOf("struct thing", 128)
	thing.Members = []fetchargs.Member{m("err", s32, 0), m("small", s16, 4), m("big", u64, 8), m("wide", s64, 16),
		bits("sbits", s32, 24, 1, 3), bits("ubits", u32, 24, 4, 5), bits("flag", boolean, 26, 2, 1),
		m("ok", boolean, 28), m("mood", enum, 32), m("next", pointer(thing), 40), m("mac", fetchargs.ArrayOf(u8, 6), 48),
		m("macp", pointer(u8), 56), m("name", pointer(void), 64), m("addr", u32, 72), m("text", pointer(char), 80),
		m("chars", fetchargs.ArrayOf(char, 8), 88), m("port", u16, 96), m("unsigned_err", u32, 100), m("counter", structOf("", 4, m("counter", s32, 0)), 104)}
	w := world{"struct sock": sock, "struct thing": thing}
	w["f()"] = fetchargs.FuncOf("f", []fetchargs.Member{{Name: "sk", Type: pointer(sock)}, {Name: "t", Type: pointer(thing)}, {Name: "n", Type: s32},
		{Name: "dest_ip", Type: u32}, {Name: "src_hw", Type: pointer(u8)}, {Name: "count", Type: number("unsigned long", 8, false)}}, s32)
	return w
}

func (w world) kernel(d fetchargs.Dialect) event.Kernel {
	return event.Kernel{Arch: fetchargs.AMD64, Types: w, Dialect: d, Choose: func(funcs []string) (string, error) {
		for _, f := range funcs {
			if w[f+"()"] != nil {
				return f, nil
			}
		}
		return "", errors.New("no such function")
	}}
}

// toolOf makes a tool of probes as they are written on the command line.
func toolOf(t testing.TB, probes ...string) *event.Tool {
	t.Helper()
	tool := &event.Tool{Name: "probe"}
	for _, text := range probes {
		src, err := event.ParseProbe(text)
		if err != nil {
			t.Fatal(err)
		}
		tool.Events = append(tool.Events, src)
	}
	return tool
}

// A machine has values in registers and memory, and fetches as a kernel does.
type machine struct {
	regs   map[string]uint64
	retval uint64
	mem    map[uint64]byte
	rand   *rand.Rand
}

const heap = 0xffff_8880_0000_0000

func newMachine(seed uint64) *machine {
	return &machine{regs: map[string]uint64{}, mem: map[uint64]byte{}, rand: rand.New(rand.NewPCG(seed, 2))}
}

func (m *machine) put(addr uint64, size int, v uint64) {
	for i := range size {
		m.mem[addr+uint64(i)] = byte(v >> (8 * i))
	}
}

func (m *machine) bytes(addr uint64, b []byte) {
	for i, c := range b {
		m.mem[addr+uint64(i)] = c
	}
}

// decoder returns a function that decodes the record of a hit as the machine is
// then, and returns the event as text, "" for none.
func (m *machine) decoder(t *testing.T, p *event.Program, c *event.Compiled) func(h *event.Half, tid uint32) string {
	ev := p.NewEvent()
	last := map[*event.Half][]byte{}
	return func(h *event.Half, tid uint32) string {
		t.Helper()
		if last[h] == nil {
			last[h] = make([]byte, 4096)
		}
		ok, err := c.Decode(h, tid, m.record(h, c.IsReturn(h), last[h][:4096]), ev)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return show(p, ev)
	}
}

// record writes what a definition fetches over the record before, so that what
// faults keeps its bytes.
func (m *machine) record(h *event.Half, isReturn bool, old []byte) []byte {
	places := h.Plan.Predict(isReturn)
	size := 16
	for _, p := range places {
		size = max(size, p.Offset+p.Size)
	}
	rec := old[:size]
	for i, a := range h.Plan.Args {
		slot := rec[places[i].Offset:][:places[i].Size]
		v, loads := m.regs[a.Base.Name], a.Loads
		if a.Base.Kind == fetchargs.Retval {
			v = m.retval
		}
		ok := true
		for j, l := range loads {
			v += uint64(l.Offset)
			if a.Type.IsString() && j == len(loads)-1 {
				var text []byte
				for {
					c, have := m.mem[v+uint64(len(text))]
					if ok = have; !ok {
						break
					}
					if text = append(text, c); c == 0 {
						break
					}
				}
				binary.LittleEndian.PutUint32(slot, uint32(len(rec)))
				if ok {
					binary.LittleEndian.PutUint32(slot, uint32(len(rec)|len(text)<<16))
					rec = append(rec, text...)
				}
				ok = false
				break
			}
			if j == len(loads)-1 {
				for k := range slot {
					c, have := m.mem[v+uint64(k)]
					if !have {
						ok = false
						break
					}
					slot[k] = c
				}
				if ok && a.Type.Name[0] == 'b' {
					takeBits(a.Type.Name, slot)
				}
				ok = false
				break
			}
			var b [8]byte
			for k := range b {
				c, have := m.mem[v+uint64(k)]
				ok = ok && have
				b[k] = c
			}
			if !ok {
				break
			}
			v = binary.LittleEndian.Uint64(b[:])
		}
		if ok && len(loads) == 0 {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], v)
			copy(slot, b[:])
		}
	}
	return rec
}

func takeBits(typ string, b []byte) {
	var width, off int
	w, rest, _ := strings.Cut(typ[1:], "@")
	o, _, _ := strings.Cut(rest, "/")
	width, _ = strconv.Atoi(w)
	off, _ = strconv.Atoi(o)
	var n uint64
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	n = n >> off & (1<<width - 1)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
}

// bind gives all halves the places that a kernel would.
func bind(t testing.TB, c *event.Compiled) {
	t.Helper()
	for _, h := range c.Halves() {
		if err := h.Bind(h.Plan.Predict(c.IsReturn(h))); err != nil {
			t.Fatal(err)
		}
	}
}

// holds evaluates the text of a kernel filter on a record.
type kernelFilter struct {
	t      testing.TB
	tokens []string
	value  func(name string) (n int64, u uint64, signed bool)
}

func (k *kernelFilter) next() string {
	s := k.tokens[0]
	k.tokens = k.tokens[1:]
	return s
}

func (k *kernelFilter) is(s string) bool {
	if len(k.tokens) == 0 || k.tokens[0] != s {
		return false
	}
	k.next()
	return true
}

func (k *kernelFilter) or() bool {
	v := k.and()
	for k.is("||") {
		v = k.and() || v
	}
	return v
}

func (k *kernelFilter) and() bool {
	v := k.test()
	for k.is("&&") {
		v = k.test() && v
	}
	return v
}

func (k *kernelFilter) test() bool {
	if k.is("(") {
		v := k.or()
		if !k.is(")") {
			k.t.Fatal("no )")
		}
		return v
	}
	name, op, constant := k.next(), k.next(), k.next()
	n, u, signed := k.value(name)
	sign := 0
	if signed {
		want, err := strconv.ParseInt(constant, 0, 64)
		if err != nil {
			k.t.Fatalf("%s %s %s: %v", name, op, constant, err)
		}
		sign = compare(n, want)
	} else {
		want, err := strconv.ParseUint(constant, 0, 64)
		if err != nil {
			k.t.Fatalf("%s %s %s: %v", name, op, constant, err)
		}
		sign = compare(u, want)
	}
	switch op {
	case "==":
		return sign == 0
	case "!=":
		return sign != 0
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	case ">=":
		return sign >= 0
	}
	k.t.Fatal("operator " + op)
	return false
}

func compare[T int64 | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// passes evaluates the filter of a half on its record, as the kernel does.
func passes(t testing.TB, h *event.Half, isReturn bool, text string, rec []byte) bool {
	t.Helper()
	if text == "" {
		return true
	}
	k := &kernelFilter{t: t, tokens: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text))}
	places := h.Plan.Predict(isReturn)
	k.value = func(name string) (int64, uint64, bool) {
		for i, a := range h.Plan.Args {
			if a.Name != name {
				continue
			}
			var u uint64
			slot := rec[places[i].Offset:][:places[i].Size]
			for j := len(slot) - 1; j >= 0; j-- {
				u = u<<8 | uint64(slot[j])
			}
			shift := 64 - 8*len(slot)
			return int64(u<<shift) >> shift, u, a.Type.Name[0] == 's'
		}
		t.Fatalf("the filter %q names %s, which is no argument of %v", text, name, h.Plan.Args)
		return 0, 0, false
	}
	v := k.or()
	if len(k.tokens) > 0 {
		t.Fatalf("%q: %v is left", text, k.tokens)
	}
	return v
}
