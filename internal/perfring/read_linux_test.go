package perfring

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/tracefs"
)

// Calls of several threads, pinned to all CPUs, come in the order of time, each once.
func TestOrder(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}, Pages: 1024})
	const threads, each = 6, 2000
	var last uint64
	next := make([]int, threads)
	cpus := map[uint32]int{}
	fn := func(rec *Record) error {
		n, ok := c.number(rec)
		if !ok {
			t.Errorf("not ours: %+v", rec)
			return nil
		}
		if rec.Time < last {
			t.Errorf("%d ns after %d ns", rec.Time, last)
		}
		last = rec.Time
		if thread := n / each; thread >= threads || n%each != next[thread] {
			t.Errorf("call %d", n)
		} else {
			next[thread]++
		}
		if rec.PID != uint32(os.Getpid()) || rec.TID == 0 {
			t.Errorf("pid %d, tid %d", rec.PID, rec.TID)
		}
		cpus[rec.CPU]++
		return nil
	}
	must(t, r.Enable())
	start := monotonic()
	stop := reading(t, r, fn)
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() {
			onCPU(t, thread%runtime.NumCPU(), func() {
				for i := range each {
					call(thread*each + i)
					if i%100 == 0 {
						time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
					}
				}
			})
		})
	}
	all.Wait()
	must(t, r.Disable())
	stop()
	must(t, r.Drain(fn))
	for thread, n := range next {
		if n != each {
			t.Errorf("thread %d: %d of %d calls", thread, n, each)
		}
	}
	if r.Lost() != 0 || r.merge.late != 0 {
		t.Errorf("%d lost, %d late", r.Lost(), r.merge.late)
	}
	if r.Clock() == ClockMonotonic && (last < start || last > monotonic()) {
		t.Errorf("time %d is not between %d and %d", last, start, monotonic())
	}
	t.Logf("records by CPU: %v", cpus)
}

// What is read and what is lost is what was made, exactly, with rings much too small.
func TestLoss(t *testing.T) {
	c := needCalls(t)
	testLoss(t, c)
}

// The same on a kernel without the newer conveniences: go-perf cannot open events, no CLOCK_MONOTONIC.
func TestLossOldKernel(t *testing.T) {
	c := needCalls(t)
	was := idIoctl
	idIoctl = func() bool { return false }
	defer func() { idIoctl = was }()
	testLoss(t, c)
}

func testLoss(t *testing.T, c calls) {
	const made = 30000
	for name, with := range map[string]struct{ reader, comm bool }{
		"with a reader":           {reader: true},
		"without a reader":        {},
		"with a reader and names": {reader: true, comm: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, Config{Events: []Event{c.event()}, Pages: 1, Comm: with.comm})
			var got, told, others uint64
			last := -1
			fn := func(rec *Record) error {
				switch rec.Kind {
				case Sample:
					n, _ := c.number(rec)
					if n <= last || n >= made {
						t.Errorf("call %d after %d", n, last)
					}
					last = n
					got++
				case Lost:
					told += rec.Lost
				default:
					others++
				}
				return nil
			}
			must(t, r.Enable())
			stop := func() {}
			if with.reader {
				stop = reading(t, r, fn)
			}
			runtime.LockOSThread()
			for n := range made {
				call(n)
			}
			runtime.UnlockOSThread()
			must(t, r.Disable())
			stop()
			must(t, r.Drain(fn))
			lost := r.Lost()
			// A lost record about a name cannot be told from a lost call.
			if got+lost != made && !with.comm || got+lost < made || lost != told || lost == 0 || got == 0 {
				t.Errorf("%d read + %d lost (%d told) of %d", got, lost, told, made)
			}
			t.Logf("%d read, %d lost, %d others, clock %v", got, lost, others, r.Clock())
		})
	}
}

// Nothing is read that the filter keeps back, and nothing before Enable or after Disable.
func TestFilter(t *testing.T) {
	c := needCalls(t)
	e := c.event()
	e.Filter += " && who >= 500"
	r := open(t, Config{Events: []Event{e}})
	seen := map[int]int{}
	fn := func(rec *Record) error {
		n, ok := c.number(rec)
		if !ok {
			t.Errorf("not ours: %+v", rec)
		}
		seen[n]++
		return nil
	}
	do := func(from int) {
		for n := range 1000 {
			call(from + n)
		}
	}
	do(1000)
	must(t, r.Enable())
	stop := reading(t, r, fn)
	do(0)
	must(t, r.Disable())
	do(2000)
	stop()
	must(t, r.Drain(fn))
	for n := 500; n < 1000; n++ {
		if seen[n] != 1 {
			t.Fatalf("call %d was seen %d times", n, seen[n])
		}
	}
	if len(seen) != 500 {
		t.Errorf("%d calls, not 500", len(seen))
	}
}

