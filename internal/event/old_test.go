package event_test

import (
	"net/netip"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// Until 3.12 the addresses of an IPv6 socket lie behind inet_sock.pinet6.
func TestSockOf312(t *testing.T) {
	w := newWorld()
	m := func(name string, typ *fetchargs.Type, off int) fetchargs.Member {
		return fetchargs.Member{Name: name, Type: typ, Offset: off}
	}
	sock := w["struct sock"]
	common := sock.Members[0].Type
	in6 := common.Members[6].Type
	common.Members = common.Members[:6] // no skc_v6_daddr, no skc_v6_rcv_saddr
	pinfo := structOf("struct ipv6_pinfo", 48, m("saddr", in6, 0), m("rcv_saddr", in6, 16), m("daddr", in6, 32))
	w["struct inet_sock"] = structOf("struct inet_sock", 600, m("sk", sock, 0), m("pinet6", pointer(pinfo), 520))

	const sk, info = heap + 0x1000, heap + 0x1400
	mach := newMachine(1)
	mach.regs["di"] = sk
	local, remote := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.2")
	for name, c := range map[string]struct {
		family uint64
		pinet6 uint64
		want   string
	}{
		"IPv6":                {10, info, "family=inet6 laddr=2001:db8::1 lport=5353 raddr=192.0.2.2 rport=53 state=ESTABLISHED"},
		"IPv6 without pinet6": {10, 0, "family=inet6 laddr=- lport=5353 raddr=- rport=53 state=ESTABLISHED"},
		"IPv4":                {2, 0, "family=inet laddr=192.0.2.1 lport=5353 raddr=192.0.2.9 rport=53 state=ESTABLISHED"},
	} {
		mach.bytes(sk, make([]byte, 600))
		mach.put(sk, 4, 0x090200c0)
		mach.put(sk+4, 4, 0x010200c0)
		mach.put(sk+12, 2, 53<<8)
		mach.put(sk+14, 2, 5353)
		mach.put(sk+16, 2, c.family)
		mach.put(sk+18, 1, 1)
		mach.put(sk+520, 8, c.pinet6)
		mach.bytes(info, make([]byte, 48))
		a, b := local.As16(), remote.As16()
		mach.bytes(info+16, a[:])
		mach.bytes(info+32, b[:])
		for dialect, d := range map[string]fetchargs.Dialect{"3.10": fetchargs.Dialect310, "5.3": fetchargs.Dialect53} {
			if got := run(t, w.kernel(d), toolOf(t, "f sk:sock"), mach); got != c.want {
				t.Errorf("%s in the language of %s: %s, want %s", name, dialect, got, c.want)
			}
		}
	}
}

// A function within has what its caller's entry and return do not have.
func TestInner(t *testing.T) {
	w := newWorld()
	w["g()"] = fetchargs.FuncOf("g", []fetchargs.Member{{Name: "t", Type: w["f()"].Members[1].Type}, {Name: "m", Type: s32}}, void)
	tool := &event.Tool{Name: "inner", Events: []event.Source{{Name: "inner", Probes: []event.Probe{{
		Funcs: []string{"f"}, Return: true,
		Inner: &event.Inner{Funcs: []string{"absent", "g"}, Fields: []event.Field{
			{Name: "seen", Expr: "m", Kind: event.Int}, {Name: "err", Expr: "t->err", Kind: event.Int}}},
		Fields: []event.Field{{Name: "n", Expr: "n", Kind: event.Int}, {Name: "ret", Expr: "$retval", Kind: event.Int}},
	}}}}}
	for name, d := range map[string]fetchargs.Dialect{"3.10": fetchargs.Dialect310, "6.9": fetchargs.Dialect69} {
		p, err := event.Compile(tool, nil, nil, w.kernel(d))
		if err != nil {
			t.Fatal(err)
		}
		c := p.Probes[0]
		if err := c.Build(""); err != nil {
			t.Fatal(err)
		}
		bind(t, c)
		if c.Entry.Symbol != "f" || c.Inner.Symbol != "g" || c.Return.Symbol != "f" || len(c.Halves()) != 3 {
			t.Fatalf("%s: %d definitions", name, len(c.Halves()))
		}
		m := newMachine(1)
		decode := m.decoder(t, p, c)
		hit := func(h *event.Half, tid uint32, regs ...uint64) string {
			t.Helper()
			for i, v := range regs {
				b, _ := fetchargs.AMD64.Param(i)
				m.regs[b.Name] = v
			}
			return decode(h, tid)
		}
		enter := func(tid uint32, n uint64) { hit(c.Entry, tid, 0, 0, n) }
		inner := func(tid uint32, thing, n uint64) { hit(c.Inner, tid, thing, n) }
		leave := func(what string, tid uint32, ret uint64, want string) {
			t.Helper()
			m.retval = ret
			if got := hit(c.Return, tid); got != want {
				t.Errorf("%s, %s: %q, want %q", name, what, got, want)
			}
		}
		m.put(heap, 4, 77)
		enter(1, 10)
		inner(1, heap, 5)
		leave("all three", 1, 20, "seen=5 err=77 n=10 ret=20")
		enter(1, 11)
		leave("without the function within", 1, 21, "seen=- err=- n=11 ret=21")
		inner(1, heap, 6)
		enter(1, 12)
		inner(2, heap, 7)
		leave("of another caller, and of another thread", 1, 22, "seen=- err=- n=12 ret=22")
		enter(1, 13)
		inner(1, heap, 8)
		inner(1, 0, 9)
		leave("twice, and a NULL the second time", 1, 23, "seen=9 err=- n=13 ret=23")
		enter(1, 14)
		enter(1, 15)
		inner(1, heap, 16)
		leave("within the inner call", 1, 24, "seen=16 err=77 n=15 ret=24")
		leave("of the outer call", 1, 25, "seen=- err=- n=14 ret=25")
	}

	tool.Events[0].Probes[0].Inner.Funcs = []string{"absent"}
	p, err := event.Compile(tool, nil, nil, w.kernel(fetchargs.Dialect310))
	if err != nil || len(p.Probes[0].Halves()) != 2 || len(p.Missing) != 2 || columns(p) != "n ret" {
		t.Errorf("without such a function: columns %q, missing %v, %v", columns(p), p.Missing, err)
	}
}
