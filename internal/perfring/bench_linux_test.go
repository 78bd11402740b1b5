package perfring

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkDrain is the cost of a record from the kernel's ring to the function, in order across CPUs.
func BenchmarkDrain(b *testing.B) {
	c := needCalls(b)
	r := open(b, Config{Events: []Event{c.event()}})
	must(b, r.Enable())
	var got int
	fn := func(rec *Record) error {
		got++
		return nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	for got < b.N {
		b.StopTimer()
		for n := range 4000 {
			call(n)
		}
		b.StartTimer()
		must(b, r.Drain(fn))
	}
	if r.Lost() > 0 {
		b.Errorf("%d lost", r.Lost())
	}
}

// BenchmarkOpen is the time from nothing to the first enabled event, and back to nothing.
func BenchmarkOpen(b *testing.B) {
	c := needCalls(b)
	var armed time.Duration
	for b.Loop() {
		start := time.Now()
		r, err := Open(Config{Events: []Event{c.event()}, Comm: true})
		must(b, err)
		must(b, r.Enable())
		armed += time.Since(start)
		must(b, r.Close())
	}
	b.ReportMetric(float64(armed.Microseconds())/float64(b.N), "µs/armed")
}

// BenchmarkIdle reads rings in which nothing happens, for a second per iteration, and tells what share of a CPU that takes.
func BenchmarkIdle(b *testing.B) {
	c := needCalls(b)
	r := open(b, Config{Events: []Event{c.event()}})
	must(b, r.Enable())
	defer reading(b, r, func(*Record) error { return nil })()
	var before, after unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &before))
	start := time.Now()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &after))
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(100*float64(used)/float64(time.Since(start)), "%CPU")
}
