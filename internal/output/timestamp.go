package output

import (
	"time"

	"github.com/skprobe/skprobe/internal/event"
)

// A Timestamp is what the first column of a table is.
type Timestamp string

// The timestamps.
const (
	Wall    Timestamp = "wall"    // time of day, 15:04:05.000000
	ISO     Timestamp = "iso"     // date, time and zone as in JSON
	Mono    Timestamp = "mono"    // seconds since boot, CLOCK_MONOTONIC
	Elapsed Timestamp = "elapsed" // seconds since the first event
	Delta   Timestamp = "delta"   // seconds since the previous event
	None    Timestamp = "none"
)

// Timestamps lists all, the default first.
var Timestamps = []Timestamp{Wall, ISO, Mono, Elapsed, Delta, None}

const second = 1_000_000_000

// A clock formats wall-clock times. Formatting a date is dear and its text
// the same for a whole second, so that is what it keeps.
type clock struct {
	layout string // of what comes before the fraction
	loc    *time.Location
	start  int64  // the second that head and zone are for, in nanoseconds
	head   []byte // "2006-01-02T15:04:05."
	zone   []byte // "Z", "+02:00"
}

func newClock(layout string, loc *time.Location) clock {
	c := clock{layout: layout, loc: loc}
	c.set(0)
	return c
}

// set makes head and zone those of the second in which wall lies.
func (c *clock) set(wall int64) {
	c.start = wall / second * second
	if c.start > wall {
		c.start -= second
	}
	t := time.Unix(0, wall).In(c.loc)
	c.head = append(t.AppendFormat(c.head[:0], c.layout), '.')
	c.zone = t.AppendFormat(c.zone[:0], "Z07:00")
}

// has tells whether head and zone are those of a time.
func (c *clock) has(wall int64) bool { return uint64(wall-c.start) < second }

// appendRFC3339 appends a time as RFC 3339 with nine digits of fraction. The
// clock's layout must be dateTime.
func (c *clock) appendRFC3339(dst []byte, wall int64) []byte {
	if !c.has(wall) {
		c.set(wall)
	}
	dst = append(dst, c.head...)
	dst = appendNano(dst, uint32(wall-c.start))
	return append(dst, c.zone...)
}

// appendTimeOfDay appends a time with microseconds. The clock's layout must
// be timeOfDay.
func (c *clock) appendTimeOfDay(dst []byte, wall int64) []byte {
	if !c.has(wall) {
		c.set(wall)
	}
	dst = append(dst, c.head...)
	dst = appendNano(dst, uint32(wall-c.start))
	return dst[:len(dst)-3]
}

const (
	dateTime  = "2006-01-02T15:04:05"
	timeOfDay = "15:04:05"
)

// A stamper appends the timestamps of a table.
type stamper struct {
	form  Timestamp
	clock clock
	// base is what differences are to: the first event or the previous one.
	base uint64
	any  bool
}

func newStamper(form Timestamp, loc *time.Location) stamper {
	layout := timeOfDay
	if form == ISO {
		layout = dateTime
	}
	return stamper{form: form, clock: newClock(layout, loc)}
}

// width is the usual number of characters.
func (s *stamper) width() int {
	switch s.form {
	case Wall:
		return len("15:04:05.000000")
	case ISO:
		return len(dateTime) + len(".000000000") + len(s.clock.zone)
	case Mono:
		return len("1000000.000000000")
	default:
		return len("1000.000000000")
	}
}

func (s *stamper) append(dst []byte, e *event.Event) []byte {
	switch s.form {
	case Wall:
		return s.clock.appendTimeOfDay(dst, e.Wall)
	case ISO:
		return s.clock.appendRFC3339(dst, e.Wall)
	case Mono:
		return appendSeconds(dst, e.Mono)
	}
	if !s.any {
		s.any, s.base = true, e.Mono
	}
	base := s.base
	if s.form == Delta {
		s.base = e.Mono
	}
	// Events of different processors may be shown a little out of order.
	if e.Mono < base {
		return appendSeconds(append(dst, '-'), base-e.Mono)
	}
	return appendSeconds(dst, e.Mono-base)
}

// appendSeconds appends nanoseconds as seconds with nine digits of fraction.
func appendSeconds(dst []byte, ns uint64) []byte {
	dst = appendUint(dst, ns/second)
	dst = append(dst, '.')
	return appendNano(dst, uint32(ns%second))
}
