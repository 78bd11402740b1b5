package perfring

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Ticks come on time when nothing happens, though then the reader sleeps without end; and while much happens on all CPUs each parts the
// records of before it from the later ones.
func TestTicks(t *testing.T) {
	c := needCalls(t)
	const every = 100 * time.Millisecond
	var last, late, tick uint64
	var ticks, got atomic.Int64
	r := open(t, Config{Events: []Event{c.event()}, Every: every, Tick: func(time uint64) error {
		if tick != 0 && time != tick+uint64(every) {
			t.Errorf("a tick at %d after one at %d", time, tick)
		}
		if now := monotonic(); now < time {
			t.Errorf("a tick %d ns early", time-now)
		} else {
			late = max(late, now-time)
		}
		tick = time
		ticks.Add(1)
		return nil
	}})
	must(t, r.Enable())
	stop := reading(t, r, func(rec *Record) error {
		if r.Clock() == ClockMonotonic && (rec.Time < tick || tick != 0 && rec.Time >= tick+uint64(every)) {
			t.Errorf("a record of %d between the ticks at %d and %v after", rec.Time, tick, every)
		}
		last = rec.Time
		got.Add(1)
		return nil
	})
	time.Sleep(1050 * time.Millisecond)
	if n := ticks.Load(); n < 7 || n > 10 { // fewer on a machine that is very busy
		t.Errorf("%d ticks in 1.05 s", n)
	}
	var all sync.WaitGroup
	for cpu := range runtime.NumCPU() {
		all.Go(func() {
			onCPU(t, cpu, func() {
				for start, i := time.Now(), 0; time.Since(start) < time.Second; i++ {
					call(i)
					if i%50 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		})
	}
	all.Wait()
	must(t, r.Disable())
	stop()
	t.Logf("%d ticks, at most %v late; %d records, the last at %d", ticks.Load(), time.Duration(late), got.Load(), last)
	if got.Load() == 0 || ticks.Load() < 14 || time.Duration(late) > time.Second {
		t.Errorf("%d records, %d ticks, one %v late", got.Load(), ticks.Load(), time.Duration(late))
	}
}
