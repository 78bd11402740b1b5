package timemerge

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// Each tick comes after the records of before it and before those of its time, however late the look is.
func TestTicks(t *testing.T) {
	for _, looks := range [][]uint64{{25, 31, 50}, {50}, {9, 10, 11, 19, 20, 21, 50}} {
		var got []string
		records := []uint64{1, 9, 10, 11, 19, 40, 41}
		deliver := func(limit uint64) error {
			for len(records) > 0 && records[0] <= limit {
				got = append(got, fmt.Sprint(records[0]))
				records = records[1:]
			}
			return nil
		}
		ticks := Ticks{Every: 10, Call: func(time uint64) error { got = append(got, fmt.Sprint("tick ", time)); return nil }}
		ticks.Start(0)
		for _, now := range looks {
			if err := ticks.Deliver(now, now, deliver); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"1", "9", "tick 10", "10", "11", "19", "tick 20", "tick 30", "tick 40", "40", "41", "tick 50"}
		if !slices.Equal(got, want) {
			t.Errorf("looks at %d: %q, not %q", looks, got, want)
		}
	}
}

// Without ticks everything is delivered at once; an error of a tick ends the delivery, and the records after it come with the next.
func TestTicksErrors(t *testing.T) {
	var limits []uint64
	deliver := func(limit uint64) error { limits = append(limits, limit); return nil }
	var none Ticks
	none.Start(5)
	if err := none.Deliver(math.MaxUint64, 7, deliver); err != nil || !slices.Equal(limits, []uint64{7}) {
		t.Errorf("%v, limits %d", err, limits)
	}
	if none.Late(math.MaxUint64) != nil || none.Pause(3, 9) != 3 || none.Pause(0, 9) != 0 {
		t.Error("ticks out of nothing")
	}
	errTick := errors.New("enough")
	limits = nil
	ticks := Ticks{Every: 10, Call: func(uint64) error { return errTick }}
	ticks.Start(0)
	if err := ticks.Deliver(30, 30, deliver); !errors.Is(err, errTick) || !slices.Equal(limits, []uint64{9}) {
		t.Errorf("%v, limits %d", err, limits)
	}
	if err := ticks.Late(30); !errors.Is(err, errTick) {
		t.Error(err)
	}
}

func TestTicksPause(t *testing.T) {
	ticks := Ticks{Every: 10 * time.Second, Call: func(uint64) error { return nil }}
	ticks.Start(1e9)
	for _, c := range []struct {
		pause time.Duration
		now   uint64
		want  time.Duration
	}{{0, 1e9, 10 * time.Second}, {0, 2e9, 9 * time.Second}, {time.Second, 2e9, time.Second}, {time.Second, 10.5e9, time.Second / 2}, {0, 11e9, 1}, {time.Second, 99e9, 1}} {
		if got := ticks.Pause(c.pause, c.now); got != c.want {
			t.Errorf("pause %v at %d: %v, not %v", c.pause, c.now, got, c.want)
		}
	}
}
