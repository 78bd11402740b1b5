package session

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWallOffset measures with a process that loses its processor now and then
// between two readings.
func TestWallOffset(t *testing.T) {
	const offset = 1_700_000_000 * time.Second
	for away := range 7 {
		var now, reading time.Duration
		gettime := func(clock int32, ts *unix.Timespec) error {
			now += 300 * time.Nanosecond
			if reading++; int(reading) <= 3*away && reading%3 != 1 {
				now += time.Duration(reading) * 7 * time.Millisecond
			}
			at := now
			if clock == unix.CLOCK_REALTIME {
				at += offset
			}
			*ts = unix.NsecToTimespec(int64(at))
			return nil
		}
		got, err := wallOffset(gettime)
		if diff := time.Duration(got) - offset; err != nil || diff.Abs() > time.Microsecond {
			t.Errorf("away %d times: off by %v (%v)", away, diff, err)
		}
	}
}