// Many records per look do not cost memory.
func TestNoAllocations(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}, Comm: true, Stack: true})
	var got atomic.Int64
	fn := func(rec *Record) error {
		if rec.Kind == Sample {
			got.Add(1)
		}
		return nil
	}
	must(t, r.Enable())
	stop := reading(t, r, fn)
	round := func() {
		for n := range 20000 {
			call(n)
		}
		time.Sleep(100 * time.Millisecond)
	}
	round() // buffers grow to their size
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := got.Load()
	round()
	runtime.ReadMemStats(&after)
	n = got.Load() - n
	must(t, r.Disable())
	stop()
	objects := after.Mallocs - before.Mallocs
	t.Logf("%d objects for %d records", objects, n)
	if n < 1000 || objects > uint64(n/20) {
		t.Errorf("%d objects for %d records", objects, n)
	}
}

// The chain of callers, without perf's markers. (System calls have no kernel stack at their entry.)
func TestStack(t *testing.T) {
	needCalls(t)
	f, err := tracefs.Open()
	must(t, err)
	defer f.Close()
	id, err := f.ID("task", "task_rename")
	must(t, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := open(t, Config{Events: []Event{{ID: id, Filter: fmt.Sprintf("common_pid == %d", unix.Gettid())}}, Stack: true})
	must(t, r.Enable())
	var name [16]byte
	must(t, unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0))
	must(t, unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0))
	must(t, r.Disable())
	n := 0
	must(t, r.Drain(func(rec *Record) error {
		n++
		if len(rec.Stack) < 2 || len(rec.Raw) < 8 || uint64(order.Uint16(rec.Raw)) != id {
			t.Errorf("got %x, %x", rec.Stack, rec.Raw)
		}
		for _, ip := range rec.Stack {
			if ip < 1<<63 || ip >= contextMax {
				t.Errorf("%x is no address in the kernel", ip)
			}
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d records", n)
	}
}

// A single event after quiet is delivered within the promised time.
func TestLatency(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}})
	if r.Clock() != ClockMonotonic {
		t.Skip("the clock of the records cannot be compared")
	}
	delays := make(chan time.Duration, 100)
	must(t, r.Enable())
	stop := reading(t, r, func(rec *Record) error {
		delays <- time.Duration(monotonic() - rec.Time)
		return nil
	})
	defer stop()
	var worst time.Duration
	for n := range 10 {
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		call(n)
		worst = max(worst, <-delays)
	}
	t.Logf("at most %v", worst)
	if worst > r.cfg.Latency+time.Second { // far more than it should be: machines are busy
		t.Errorf("%v", worst)
	}
}

func TestClose(t *testing.T) {
	c := needCalls(t)
	goroutines := runtime.NumGoroutine()
	r, err := Open(Config{Events: []Event{c.event()}})
	must(t, err)
	must(t, r.Enable())
	done := make(chan error)
	go func() {
		done <- r.Read(context.Background(), func(*Record) error { return nil })
	}()
	call(1)
	time.Sleep(20 * time.Millisecond)
	for range 3 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read, closed meanwhile: %v", err)
	}
	if err := r.Read(context.Background(), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := r.Drain(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Drain: %v", err)
	}
	if err := errors.Join(r.Enable(), r.Disable()); err != nil {
		t.Logf("Enable and Disable: %v", err)
	}
	r.Lost()
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
}

func TestReadErrors(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}})
	must(t, r.Enable())
	for n := range 10 {
		call(n)
	}
	enough := errors.New("enough")
	var got []int
	fn := func(rec *Record) error {
		n, _ := c.number(rec)
		got = append(got, n)
		if n == 4 {
			return enough
		}
		return nil
	}
	if err := r.Read(context.Background(), fn); err != enough {
		t.Errorf("got %v", err)
	}
	must(t, r.Disable())
	must(t, r.Drain(fn))
	if len(got) != 10 || got[9] != 9 {
		t.Errorf("got %v", got)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Read(ended, fn); err != nil {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	c := needCalls(t)
	for name, test := range map[string]struct {
		cfg   Config
		errno syscall.Errno // 0: an error about the Config
	}{
		"no such event":     {Config{Events: []Event{{ID: 65000}}}, unix.EINVAL},
		"a bad filter":      {Config{Events: []Event{{ID: c.id, Filter: "nosuch == 1"}}}, unix.EINVAL},
		"no such thread":    {Config{Events: []Event{c.event()}, Pids: []int{4194303}}, unix.ESRCH},
		"no such threads":   {Config{Events: []Event{c.event()}, Pids: []int{4194303, 4194302}}, unix.ESRCH},
		"nothing":           {Config{}, 0},
		"odd pages":         {Config{Events: []Event{c.event()}, Pages: 3}, 0},
		"a short latency":   {Config{Events: []Event{c.event()}, Latency: time.Microsecond}, 0},
		"inherit from whom": {Config{Events: []Event{c.event()}, Inherit: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(test.cfg)
			if err == nil {
				r.Close()
				t.Fatal("no error")
			}
			var refused *Error
			if test.errno != 0 && (!errors.Is(err, test.errno) || !errors.As(err, &refused) || refused.Why == "") {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}
