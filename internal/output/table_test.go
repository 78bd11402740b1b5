package output

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/skprobe/skprobe/internal/event"
)

func TestTable(t *testing.T) {
	four := udpEvent(v4a, v4b, 40000)
	six := udpEvent(v6a, v6b, 65535)
	six.Name = "udp.recvmsg"
	bystander := udpEvent(v4a, v4b, 1)
	bystander.Task = false
	bystander.Values[1] = event.Value{}
	bystander.Stack = []uint64{0xffffffff81000010}
	got := write(t, "table", udpSchema(), Options{}, four, six, six, bystander)
	want := strings.TrimPrefix(`
TIME            EVENT           PID COMM            FAMILY LADDR            LPORT RADDR            RPORT   SIZE
12:34:56.123456 udp.sendmsg   31337 isc-net-0000    ipv4   127.0.0.1        40000 192.0.2.53          53   2000
12:34:56.123456 udp.recvmsg   31337 isc-net-0000    ipv6   2001:db8::1:2    65535 fe80::5054:ff:fe12:3456     53  27535
12:34:56.123456 udp.recvmsg   31337 isc-net-0000    ipv6   2001:db8::1:2    65535 fe80::5054:ff:fe12:3456     53  27535
12:34:56.123456 udp.sendmsg       - -               ipv4   -                    1 192.0.2.53                  53 18446744073709513617
        0xffffffff81000010
`, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTableWide(t *testing.T) {
	schema := udpSchema()
	schema.Events = schema.Events[:1]
	got := write(t, "table", schema, Options{Wide: true, Timestamp: None}, udpEvent(v4a, v4b, 40000))
	want := strings.TrimPrefix(`
CPU     PID     TID COMM            FAMILY LADDR            LPORT RADDR            RPORT   SIZE DEST            SOCK_RADDR      SOCK_RPORT
  3   31337   31338 isc-net-0000    ipv4   127.0.0.1        40000 192.0.2.53          53   2000 192.0.2.53      192.0.2.53           40000
`, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimestamps(t *testing.T) {
	schema := &event.Schema{Columns: []event.Column{{Name: "n", Kind: &event.Kind{Class: event.Unsigned}}}}
	at := func(ns int64) event.Event {
		return event.Event{
			Wall: time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC).UnixNano() + ns,
			Mono: uint64(3_000_000_000 + ns), Values: []event.Value{{Set: true, Num: 7}},
		}
	}
	zone := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		form Timestamp
		want string
	}{
		{Wall, "TIME N|01:59:59.999999 7|02:00:00.000000 7|01:59:59.999999 7|"},
		{ISO, "TIME N|2024-03-01T01:59:59.999999999+02:00 7|2024-03-01T02:00:00.000000499+02:00 7|2024-03-01T01:59:59.999999998+02:00 7|"},
		{Mono, "TIME N|3.000000000 7|3.000000500 7|2.999999999 7|"},
		{Elapsed, "TIME N|0.000000000 7|0.000000500 7|-0.000000001 7|"},
		{Delta, "TIME N|0.000000000 7|0.000000500 7|-0.000000501 7|"},
		{None, "N|7|7|7|"},
	} {
		got := write(t, "table", schema, Options{Timestamp: c.form, Location: zone}, at(0), at(500), at(-1))
		fields := strings.Split(got, "\n")
		for i, line := range fields {
			fields[i] = strings.Join(strings.Fields(line), " ")
		}
		if got := strings.Join(fields, "|"); got != c.want {
			t.Errorf("%s: %s, want %s", c.form, got, c.want)
		}
	}
}

// A name must not reach the terminal as anything but characters in a line.
func TestTableHostileNames(t *testing.T) {
	schema := &event.Schema{Task: true, Columns: []event.Column{{Name: "text", Kind: text}, {Name: "n", Kind: number}}}
	for _, c := range []struct{ in, want string }{
		{"\x1b[2J", `\x1b[2J`},
		{"a\nb\r\t\x00", `a\x0ab\x0d\x09\x00`},
		{"\u009b31m", `\xc2\x9b31m`},
		{"\xff\xc3", `\xff\xc3`},
		{"a\u202eb", `a\xe2\x80\xaeb`},
		{"grün\ufffd", "grün\ufffd"},
		{`"\`, `"\`},
		{"", ""},
	} {
		e := event.Event{Task: true, Comm: c.in, Values: []event.Value{{Set: true, Text: []byte(c.in)}, {Set: true, Num: 7}}}
		out := write(t, "table", schema, Options{Timestamp: None}, e)
		comm, value := c.want, c.want
		if c.in == "" {
			comm, value = "-", `""`
		}
		line := strings.Split(out, "\n")[1]
		if got := strings.Fields(line); len(got) != 4 || got[1] != comm || got[2] != value {
			t.Errorf("%q became %q", c.in, line)
		}
	}
}
