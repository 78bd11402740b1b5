package decode

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/elastic/beats/v7/auditbeat/tracing"

	"github.com/skprobe/skprobe/internal/output"
)

// A subject is what is measured: it does its work n times, on all recorded records in turn, of which no two neighbours are alike.
type subject func(n int) error

// each does something for n of the recorded records, in turn. A division to find the next would take as long as some decoders do.
func (r *recording) each(n int, do func(record []byte) error) error {
	for n > 0 {
		round := r.records[:min(n, len(r.records))]
		for _, record := range round {
			if err := do(record); err != nil {
				return err
			}
		}
		n -= len(round)
	}
	return nil
}

func skprobe(t testing.TB) subject {
	r := load(t)
	c, p := r.skprobe(t)
	ev := p.NewEvent()
	return func(n int) error {
		return r.each(n, func(record []byte) error {
			_, err := c.Decode(c.Entry, 1, record, ev)
			return err
		})
	}
}

// auditbeat's decoder, used as auditbeat uses it.
func auditbeat(t testing.TB) subject { return auditbeatInto(t, newCall) }

// auditbeatReused decodes into one struct again and again, which auditbeat does not do and its decoder allows.
func auditbeatReused(t testing.TB) subject {
	var one call
	return auditbeatInto(t, func() any { return &one })
}

func auditbeatInto(t testing.TB, alloc tracing.AllocateFn) subject {
	r := load(t)
	d := r.auditbeat(t, alloc)
	return func(n int) error {
		return r.each(n, func(record []byte) error {
			_, err := d.Decode(record, tracing.Metadata{PID: 1})
			return err
		})
	}
}

// line decodes a record and writes it as JSON.
func line(t testing.TB) subject {
	r := load(t)
	c, p := r.skprobe(t)
	ev := p.NewEvent()
	ev.PID, ev.TID, ev.Comm = 1234, 1234, "load"
	sink, err := output.New("json", io.Discard, &p.Schema, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(n int) error {
		err := r.each(n, func(record []byte) error {
			if _, err := c.Decode(c.Entry, 1, record, ev); err != nil {
				return err
			}
			ev.Wall += 14_700
			return sink.Event(ev)
		})
		return errors.Join(err, sink.Flush())
	}
}

func benchmark(b *testing.B, s subject) {
	b.ReportAllocs()
	b.ResetTimer()
	if err := s(b.N); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSkprobe(b *testing.B)         { benchmark(b, skprobe(b)) }
func BenchmarkAuditbeat(b *testing.B)       { benchmark(b, auditbeat(b)) }
func BenchmarkAuditbeatReused(b *testing.B) { benchmark(b, auditbeatReused(b)) }
func BenchmarkLine(b *testing.B)            { benchmark(b, line(b)) }

// TestAllocations: nothing is allocated for an event.
func TestAllocations(t *testing.T) {
	for name, s := range map[string]subject{"decode": skprobe(t), "line": line(t)} {
		if n := testing.AllocsPerRun(10, func() {
			if err := s(1000); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for 1000 events", name, n)
		}
	}
}

// promised is how much faster than auditbeat's skprobe's decoder is to be.
const promised = 2

// TestTwiceAsFast holds the ratio of the decoders against what was promised. What is compared is CPU time, of all threads, since a
// machine that does something else at the same time has little to say about time; and the median of rounds, in each of which
// all are measured one after the other.
func TestTwiceAsFast(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the collector takes what is idle, and would count that
	const rounds, events = 9, 2_000_000
	subjects := []subject{skprobe(t), auditbeat(t), auditbeatReused(t), line(t)}
	times := make([][]float64, len(subjects)) // nanoseconds per event, of each round
	var ratios []float64
	for range rounds {
		one := make([]float64, len(subjects))
		for i, s := range subjects {
			before := cpuTime(t)
			if err := s(events); err != nil {
				t.Fatal(err)
			}
			one[i] = float64(cpuTime(t)-before) / events
			times[i] = append(times[i], one[i])
		}
		ratios = append(ratios, one[1]/one[0])
	}
	median := func(of []float64) float64 {
		slices.Sort(of)
		return of[len(of)/2]
	}
	t.Logf("CPU time per event: decode %.1f ns, auditbeat's %.1f ns (%.1f ns into one struct for all), decode and line of JSON %.1f ns",
		median(times[0]), median(times[1]), median(times[2]), median(times[3]))
	ratio := median(ratios)
	t.Logf("auditbeat's decoder takes %.2f times as long as skprobe's", ratio)
	if ratio < promised {
		t.Errorf("that is less than %d times", promised)
	}
}

// cpuTime is that of this process until now, in nanoseconds.
func cpuTime(t testing.TB) int64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
