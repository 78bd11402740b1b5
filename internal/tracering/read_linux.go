package tracering

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/perfring"
)

// Clock tells which clock Record.Time is of.
func (r *Rings) Clock() perfring.Clock { return r.clock }

// Warning returns what is worth telling although everything works. Nil if there is nothing.
func (r *Rings) Warning() error { return r.warning }

// Enable starts recording. Between Open and Enable nothing is recorded, except with EnableOnExec.
func (r *Rings) Enable() error {
	r.state.Lock()
	defer r.state.Unlock()
	if r.closed.Load() {
		return fmt.Errorf("tracering: %w", os.ErrClosed)
	}
	if err := r.instance.Set("tracing_on", "1"); err != nil {
		return err
	}
	// Threads that begin from now on are recorded, and /proc has the others.
	if !r.foreign {
		found := findThreads(r.cfg.Pids)
		r.found.Store(&found)
	}
	return nil
}

// Disable stops recording; [Rings.Drain] delivers what is in the rings.
func (r *Rings) Disable() error {
	r.state.Lock()
	defer r.state.Unlock()
	if r.closed.Load() {
		return nil
	}
	return r.instance.Set("tracing_on", "0")
}

// Read calls fn for each record, in the order of time, until ctx ends (then it returns nil) or fn returns an error (then it returns
// that error, and a later Read or Drain goes on with the record after). The record is only valid until fn returns. After Close it
// returns an error that wraps os.ErrClosed; do not call Close from fn.
func (r *Rings) Read(ctx context.Context, fn func(*perfring.Record) error) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	stop := context.AfterFunc(ctx, r.wake.interrupt)
	defer stop()
	r.ticks.Start(monotonic())
	longest := r.cfg.Latency - r.cfg.horizon()
	pause := longest
	for {
		if r.closed.Load() {
			return fmt.Errorf("tracering: %w", os.ErrClosed)
		}
		if ctx.Err() != nil {
			return nil
		}
		delivered := r.delivered
		if err := r.look(fn); err != nil {
			return err
		}
		if r.cfg.Batch != nil && r.delivered != delivered {
			if err := r.cfg.Batch(); err != nil {
				return err
			}
		}
		pause = r.nextPause(pause, longest)
		if err := r.wake.wait(r.ticks.Pause(pause, monotonic()), ctx, &r.closed); err != nil {
			return err
		}
	}
}

// nextPause aims at finding the fullest ring a quarter full.
func (r *Rings) nextPause(last, longest time.Duration) time.Duration {
	fullest := 1
	for _, q := range r.queues {
		fullest = max(fullest, q.bytes)
	}
	next := time.Duration(float64(last) * float64(r.cfg.Size/4) / float64(fullest))
	return max(minPause, min(next, 2*last, longest))
}

// look reads the rings, delivers what is complete (of what no older record will come), and makes the ticks.
func (r *Rings) look(fn func(*perfring.Record) error) error {
	now := monotonic()
	alone := len(r.queues) == 1 && !r.cfg.Stack // the stack of the newest record may not be there yet
	if r.clock != perfring.ClockMonotonic {
		limit := r.newest
		if alone {
			limit = math.MaxUint64
		}
		if err := r.upTo(math.MaxUint64-1, limit, fn); err != nil {
			return err
		}
		return r.ticks.Late(now)
	}
	complete := now - uint64(r.cfg.horizon())
	limit := complete
	if alone {
		complete, limit = now, math.MaxUint64
	}
	if err := r.read(now); err != nil {
		return err
	}
	return r.ticks.Deliver(complete, limit, func(limit uint64) error { return r.deliverTo(limit, fn) })
}

// upTo reads all rings, as they are at a time, and delivers what they had up to the time limit.
func (r *Rings) upTo(now, limit uint64, fn func(*perfring.Record) error) error {
	if err := r.read(now); err != nil {
		return err
	}
	return r.deliverTo(limit, fn)
}

