package output

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/skprobe/skprobe/internal/event"
)

// write returns what a sink makes of events.
func write(t testing.TB, format string, schema *event.Schema, opts Options, events ...event.Event) string {
	t.Helper()
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	var b bytes.Buffer
	sink, err := New(format, &b, schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := sink.Event(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	v4a = netip.MustParseAddr("127.0.0.1")
	v4b = netip.MustParseAddr("192.0.2.53")
	v6a = netip.MustParseAddr("2001:db8::1:2")
	v6b = netip.MustParseAddr("fe80::5054:ff:fe12:3456")
)

func TestJSONGolden(t *testing.T) {
	e := udpEvent(v4a, v4b, 40000)
	absent := udpEvent(v6a, v6b, 40000)
	absent.Task = false
	absent.Values[2] = event.Value{}
	absent.Values[8] = event.Value{}
	absent.Stack = []uint64{0xffffffff81000010, 0xffffffff81000020}
	got := write(t, "json", udpSchema(), Options{}, e, e, absent)
	line := `{"time":"2024-06-01T12:34:56.123456789Z","event":"udp.sendmsg","cpu":3,"pid":31337,"tid":31338,"comm":"isc-net-0000",` +
		`"family":"ipv4","laddr":"127.0.0.1","lport":40000,"raddr":"192.0.2.53","rport":53,"size":2000,` +
		`"dest":"192.0.2.53","sock_raddr":"192.0.2.53","sock_rport":40000}` + "\n"
	want := line + line + `{"time":"2024-06-01T12:34:56.123456789Z","event":"udp.sendmsg","cpu":3,` +
		`"family":"ipv6","laddr":"2001:db8::1:2","raddr":"fe80::5054:ff:fe12:3456","rport":53,"size":2000,` +
		`"dest":"fe80::5054:ff:fe12:3456","sock_raddr":"fe80::5054:ff:fe12:3456",` +
		`"stack":["0xffffffff81000010","0xffffffff81000020"]}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJSONNumbers(t *testing.T) {
	schema := &event.Schema{Columns: []event.Column{
		{Name: "u", Kind: number}, {Name: "s", Kind: signed}, {Name: "b", Kind: boolean}, {Name: "h", Kind: hex},
	}}
	for _, n := range []uint64{
		0, 1, 9, 10, 99, 100, 101, 999, 1000, 9999, 10_000, 65_535, 99_999, 100_000, 1 << 32, 1<<53 + 1,
		math.MaxInt64, 1 << 63, math.MaxUint64, math.MaxUint64 - 9_999,
	} {
		v := event.Value{Set: true, Num: n}
		line := write(t, "json", schema, Options{}, event.Event{Values: []event.Value{v, v, v, v}})
		var got struct {
			U, H uint64
			S    int64
			B    bool
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if got.U != n || got.H != n || got.S != int64(n) || got.B != (n != 0) {
			t.Errorf("%d became %s", n, line)
		}
	}
}

// A value that is the same as before is copied from the buffer: whatever the
// sequence of values, flushes and sizes, lines must not depend on it.
func TestJSONCopies(t *testing.T) {
	schema := udpSchema()
	var b bytes.Buffer
	sink, err := New("json", &b, schema, Options{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	addrs := []netip.Addr{v4a, v4b, v6a, v6b}
	var want strings.Builder
	for i := range 2000 {
		e := udpEvent(addrs[i/3%4], addrs[i/7%4], uint64(40000+i/5%3))
		e.Wall += int64(i) * 10_000_000
		e.PID += uint32(i / 11 % 2)
		e.Values[i%9].Set = i%4 != 0
		e.Name = schema.Events[i/13%2]
		if err := sink.Event(&e); err != nil {
			t.Fatal(err)
		}
		want.WriteString(write(t, "json", schema, Options{}, e))
		if i%97 == 0 {
			if err := sink.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sink.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), b.String()); diff != "" {
		t.Error(diff)
	}
}

// FuzzJSON holds lines against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		"", "curl", `a"b\c`, "\x1b[31m", "a\x00\n\r\t\x7f", "\xff\xfe", "é\u2028\u0085\ufffd", "<&>", "\xed\xa0\x80", "\U0001f600",
	} {
		f.Add(s, []byte(s), uint64(len(s)), int64(len(s))*1e18)
	}
	schema := &event.Schema{
		Columns: []event.Column{{Name: "text", Kind: text}, {Name: "n", Kind: number}, {Name: "fam", Kind: family}},
		Events:  []string{"x"},
		Symbol:  func(dst []byte, _ uint64) []byte { return append(dst, "sym\"bol\x1b"...) },
	}
	f.Fuzz(func(t *testing.T, comm string, value []byte, n uint64, wall int64) {
		e := event.Event{
			Name: comm, Wall: wall, Task: true, Comm: comm,
			Values: []event.Value{{Set: true, Text: value}, {Set: true, Num: n}, {Set: true, Num: n}},
			Stack:  []uint64{n},
		}
		out := write(t, "json", schema, Options{}, e, e)
		line, rest, _ := strings.Cut(out, "\n")
		if rest != line+"\n" {
			t.Fatalf("two lines of the same event differ:\n%s", out)
		}
		for _, r := range line {
			if r < 0x20 || 0x7f <= r && r < 0xa0 {
				t.Fatalf("control character %U in %q", r, line)
			}
		}
		type object struct {
			Time  time.Time `json:"time"`
			Event string    `json:"event"`
			Comm  string    `json:"comm,omitempty"`
			Text  string    `json:"text"`
			N     uint64    `json:"n"`
			Stack []string  `json:"stack"`
		}
		var got, want object
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		ref, err := json.Marshal(object{time.Unix(0, wall).UTC(), comm, comm, string(value), n, []string{"sym\"bol\x1b"}})
		if err != nil {
			t.Skip(err) // a year that RFC 3339 cannot have
		}
		if err := json.Unmarshal(ref, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	for _, format := range Formats {
		sink, err := New(format, io.Discard, udpSchema(), Options{Wide: true})
		if err != nil {
			t.Fatal(err)
		}
		one, two := udpEvent(v4a, v6b, 40000), udpEvent(v6a, v4b, 1)
		two.Comm = "quo\"te\x1b\xff"
		for _, e := range []*event.Event{&one, &two} {
			e.Stack = []uint64{1, 2}
		}
		n := testing.AllocsPerRun(1000, func() {
			sink.Event(&one)
			sink.Event(&two)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for two events", format, n)
		}
	}
}
