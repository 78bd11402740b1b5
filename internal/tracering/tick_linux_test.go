package tracering

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/perfring"
)

// Ticks come on time whether there are records or not, and each parts the records of before it from the later ones.
func TestTicks(t *testing.T) {
	c := needCalls(t)
	const every = 100 * time.Millisecond
	var tick uint64
	var late []uint64
	var ticks, got atomic.Int64
	cfg := c.config()
	cfg.Every, cfg.Tick = every, func(time uint64) error {
		if now := monotonic(); now < time {
			t.Errorf("a tick %d ns early", time-now)
		} else {
			late = append(late, now-time)
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
	begin := monotonic()
	wait := func(n int64) {
		for deadline := time.Now().Add(30 * time.Second); ticks.Load() < n && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	wait(10)
	if n, most := ticks.Load(), int64((monotonic()-begin)/uint64(every))+2; n < 10 || n > most {
		t.Errorf("%d ticks, want 10 to %d", n, most)
	}
	for start, i := time.Now(), 0; time.Since(start) < time.Second; i++ {
		call(i)
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	wait(20)
	must(t, r.Disable())
	stop()
	slices.Sort(late)
	t.Logf("%d ticks, at most %v late; %d records", ticks.Load(), time.Duration(late[len(late)-1]), got.Load())
	// A guest may stand still for seconds, but not most of the time.
	if median := time.Duration(late[len(late)/2]); got.Load() == 0 || ticks.Load() < 20 || median > time.Second {
		t.Errorf("%d records, %d ticks, half of them more than %v late", got.Load(), ticks.Load(), median)
	}
}
