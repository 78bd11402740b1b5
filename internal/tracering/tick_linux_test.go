package tracering

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/perfring"
)

// Ticks come on time whether there are records or not, and each parts the records of before it from the later ones.
func TestTicks(t *testing.T) {
	c := needCalls(t)
	const every = 100 * time.Millisecond
	var late, tick uint64
	var ticks, got atomic.Int64
	cfg := c.config()
	cfg.Every, cfg.Tick = every, func(time uint64) error {
		if now := monotonic(); now < time {
			t.Errorf("a tick %d ns early", time-now)
		} else {
			late = max(late, now-time)
		}
		tick = time
		ticks.Add(1)
		return nil
	}
	r := open(t, cfg)
	must(t, r.Enable())
	stop := reading(t, r, func(rec *perfring.Record) error {
		if rec.Kind != perfring.Sample {
			return nil
		}
		if r.Clock() == perfring.ClockMonotonic && (rec.Time < tick || tick != 0 && rec.Time >= tick+uint64(every)) {
			t.Errorf("a record of %d between the ticks at %d and %v after", rec.Time, tick, every)
		}
		got.Add(1)
		return nil
	})
	time.Sleep(1050 * time.Millisecond)
	if n := ticks.Load(); n < 7 || n > 10 {
		t.Errorf("%d ticks in 1.05 s", n)
	}
	for start, i := time.Now(), 0; time.Since(start) < time.Second; i++ {
		call(i)
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	must(t, r.Disable())
	stop()
	t.Logf("%d ticks, at most %v late; %d records", ticks.Load(), time.Duration(late), got.Load())
	if got.Load() == 0 || ticks.Load() < 14 || time.Duration(late) > time.Second {
		t.Errorf("%d records, %d ticks, one %v late", got.Load(), ticks.Load(), time.Duration(late))
	}
}
