package tracering

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/perfring"
)

// Calls on all CPUs come once each, in the order of time, while they are read and after; nothing of before Enable and after
// Disable.
func TestRead(t *testing.T) {
	c := needCalls(t)
	const n = 20000
	cpus := runtime.NumCPU()
	cfg := c.config()
	cfg.Size = 4 << 20 // this process may not get to read for a while
	batches := 0
	cfg.Batch = func() error { batches++; return nil }
	r := open(t, cfg)
	if r.Clock() != perfring.ClockMonotonic {
		t.Errorf("clock %v", r.Clock())
	}
	seen := make([]int, n*cpus)
	var last uint64
	tids := make([]uint32, cpus)
	fn := func(rec *perfring.Record) error {
		if rec.Kind != perfring.Sample {
			return nil
		}
		i := c.number(t, rec)
		seen[i]++
		if rec.Time < last {
			t.Errorf("call %d at %d, after %d", i, rec.Time, last)
		}
		last = rec.Time
		if rec.PID != uint32(os.Getpid()) || rec.TID != tids[i/n] || rec.CPU != uint32(i/n) {
			t.Errorf("call %d by %d/%d on CPU %d, not %d/%d", i, rec.PID, rec.TID, rec.CPU, os.Getpid(), tids[i/n])
		}
		return nil
	}
	call(0)
	must(t, r.Enable())
	var before unix.Timespec
	must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &before))
	stop := reading(t, r, fn)
	var all sync.WaitGroup
	for cpu := range cpus {
		all.Go(func() {
			onCPU(t, cpu, func() {
				tids[cpu] = uint32(unix.Gettid())
				for i := range n {
					call(cpu*n + i)
					if i%1000 == 0 {
						time.Sleep(2 * time.Millisecond)
					}
				}
			})
		})
	}
	all.Wait()
	must(t, r.Disable())
	call(0)
	stop()
	must(t, r.Drain(fn))
	for i, times := range seen {
		if times != 1 {
			t.Fatalf("call %d came %d times; lost %d", i, times, r.Lost())
		}
	}
	if last < uint64(before.Nano()) || r.Lost() != 0 || batches == 0 {
		t.Errorf("last at %d, began at %d; %d lost, %d batches", last, before.Nano(), r.Lost(), batches)
	}
}

// What does not fit into a ring is counted, and nothing else.
func TestLoss(t *testing.T) {
	c := needCalls(t)
	cfg := c.config()
	cfg.Size = 16 << 10
	r := open(t, cfg)
	must(t, r.Enable())
	const n = 5000
	onCPU(t, 0, func() {
		for i := range n {
			call(i)
		}
	})
	must(t, r.Disable())
	got := 0
	must(t, r.Drain(func(rec *perfring.Record) error {
		if rec.Kind == perfring.Sample {
			got++
		}
		return nil
	}))
	// A thread that began or ended meanwhile may be among the lost.
	if lost := int(r.Lost()); lost < n-got || lost > n-got+20 || got < 100 || lost < 100 {
		t.Errorf("%d calls: %d came, %d lost", n, got, lost)
	}
}

// A filter that the kernel does not take, and events that do not exist, are refused in the kernel's words, and leave nothing.
func TestRefused(t *testing.T) {
	c := needCalls(t)
	for name, change := range map[string]func(*Config){
		"filter": func(cfg *Config) { cfg.Events[0].Filter = "nosuch == 1" },
		"event":  func(cfg *Config) { cfg.Events[0].Name = "nosuch" },
	} {
		cfg := c.config()
		change(&cfg)
		r, err := Open(cfg)
		if err == nil {
			r.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		t.Logf("%s: %v", name, err)
		noInstances(t, c)
	}
}

// noInstances holds that there is no instance of this process.
func noInstances(t *testing.T, c *calls) {
	t.Helper()
	entries, err := os.ReadDir(c.fs.Root() + "/instances")
	must(t, err)
	for _, e := range entries {
		var pid, start int
		if n, _ := fmt.Sscanf(e.Name(), "skprobe_%d_%d", &pid, &start); n == 2 && pid == os.Getpid() {
			t.Errorf("%s remains", e.Name())
		}
	}
}

// Two read at the same time and do not see each other; afterwards nothing is left, and a third can.
func TestTwo(t *testing.T) {
	c := needCalls(t)
	for range 2 {
		a, b := open(t, c.config()), open(t, c.config())
		must(t, a.Enable())
		call(1)
		must(t, b.Enable())
		call(2)
		for i, r := range []*Rings{a, b} {
			must(t, r.Disable())
			var got []int
			must(t, r.Drain(func(rec *perfring.Record) error {
				if rec.Kind == perfring.Sample {
					got = append(got, c.number(t, rec))
				}
				return nil
			}))
			if want := [][]int{{1, 2}, {2}}[i]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("reader %d: %v, not %v", i, got, want)
			}
			must(t, r.Close())
		}
		noInstances(t, c)
	}
}

// Close ends a Read.
func TestCloseEndsRead(t *testing.T) {
	c := needCalls(t)
	r := open(t, c.config())
	must(t, r.Enable())
	done := make(chan error)
	go func() { done <- r.Read(t.Context(), func(*perfring.Record) error { return nil }) }()
	time.Sleep(20 * time.Millisecond)
	must(t, r.Close())
	if err := <-done; err == nil {
		t.Error("Read ended without an error")
	}
}

// Where the kernel can, a ring that is a quarter full ends the pause: a flood that is larger than the ring is read meanwhile.
func TestFlood(t *testing.T) {
	c := needCalls(t)
	cfg := c.config()
	cfg.Latency, cfg.Size = 5*time.Second, 256<<10
	r := open(t, cfg)
	if !r.marks {
		t.Skip("this kernel cannot wake for a quarter of a ring (6.1, and stable kernels)")
	}
	got := 0
	fn := func(rec *perfring.Record) error {
		if rec.Kind == perfring.Sample {
			got++
		}
		return nil
	}
	must(t, r.Enable())
	stop := reading(t, r, fn)
	const n = 20000 // three times what the ring holds
	onCPU(t, 0, func() {
		for i := range n {
			call(i)
			if i%500 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	must(t, r.Disable())
	stop()
	must(t, r.Drain(fn))
	if got != n || r.Lost() != 0 {
		t.Errorf("%d of %d, %d lost", got, n, r.Lost())
	}
}
