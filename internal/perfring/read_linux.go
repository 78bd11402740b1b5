package perfring

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Clock tells which clock Record.Time is of.
func (r *Rings) Clock() Clock { return r.clock }

// Warning returns what is worth telling although everything works: rings smaller than wanted, and after Read CPUs that were turned on
// meanwhile. Nil if there is nothing.
func (r *Rings) Warning() error { return r.warning }

// Enable starts the events. Between Open and Enable nothing is recorded, except with EnableOnExec.
func (r *Rings) Enable() error {
	r.events.Lock()
	defer r.events.Unlock()
	r.on = true
	for _, events := range [][]event{r.others, r.samples} {
		for _, e := range events {
			if err := e.enable(); err != nil {
				return explain("enable an event", err)
			}
		}
	}
	return nil
}

// Disable stops the events. When it returns, no record is written any more; [Rings.Drain] delivers what is in the rings.
func (r *Rings) Disable() error {
	r.events.Lock()
	defer r.events.Unlock()
	r.on = false
	var errs []error
	for _, events := range [][]event{r.samples, r.others} {
		for _, e := range events {
			if err := e.disable(); err != nil {
				errs = append(errs, explain("disable an event", err))
			}
		}
	}
	return errors.Join(errs...)
}

// Read calls fn for each record, in the order of time, until ctx ends (then it returns nil) or fn returns an error (then it returns
// that error, and a later Read or Drain goes on with the record after). The record is only valid until fn returns. It allocates nothing
// per record. After Close it returns an error that wraps os.ErrClosed; do not call Close from fn.
func (r *Rings) Read(ctx context.Context, fn func(*Record) error) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	defer context.AfterFunc(ctx, func() { r.wake.interrupt() })()
	defer func() { r.alarm.clear() }()
	stop := func() bool { return ctx.Err() != nil || r.closed.Load() || r.plug.any() }
	r.ticks.Start(monotonic())
	quiet := 0 // looks that found nothing
	for {
		if r.closed.Load() {
			return fmt.Errorf("perfring: %w", os.ErrClosed)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := r.replug(); err != nil {
			return err
		}
		delivered := r.merge.delivered
		if err := r.look(fn); err != nil {
			return err
		}
		if r.cfg.Batch != nil && r.merge.delivered != delivered {
			if err := r.cfg.Batch(); err != nil {
				return err
			}
		}
		if quiet++; r.merge.delivered != delivered || !r.empty() {
			quiet = 0
		}
		if err := r.sleep(quiet, stop); err != nil {
			return err
		}
	}
}

// sleep waits until there may be something to deliver: with a timer, or in quiet times until the alarm.
func (r *Rings) sleep(quiet int, stop func() bool) error {
	// A record that comes now is old enough for the first look after its horizon.
	pause := r.cfg.Latency
	switch {
	case len(r.rings) == 1:
	case r.clock == ClockMonotonic:
		pause -= horizon(r.cfg.Latency)
	default:
		pause /= 2
	}
	if r.alarm == nil || quiet < quietLooks {
		return r.wake.wait(r.ticks.Pause(pause, monotonic()), stop)
	}
	if err := r.alarm.set(); err != nil {
		return err
	}
	if r.empty() {
		if err := r.wake.wait(r.ticks.Pause(0, monotonic()), stop); err != nil {
			return err
		}
	}
	if err := r.alarm.clear(); err != nil || stop() {
		return err
	}
	if len(r.rings) == 1 {
		return nil
	}
	return r.wake.wait(horizon(r.cfg.Latency), stop)
}

// empty tells whether all samples were delivered.
func (r *Rings) empty() bool {
	for _, m := range r.rings {
		if m.unread() > 0 || m.next < len(m.index) {
			return false
		}
	}
	return true
}

// look delivers what is complete, and makes the ticks.
func (r *Rings) look(fn func(*Record) error) error {
	r.looks++
	now := monotonic()
	if r.clock != ClockMonotonic {
		limit := uint64(math.MaxUint64)
		if len(r.rings) > 1 {
			limit = r.newest
		}
		if err := r.upTo(limit, fn); err != nil {
			return err
		}
		return r.ticks.Late(now)
	}
	limit := uint64(math.MaxUint64)
	if len(r.rings) > 1 {
		now -= uint64(horizon(r.cfg.Latency))
		limit = now
	}
	if err := r.scan(); err != nil {
		return err
	}
	defer r.settle()
	return r.ticks.Deliver(now, limit, func(limit uint64) error { return r.merge.deliver(limit, fn) })
}

// upTo delivers what is in the rings up to the time limit.
func (r *Rings) upTo(limit uint64, fn func(*Record) error) error {
	if err := r.scan(); err != nil {
		return err
	}
	defer r.settle()
	return r.merge.deliver(limit, fn)
}

// scan finds the records in the rings.
func (r *Rings) scan() error {
	for _, ring := range r.merge.rings {
		if err := ring.scan(); err != nil {
			return err
		}
		if n := len(ring.index); n > 0 {
			r.newest = max(r.newest, ring.index[n-1].time)
		}
	}
	return nil
}

// settle gives the kernel the room of what was delivered.
func (r *Rings) settle() {
	for _, ring := range r.merge.rings {
		ring.settle()
	}
}

// Drain delivers everything that is still in the rings, in the order of time: call it after Disable. An error of fn ends it.
// Losses that the kernel has not told yet, because nothing came after them, are told here.
func (r *Rings) Drain(fn func(*Record) error) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.closed.Load() {
		return fmt.Errorf("perfring: %w", os.ErrClosed)
	}
	if err := r.upTo(math.MaxUint64, fn); err != nil {
		return err
	}
	if !r.flushLosses() {
		return nil
	}
	return r.upTo(math.MaxUint64, func(rec *Record) error {
		if rec.Kind != Lost {
			return nil // the name that made the kernel tell
		}
		return fn(rec)
	})
}

// Lost returns how many samples did not fit into the rings until now. The kernel tells it with the next record that fits, so it is exact
// only after Disable and Drain.
func (r *Rings) Lost() uint64 {
	var sum uint64
	for _, m := range r.rings {
		sum += m.lost.Load()
	}
	return sum
}

// Close closes the events and unmaps the rings. It waits for Read or Drain to return, and may be called more than once.
func (r *Rings) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	if r.wake != nil {
		r.wake.interrupt()
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	r.events.Lock()
	defer r.events.Unlock()
	var errs []error
	if r.wake != nil {
		errs = append(errs, r.wake.close())
	}
	for _, m := range slices.Concat(r.rings, r.names) {
		if err := unix.Munmap(m.mem); err != nil {
			errs = append(errs, os.NewSyscallError("munmap", err))
		}
		m.data = nil
	}
	for _, events := range [][]event{r.samples, r.others} {
		for _, e := range events {
			errs = append(errs, e.close())
		}
	}
	r.samples, r.others = nil, nil
	errs = append(errs, r.alarm.close(), r.plug.close())
	return errors.Join(errs...)
}

func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return math.MaxUint64
	}
	return uint64(t.Nano())
}
