package perfring

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
		for last := int64(-1); got.Load() != last; { // until all is read
			last = got.Load()
			time.Sleep(100 * time.Millisecond)
		}
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
	var all []time.Duration
	for n := range 10 {
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		call(n)
		all = append(all, <-delays)
	}
	slices.Sort(all)
	// Far more than it should be, and the median: machines are busy.
	if median := all[len(all)/2]; median > r.cfg.Latency+time.Second {
		t.Errorf("%v", all)
	}
}