// read reads all rings, as they are at a time.
func (r *Rings) read(now uint64) error {
	for _, q := range r.queues {
		if err := r.fill(q, now); err != nil {
			return err
		}
		if n := len(q.items); n > 0 {
			r.newest = max(r.newest, q.items[n-1].time)
		}
	}
	return nil
}

// deliverTo delivers what was read up to the time limit.
func (r *Rings) deliverTo(limit uint64, fn func(*perfring.Record) error) error {
	if found := r.found.Swap(nil); found != nil {
		for tid, process := range *found {
			if _, known := r.threads.process[tid]; !known {
				r.threads.process[tid] = process
			}
		}
	}
	r.fn = fn
	defer func() { r.fn = nil }()
	return r.merge.Deliver(limit)
}

// fill reads the pages of a ring that have records. Where a clock is given, it stops at records that came after it: it does not run after
// a writer, nor fetch its records one by one.
func (r *Rings) fill(q *queue, now uint64) error {
	q.begin()
	for now == math.MaxUint64 || q.read <= now && q.bytes < 2*r.cfg.Size {
		p := r.page()
		n, err := unix.Read(q.fd, p.bytes)
		switch {
		case err == unix.EINTR:
			r.free(p)
			continue
		case err == unix.EAGAIN, err == unix.ENODEV, err == nil && n == 0: // a CPU that was never online
			r.free(p)
			return nil
		case err != nil:
			r.free(p)
			return fmt.Errorf("ring of CPU %d: %w", q.cpu, os.NewSyscallError("read", err))
		case n != len(p.bytes):
			r.free(p)
			return fmt.Errorf("ring of CPU %d: %d bytes of a page", q.cpu, n)
		}
		if err := q.add(p); err != nil {
			return err
		}
	}
	return nil
}

// Drain delivers everything that is still in the rings, in the order of time: call it after Disable. An error of fn ends it.
func (r *Rings) Drain(fn func(*perfring.Record) error) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.closed.Load() {
		return fmt.Errorf("tracering: %w", os.ErrClosed)
	}
	return r.upTo(math.MaxUint64, math.MaxUint64, fn)
}

// Lost returns how many records did not fit into the rings until now.
func (r *Rings) Lost() uint64 {
	r.state.Lock()
	defer r.state.Unlock()
	if !r.closed.Load() {
		r.countLost()
	}
	return r.lost
}

func (r *Rings) countLost() {
	var sum uint64
	for _, q := range r.queues {
		text, err := r.instance.Get(fmt.Sprintf("per_cpu/cpu%d/stats", q.cpu))
		if err != nil {
			return
		}
		sum += parseLost(text)
	}
	r.lost = sum
}

// Close ends recording, and removes the instance. It waits for Read or Drain to return, and may be called more than once; again after an
// error it tries again.
func (r *Rings) Close() error {
	r.closed.Store(true)
	if r.wake != nil {
		r.wake.interrupt()
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	r.state.Lock()
	defer r.state.Unlock()
	if r.instance == nil {
		return nil
	}
	r.instance.Set("tracing_on", "0")
	r.countLost()
	var errs []error
	if r.wake != nil && r.queues != nil {
		errs = append(errs, r.wake.close())
	}
	for _, q := range r.queues {
		errs = append(errs, os.NewSyscallError("close", unix.Close(q.fd)))
	}
	r.queues = nil
	// Removing it disables the events in it; where that fails they must not go on, nor keep their definitions.
	err := r.instance.Remove()
	if err != nil {
		r.instance.Set("events/enable", "0")
		return errors.Join(append(errs, err)...)
	}
	r.instance = nil
	return errors.Join(errs...)
}

// page returns memory for a page.
func (r *Rings) page() *page {
	if n := len(r.spare); n > 0 {
		p := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return p
	}
	return &page{bytes: make([]byte, r.layout.size)}
}

func (r *Rings) free(p *page) { r.spare = append(r.spare, p) }

func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return math.MaxUint64
	}
	return uint64(t.Nano())
}
