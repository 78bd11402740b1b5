package tracering

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/perfring"
)

// startWorker starts a program to be traced, waiting.
func startWorker(t *testing.T, jobs string) (pid int, finish func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workerEnv+"=wait,"+jobs)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "waiting\n" {
		t.Fatalf("the worker said %q, %v", line, err)
	}
	return cmd.Process.Pid, func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the worker: %v", err)
		}
	}
}

// tids returns all threads of a process.
func tids(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	var all []int
	for _, e := range tasks {
		tid, err := strconv.Atoi(e.Name())
		must(t, err)
		all = append(all, tid)
	}
	return all
}

// bothLimits runs a test with the limit to threads made by the kernel, and made here.
func bothLimits(t *testing.T, test func(t *testing.T)) {
	for name, here := range map[string]bool{"limited by the kernel": false, "limited here": true} {
		t.Run(name, func(t *testing.T) {
			limitHere = here
			defer func() { limitHere = false }()
			test(t)
		})
	}
}

// Only the given threads are watched, and with Inherit what they start, short-lived as it may be.
func TestPids(t *testing.T) {
	c := needCalls(t)
	const jobs = "calls:100,threads:200,child:calls:300+threads:400+child:calls:0"
	bothLimits(t, func(t *testing.T) {
		for name, inherit := range map[string]bool{"with what they start": true, "alone": false} {
			t.Run(name, func(t *testing.T) {
				pid, finish := startWorker(t, jobs)
				cfg := c.config()
				cfg.Pids, cfg.Inherit = append(tids(t, pid), 32767), inherit // one that is not there
				r := open(t, cfg)
				got := map[uint32]int{}
				fn := func(rec *perfring.Record) error {
					if rec.Kind == perfring.Sample {
						got[rec.PID]++
					}
					return nil
				}
				must(t, r.Enable())
				stop := reading(t, r, fn)
				for n := range 500 {
					call(n) // not watched
				}
				finish()
				must(t, r.Disable())
				stop()
				must(t, r.Drain(fn))
				sum := 0
				for _, n := range got {
					sum += n
				}
				// Alone, a thread of the worker that existed before may do the calls of another.
				if inherit && (sum != 1000 || got[uint32(pid)] != 300 || len(got) != 2) || !inherit && (sum < 100 || sum > 300 || len(got) != 1) {
					t.Errorf("calls by process: %v", got)
				}
				if r.Lost() != 0 {
					t.Errorf("%d lost", r.Lost())
				}
			})
		}
	})
}

// With EnableOnExec nothing is recorded before execve and everything after, names included.
func TestEnableOnExec(t *testing.T) {
	c := needCalls(t)
	bothLimits(t, func(t *testing.T) {
		pid, finish := startWorker(t, "calls:100,exec:calls:10+threads:5+child:calls:20")
		cfg := c.config()
		cfg.Pids, cfg.Inherit, cfg.EnableOnExec = []int{pid}, true, true
		r := open(t, cfg)
		calls, names := map[uint32]int{}, map[string]bool{}
		fn := func(rec *perfring.Record) error {
			switch rec.Kind {
			case perfring.Sample:
				calls[rec.PID]++
			case perfring.Comm:
				names[string(rec.Comm)] = true
			}
			return nil
		}
		stop := reading(t, r, fn)
		finish()
		stop()
		must(t, r.Disable())
		must(t, r.Drain(fn))
		if calls[uint32(pid)] != 15 || len(calls) != 2 || !names["exe"] {
			t.Errorf("calls by process %v (the first is %d), names %v", calls, pid, names)
		}
	})
}

