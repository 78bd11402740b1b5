package output

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

func TestNewRefuses(t *testing.T) {
	good := udpSchema()
	twice := &event.Schema{Tool: "x", Columns: []event.Column{{Name: "pid", Kind: number}}}
	for _, c := range []struct {
		format string
		schema *event.Schema
		opts   Options
		want   string
	}{
		{"xml", good, Options{}, `format "xml" is none of table, json, csv`},
		{"table", good, Options{Timestamp: "now"}, `timestamp "now" is none of wall, iso, mono, elapsed, delta, none`},
		{"json", twice, Options{}, "x: the name pid is taken twice"},
		{"json", &event.Schema{Tool: "x", Columns: []event.Column{{Name: "a"}}}, Options{}, "x: column a has no kind"},
	} {
		if _, err := New(c.format, io.Discard, c.schema, c.opts); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// shortWriter takes a few bytes at a time.
type shortWriter struct{ strings.Builder }

func (w *shortWriter) Write(b []byte) (int, error) { return w.Builder.Write(b[:min(len(b), 7)]) }

func TestShortWrites(t *testing.T) {
	var w shortWriter
	sink, _ := New("csv", &w, udpSchema(), Options{})
	if err := sink.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(w.String(), ",sock_rport\n") {
		t.Errorf("%q", w.String())
	}
}

// When the reader of a pipe goes away, every format says so, at the latest
// when the buffer is full.
func TestBrokenPipe(t *testing.T) {
	for _, format := range Formats {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		sink, err := New(format, w, udpSchema(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := udpEvent(v4a, v4b, 1)
		for i := 0; err == nil && i < 10_000; i++ {
			err = sink.Event(&e)
		}
		if !errors.Is(err, syscall.EPIPE) || !errors.Is(sink.Event(&e), syscall.EPIPE) || !errors.Is(sink.Close(Summary{}), syscall.EPIPE) {
			t.Errorf("%s: %v", format, err)
		}
		w.Close()
	}
}

func TestAddr(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "1.20.255.99", "100.101.9.10", "::", "::1", "::ffff:1.2.3.4", "fe80::1%eth0", "2001:db8::"} {
		if got := string(appendAddr(nil, netip.MustParseAddr(s))); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
	for i := range 256 {
		a := netip.AddrFrom4([4]byte{byte(i), 0, byte(i), byte(i)})
		if got := string(appendAddr(nil, a)); got != a.String() {
			t.Errorf("%v became %s", a, got)
		}
	}
}

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		s    Summary
		want string
	}{
		{Summary{}, "0 events"},
		{Summary{Events: 1, Lost: 2}, "1 event, 2 lost in the rings"},
		{Summary{3, 1, 2, 4}, "3 events, 1 lost in the rings, 2 missed by the kernel, 4 dropped because the output was too slow"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := c.s.Complete(); got != (c.s.Lost == 0) {
			t.Errorf("%v: complete %v", c.s, got)
		}
	}
}
