package decode

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/elastic/beats/v7/auditbeat/tracing"

	"github.com/skprobe/skprobe/internal/output"
)

func BenchmarkSkprobe(b *testing.B) {
	r := load(b)
	c, p := r.skprobe(b)
	ev := p.NewEvent()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if ok, err := c.Decode(c.Entry, 1, r.records[i%64], ev); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkAuditbeat(b *testing.B) {
	r := load(b)
	d := r.auditbeat(b, newCall)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := d.Decode(r.records[i%64], tracing.Metadata{PID: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuditbeatReused decodes into one struct again and again, which auditbeat does not do and its decoder allows.
func BenchmarkAuditbeatReused(b *testing.B) {
	r := load(b)
	var one call
	d := r.auditbeat(b, func() any { return &one })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := d.Decode(r.records[i%64], tracing.Metadata{PID: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLine decodes a record and writes it as JSON.
func BenchmarkLine(b *testing.B) {
	r := load(b)
	c, p := r.skprobe(b)
	ev := p.NewEvent()
	ev.PID, ev.TID, ev.Comm = 1234, 1234, "load"
	sink, err := output.New("json", io.Discard, &p.Schema, output.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if ok, err := c.Decode(c.Entry, 1, r.records[i%64], ev); !ok || err != nil {
			b.Fatal(ok, err)
		}
		ev.Wall += 14_700
		if err := sink.Event(ev); err != nil {
			b.Fatal(err)
		}
		if i%128 == 127 {
			sink.Flush()
		}
	}
}

// TestTwiceAsFast holds the ratio of the decoders, of times measured in turn, against what was promised.
func TestTwiceAsFast(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	best := map[string]time.Duration{}
	var rounds []float64
	for range 5 {
		one := map[string]time.Duration{}
		for name, f := range map[string]func(*testing.B){"skprobe": BenchmarkSkprobe, "auditbeat": BenchmarkAuditbeat, "reused": BenchmarkAuditbeatReused, "line": BenchmarkLine} {
			result := testing.Benchmark(f)
			one[name] = time.Duration(float64(result.T.Nanoseconds()) / float64(result.N) * 1000) // picoseconds, as it were
			best[name] = min(cmp.Or(best[name], one[name]), one[name])
			if (name == "skprobe" || name == "line") && result.AllocsPerOp() != 0 {
				t.Errorf("%s: %d allocations per event", name, result.AllocsPerOp())
			}
		}
		rounds = append(rounds, float64(one["auditbeat"])/float64(one["skprobe"]))
	}
	slices.Sort(rounds)
	ns := func(name string) string { return fmt.Sprintf("%.1f ns", float64(best[name])/1000) }
	t.Logf("decode: skprobe %s, auditbeat %s (into one struct %s); skprobe's line of JSON %s; auditbeat/skprobe %.2f (median of %d)",
		ns("skprobe"), ns("auditbeat"), ns("reused"), ns("line"), rounds[len(rounds)/2], len(rounds))
	if r := rounds[len(rounds)/2]; r < 2 {
		t.Errorf("skprobe decodes only %.2f times as fast as auditbeat; 2 is promised", r)
	}
}