// New threads, their names and ends, and the processes that they are of; also of calls that a thread makes when it ends.
func TestTasks(t *testing.T) {
	c := needCalls(t)
	r := open(t, c.config())
	type name struct {
		tid  uint32
		comm string
	}
	names, forked, exited, calls := map[name]bool{}, map[uint32]uint32{}, map[uint32]bool{}, map[uint32]uint32{}
	var worker atomic.Uint32
	var ended atomic.Bool
	fn := func(rec *perfring.Record) error {
		switch rec.Kind {
		case perfring.Comm:
			names[name{rec.TID, string(rec.Comm)}] = true
		case perfring.Fork:
			if rec.PID == rec.TID {
				forked[rec.PID] = rec.PPID
			}
		case perfring.Exit:
			exited[rec.TID] = true
			if rec.TID == worker.Load() {
				ended.Store(true)
			}
		case perfring.Sample:
			calls[rec.TID] = rec.PID
		}
		return nil
	}
	must(t, r.Enable())
	stop := reading(t, r, fn)
	pid, finish := startWorker(t, "threads:1")
	worker.Store(uint32(pid))
	finish()
	tid := make(chan int)
	go func() {
		// A thread of its own, which ends with its new name.
		runtime.LockOSThread()
		text, err := unix.BytePtrFromString("skprobe-a name!") // 15 bytes, the longest
		must(t, err)
		must(t, unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(text)), 0, 0, 0))
		call(1)
		tid <- unix.Gettid()
	}()
	renamed := uint32(<-tid)
	// Ends are told later, with a record after them.
	for deadline := time.Now().Add(20 * time.Second); !ended.Load() && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		call(2)
	}
	call(2)
	must(t, r.Disable())
	stop()
	must(t, r.Drain(fn))
	if !names[name{renamed, "skprobe-a name!"}] || !names[name{uint32(pid), "exe"}] {
		t.Errorf("names: %v", names)
	}
	if forked[uint32(pid)] != uint32(os.Getpid()) || !exited[uint32(pid)] {
		t.Errorf("process %d: made by %d, ends %v", pid, forked[uint32(pid)], exited)
	}
	if calls[renamed] != uint32(os.Getpid()) || len(calls) < 3 {
		t.Errorf("process by thread: %v", calls)
	}
	for tid, process := range calls {
		if process != uint32(os.Getpid()) && process != uint32(pid) {
			t.Errorf("thread %d is of %d", tid, process)
		}
	}
}

// Each record has its own stack.
func TestStack(t *testing.T) {
	c := needCalls(t)
	cfg := c.config()
	cfg.Stack, cfg.Size = true, 4<<20
	r := open(t, cfg)
	must(t, r.Enable())
	const n = 3000
	for i := range n {
		call(i)
	}
	must(t, r.Disable())
	with, all := 0, 0
	must(t, r.Drain(func(rec *perfring.Record) error {
		if rec.Kind != perfring.Sample {
			return nil
		}
		all++
		if len(rec.Stack) > 1 && rec.Stack[0]>>47 == 1<<17-1 {
			with++
		}
		return nil
	}))
	if all != n || with != n || r.Lost() != 0 {
		t.Errorf("%d records, %d with a stack, of %d; %d lost", all, with, n, r.Lost())
	}
}

// In another pid namespace there are records, and nobody's.
func TestOtherPidNamespace(t *testing.T) {
	c := needCalls(t)
	real := inOtherPidNamespace
	inOtherPidNamespace = func() bool { return true }
	defer func() { inOtherPidNamespace = real }()
	cfg := c.config()
	cfg.Pids = []int{1}
	if r, err := Open(cfg); err == nil {
		r.Close()
		t.Error("a limit to a process that cannot be told")
	}
	r, err := Open(c.config())
	must(t, err)
	defer r.Close()
	if r.Warning() == nil {
		t.Error("no warning")
	}
	must(t, r.Enable())
	call(1)
	must(t, r.Disable())
	must(t, r.Drain(func(rec *perfring.Record) error {
		if rec.Kind == perfring.Sample && rec.PID != Unknown {
			t.Errorf("process %d", rec.PID)
		}
		return nil
	}))
}
