package session

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// clock measures, once a second, how far the wall clock is from the records'.
func (r *run) clock() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil || r.measured != 0 && uint64(now.Nano())-r.measured < uint64(time.Second) {
		return
	}
	if offset, err := wallOffset(unix.ClockGettime); err == nil {
		r.wall, r.measured = offset, uint64(now.Nano())
	}
}

// closeReadings is how near two readings of a clock are that are worth to be
// believed at once.
const closeReadings = 2 * time.Microsecond

// wallOffset is how far the wall clock is from the monotonic one, by the closest
// of a few readings: between two a process may lose its processor for long.
func wallOffset(gettime func(clock int32, now *unix.Timespec) error) (offset int64, err error) {
	best := time.Duration(-1)
	for range 8 {
		var before, wall, after unix.Timespec
		if err := errors.Join(gettime(unix.CLOCK_MONOTONIC, &before), gettime(unix.CLOCK_REALTIME, &wall), gettime(unix.CLOCK_MONOTONIC, &after)); err != nil {
			return 0, err
		}
		took := time.Duration(after.Nano() - before.Nano())
		if best < 0 || took < best {
			best, offset = took, wall.Nano()-before.Nano()-int64(took/2)
		}
		if best <= closeReadings {
			break
		}
	}
	return offset, nil
}

// now is the present time by the clock of the events, or, where that cannot be
// read (before 4.1), that of the last event.
func (r *run) now() uint64 {
	var now unix.Timespec
	if !r.reader.Monotonic() || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return r.event.Mono
	}
	return uint64(now.Nano())
}
