package event_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// show writes an event's columns: "rport=53 state=-".
func show(p *event.Program, ev *event.Event) string {
	var b strings.Builder
	for i, c := range p.Schema.Columns {
		v := &ev.Values[i]
		fmt.Fprintf(&b, " %s=", c.Name)
		switch {
		case !v.Set:
			b.WriteString("-")
		case c.Kind.Append != nil:
			b.Write(c.Kind.Append(nil, v))
		case c.Kind.Class == event.Text:
			b.Write(v.Text)
		case c.Kind.Class == event.Address:
			b.WriteString(v.Addr.String())
		case c.Kind.Class == event.Signed:
			fmt.Fprint(&b, int64(v.Num))
		default:
			fmt.Fprint(&b, v.Num)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

// columns lists the names of columns.
func columns(p *event.Program) string {
	var names []string
	for _, c := range p.Schema.Columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// run compiles a probe, lets m make one event, or one entry and one return, and
// shows it.
func run(t *testing.T, k event.Kernel, tool *event.Tool, m *machine) string {
	t.Helper()
	p, err := event.Compile(tool, nil, nil, k)
	if err != nil {
		return "error: " + err.Error()
	}
	c := p.Probes[0]
	if err := c.Build(""); err != nil {
		return "error: " + err.Error()
	}
	bind(t, c)
	ev := p.NewEvent()
	for _, h := range c.Halves() {
		rec := m.record(h, c.IsReturn(h), make([]byte, 4096))
		ok, err := c.Decode(h, 7, rec, ev)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return show(p, ev)
		}
		// What the function changes before it returns.
		m.put(heap+0x1000+100, 4, 99)
		for _, r := range []string{"di", "si", "dx", "cx", "r8", "r9", "ax"} {
			m.regs[r] = 1111
		}
	}
	return "no event"
}

func TestProbeValues(t *testing.T) {
	w := newWorld()
	m := newMachine(1)
	fill := func() {
		const sk, thing, next = heap, heap + 0x1000, heap + 0x2000
		for i := range uint64(0x3000) {
			m.mem[heap+i] = 0
		}
		m.regs = map[string]uint64{"di": sk, "si": thing, "dx": 0xaaaa_0000_ffff_fffe, "cx": 0xbbbb_bbbb_0500_000a, "r8": next, "r9": 1 << 63, "ax": 5}
		m.retval = ^uint64(110)
		m.bytes(sk, []byte("\x0a\x00\x00\x05\x7f\x00\x00\x01....\x00\x35\x39\x30\x02\x00\x01"))
		m.put(thing, 4, ^uint64(109))
		m.put(thing+4, 2, ^uint64(0))
		m.put(thing+8, 8, 1<<63)
		m.put(thing+24, 4, 0b00000100_0000000_1_1010_110_1) // ubits 26, sbits -2; flag in the third byte
		m.put(thing+26, 1, 0b0000_0100)
		m.put(thing+28, 1, 1)
		m.put(thing+40, 8, next)
		m.put(next+32, 4, ^uint64(0))
		m.bytes(thing+48, []byte("\x02\x00\x00\xab\xcd\xef"))
		m.put(thing+56, 8, next+100)
		m.bytes(next+100, []byte("\x06\x05\x04\x03\x02\x01"))
		m.put(thing+64, 8, next+200)
		m.bytes(next+200, []byte("\x0a\x00\x14\xe9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"))
		m.bytes(thing+72, []byte{192, 0, 2, 9})
		m.put(thing+80, 8, next+300)
		m.bytes(next+300, []byte("hello\x00"))
		m.bytes(thing+88, []byte("chars\x00xx"))
		m.bytes(thing+96, []byte{0x08, 0x06})
		m.put(thing+100, 4, 42)
		m.put(thing+104, 4, ^uint64(4))
	}
	for _, c := range []struct{ probe, want string }{
		{"f n", "n=-2"},
		{"f n:size n:hex n:errno", "error: f: n: two fields are called n"},
		{"f a=n:size b=n:hex c=n:errno", "a=4294967294 b=0xfffffffe c=-ENOENT"},
		{"f a=(n+1) b=(n+5):uint c=(n-1):uint", "a=-1 b=3 c=4294967293"},
		{"f (count+1)", "count=9223372036854775809"},
		{"f t->err:errno e2=t->err", "err=-ETIMEDOUT e2=-110"},
		{"f t->small s2=(t->small+1) s3=t->small:uint", "small=-1 s2=0 s3=65535"},
		{"f t->sbits t->ubits t->flag u2=t->ubits:int f2=t->flag:uint", "sbits=-2 ubits=26 flag=1 u2=-6 f2=1"},
		{"f t->ok t->next->mood", "ok=1 mood=BAD"},
		{"f t->counter x=t->counter.counter", "counter=0xfffffffb x=-5"},
		{"f (u64)t->small", "small=-1"},
		{"f sk:sock", "family=inet laddr=127.0.0.1 lport=12345 raddr=10.0.0.5 rport=53 state=ESTABLISHED"},
		{"f t->name:sockaddr", "family=inet6 addr=192.0.2.1 port=5353"},
		{"f sk:sock t->name:sockaddr", "family=inet laddr=127.0.0.1 lport=12345 raddr=10.0.0.5 rport=53 state=ESTABLISHED name_family=inet6 name_addr=192.0.2.1 name_port=5353"},
		// A value in a register, behind a pointer, in an array.
		{"f dest_ip:ipv4 t->addr:ipv4", "dest_ip=10.0.0.5 addr=192.0.2.9"},
		{"f src_hw:bytes", "src_hw=002000008088ffff"},
		{"f (t->macp):mac t->mac:mac", "macp=06:05:04:03:02:01 mac=02:00:00:ab:cd:ef"},
		{"f (t->macp+1):mac s=(t->text+1)", "macp=05:04:03:02:01:00 s=ello"},
		{"f t->text t->chars s=t->chars:string b=t->mac", "text=hello chars=chars s=chars b=020000abcdef"},
		{"f t->port:port p2=t->port:ethertype", "port=2054 p2=0x0806"},
		{"f &t->err", "err=0xffff888000001000"},
		{"f t->next", "next=0xffff888000002000"},
		{"f (t->nothing ?? t->err)", "err=-110"},
		// What does not go together.
		{"f t->ubits:ipv4", "error: f: t->ubits: a bit field is a number, and no ipv4"},
		{"f (n+1):port", "error: f: (n+1): a sum is a number, and no port"},
		{"f (t->macp+1):bytes", "error: f: (t->macp+1): an address with something added to it is no bytes"},
		{"f t->mac:uint", "mac=263666616238082"},
		{"f x=sk->__sk_common.skc_v6_daddr:uint", "error: f: sk->__sk_common.skc_v6_daddr: struct in6_addr has 16 bytes and is no number"},
		{"f sk->__sk_common", "error: f: sk->__sk_common: struct sock_common has no kind of its own"},
		{"f n:enum", "error: f: n: int is no enum"},
		{"f n:sock", "error: f: n: as a sock"},
		{"f comm=n", "error: f: n: the column comm is every event's own"},
		{"f n:mac", "error"},
		{"f n:ipv6", "error"},
		// Return probes: parameters as at entry, registers as at the return.
		{"f%return $retval:errno", "retval=-ECONNREFUSED"},
		{"f%return $retval n t->unsigned_err %ax", "retval=-111 n=-2 unsigned_err=42 ax=1111"},
		{"f%return %ax", "ax=5"},
		{"f+4 n", "error: f: \"n\", offset 0: parameter \"n\" cannot be named: at f+4 they may have moved"},
		{"f+4 %ax", "ax=5"},
		{"nothing n", "error: no such function"},
	} {
		fill()
		probes := toolOf(t, c.probe)
		if c.want == "error" {
			if got := run(t, w.kernel(fetchargs.Dialect53), probes, m); !strings.HasPrefix(got, "error") {
				t.Errorf("%s: %s", c.probe, got)
			}
			continue
		}
		for _, d := range []fetchargs.Dialect{fetchargs.Dialect310, fetchargs.Dialect419, fetchargs.Dialect53} {
			fill()
			if got := run(t, w.kernel(d), probes, m); got != c.want && !(strings.HasPrefix(c.want, "error: ") && strings.HasPrefix(got, c.want)) {
				t.Errorf("%s:\n got %s\nwant %s", c.probe, got, c.want)
			}
		}
	}
}

// From 6.9 a return probe knows what the function was called with; memory may
// have changed since, and is read at entry.
// A field that is to be read at the return is, where the kernel can.
func TestAtReturn(t *testing.T) {
	for want, d := range map[string]fetchargs.Dialect{"before:entry after:return": fetchargs.Dialect69, "before:entry": fetchargs.Dialect53} {
		tool := &event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"f"}, Return: true, Fields: []event.Field{
			{Name: "before", Expr: "t->err"}, {Name: "after", Expr: "t->err", AtReturn: true, Optional: true}, {Name: "ret", Expr: "$retval", Hidden: true}}}}}}}
		p, err := event.Compile(tool, nil, nil, newWorld().kernel(d))
		if err != nil {
			t.Fatal(err)
		}
		c := p.Probes[0]
		if err := c.Build(""); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range c.Fetches() {
			if !f.Hidden {
				got = append(got, f.Column+":"+map[bool]string{true: "return", false: "entry"}[c.IsReturn(f.Half)])
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
}

func TestReturnHalves(t *testing.T) {
	w := newWorld()
	for probe, want := range map[string]string{
		"f%return $retval n":          "return",
		"f%return $retval dest_ip":    "return",
		"f%return $retval:errno %ax":  "return",
		"f%return t->err":             "entry return",
		"f%return sk:sock $retval":    "entry return",
		"f%return src_hw:mac $retval": "entry return",
		"f%return @jiffies":           "entry return",
		"f n":                         "entry",
	} {
		p, err := event.Compile(toolOf(t, probe), nil, nil, w.kernel(fetchargs.Dialect69))
		if err != nil {
			t.Errorf("%s: %v", probe, err)
			continue
		}
		var got []string
		for _, h := range p.Probes[0].Halves() {
			got = append(got, map[bool]string{true: "return", false: "entry"}[p.Probes[0].IsReturn(h)])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", probe, s, want)
		}
	}
}

func TestOnlyAndHidden(t *testing.T) {
	w := newWorld()
	tool := &event.Tool{Name: "t", Columns: []string{"b", "a"}, Events: []event.Source{{Name: "e", Probes: []event.Probe{{Funcs: []string{"gone", "f"},
		Only: []event.Cond{{Field: "n", Op: event.AtLeast, Num: 0}, {Field: "err", Op: event.NotEquals, Num: 7}},
		Fields: []event.Field{
			{Name: "n", Expr: "n", Hidden: true}, {Name: "err", Expr: "t->err", Hidden: true},
			{Name: "a", Expr: "count"}, {Name: "b", Expr: "dest_ip", Kind: event.IPv4}}}}}}}
	for _, c := range []struct {
		n, err uint64
		t      uint64
		want   string
	}{
		{0, 1, heap, "b=127.0.0.1 a=5"},
		{^uint64(0), 1, heap, "no event"},
		{0, 7, heap, "no event"},
		{0, 1, 0, "no event"}, // an absent value fulfils no condition, not even !=
	} {
		m := newMachine(3)
		m.regs = map[string]uint64{"dx": c.n, "si": c.t, "cx": 0x0100007f, "r9": 5}
		m.put(heap, 4, c.err)
		if got := run(t, w.kernel(fetchargs.Dialect53), tool, m); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestColumns(t *testing.T) {
	w := newWorld()
	missing := event.Field{Name: "gone", Expr: "t->gone", Optional: true}
	asked := event.Field{Name: "asked", Expr: "t->err", OnRequest: true}
	probe := func(fields ...event.Field) event.Probe { return event.Probe{Funcs: []string{"f"}, Fields: fields} }
	compile := func(columns []string, probes ...event.Probe) (*event.Program, error) {
		return event.Compile(&event.Tool{Name: "t", Events: []event.Source{{Name: "e", Probes: probes}}}, nil, columns, w.kernel(fetchargs.Dialect53))
	}
	n := event.Field{Name: "n", Expr: "n"}
	for _, c := range []struct {
		name    string
		columns []string
		probes  []event.Probe
		want    string
	}{
		{"optional and on request", nil, []event.Probe{probe(n, missing, asked)}, "n"},
		{"asked for", []string{"asked"}, []event.Probe{probe(n, missing, asked)}, "n asked"},
		{"an optional probe that fails leaves no columns", nil,
			[]event.Probe{probe(n), {Funcs: []string{"f"}, Optional: true, Fields: []event.Field{{Name: "left", Expr: "count"}, {Name: "bad", Expr: "&n"}}}}, "n"},
		{"an optional function", nil, []event.Probe{probe(n), {Funcs: []string{"nothing"}, Optional: true}}, "n"},
		{"not optional", nil, []event.Probe{probe(event.Field{Expr: "t->gone"})}, `error: f: "t->gone", offset 3: struct thing has no member "gone"`},
		{"nothing left", nil, []event.Probe{{Funcs: []string{"nothing"}, Optional: true}}, "error: t: nothing to probe on this kernel"},
		{"one column, two probes", nil, []event.Probe{probe(n), probe(event.Field{Name: "n", Expr: "t->err", Kind: event.Errno})}, "n"},
		{"a number and an address", nil, []event.Probe{probe(n), probe(event.Field{Name: "n", Expr: "dest_ip", Kind: event.IPv4})}, "error: f: dest_ip: column n is a"},
		{"two sorts of text", nil, []event.Probe{probe(event.Field{Name: "x", Expr: "t->text"}), probe(event.Field{Name: "x", Expr: "t->next->mood"})},
			"error: f: t->next->mood: column x is a string in one place and a enum in another"},
		{"two names of one", nil, []event.Probe{probe(n, n)}, "error: f: n: two fields are called n"},
		{"cases of two sorts", nil, []event.Probe{probe(n, event.Field{Name: "x", Cases: []event.Case{{From: "n"}, {Text: "no"}}})},
			"error: f: x: a column cannot be a int in one case and a text in another"},
		{"cases of what is not there", nil, []event.Probe{probe(event.Field{Name: "x", Cases: []event.Case{{From: "n"}}})}, "error: f: x: "},
		{"a condition on what is not there", nil, []event.Probe{{Funcs: []string{"f"}, Only: []event.Cond{{Field: "x", Op: event.Equals}}}}, "error: f: "},
	} {
		p, err := compile(c.columns, c.probes...)
		got := ""
		if err != nil {
			got = "error: " + err.Error()
		} else {
			got = columns(p)
		}
		if got != c.want && !(strings.HasPrefix(c.want, "error") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	_, err := compile(nil, probe(event.Field{Expr: "t->errr"}))
	var e *fetchargs.ExprError
	if !errors.As(err, &e) || e.Name != "errr" {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestToolFields(t *testing.T) {
	tool := &event.Tool{Columns: []string{"to_port", "n"}, Events: []event.Source{{Probes: []event.Probe{{Fields: []event.Field{
		{Name: "n", Help: "a number"}, {Name: "h", Hidden: true}, {Name: "to", Kind: event.Sockaddr},
		{Kind: event.Sock, Parts: []event.Pick{{Part: "raddr", Name: "peer"}, {Part: "family"}}}}}}}}}
	var got []string
	for _, c := range tool.Fields() {
		got = append(got, c.Name)
	}
	if s := strings.Join(got, " "); s != "to_port n to_family to_addr family peer" {
		t.Error(s)
	}
}

// Values that hang on a pointer which is none are absent, not those of the
// event before.
func TestNothingStale(t *testing.T) {
	w := newWorld()
	p, err := event.Compile(toolOf(t, "f t->err t->next->mood t->text x=t->name:sockaddr"), nil, nil, w.kernel(fetchargs.Dialect53))
	if err != nil {
		t.Fatal(err)
	}
	c := p.Probes[0]
	if err := c.Build(""); err != nil {
		t.Fatal(err)
	}
	bind(t, c)
	m, ev := newMachine(1), p.NewEvent()
	for i := range uint64(0x3000) {
		m.mem[heap+i] = 0
	}
	m.regs["si"] = heap
	m.put(heap+40, 8, heap+0x1000)
	m.put(heap+0x1000+32, 4, 2)
	m.put(heap+64, 8, heap+0x2000)
	m.put(heap+0x2000, 2, 2)
	m.put(heap+80, 8, heap+0x2800)
	buffer := make([]byte, 4096)
	shown := func() string {
		t.Helper()
		if ok, err := c.Decode(c.Entry, 1, m.record(c.Entry, false, buffer[:0:len(buffer)]), ev); !ok || err != nil {
			t.Fatal(ok, err)
		}
		return show(p, ev)
	}
	all := "err=0 mood=GOOD text= x_family=inet x_addr=0.0.0.0 x_port=0"
	none := "err=- mood=- text=- x_family=- x_addr=- x_port=-"
	if got := shown(); got != all {
		t.Errorf("%s, want %s", got, all)
	}
	for _, bad := range []uint64{0, 8, ^uint64(21), 0x7fff_0000_0000} {
		m.regs["si"] = bad
		if got := shown(); got != none {
			t.Errorf("behind %#x: %s", bad, got)
		}
		m.regs["si"] = heap
		m.put(heap+40, 8, bad)
		m.put(heap+64, 8, bad)
		m.put(heap+80, 8, bad)
		if got := shown(); got != strings.Replace(none, "err=-", "err=0", 1) {
			t.Errorf("members are %#x: %s", bad, got)
		}
		m.put(heap+40, 8, heap+0x1000)
		m.put(heap+64, 8, heap+0x2000)
		m.put(heap+80, 8, heap+0x2800)
		if got := shown(); got != all {
			t.Errorf("again: %s, want %s", got, all)
		}
	}
}
