package perfring

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
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

// threads returns all threads of a process.
func threads(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	var tids []int
	for _, e := range tasks {
		tid, err := strconv.Atoi(e.Name())
		must(t, err)
		tids = append(tids, tid)
	}
	return tids
}

// Only the given threads are watched, and with Inherit what they start.
func TestPids(t *testing.T) {
	c := needCalls(t)
	const jobs = "calls:100,threads:200,child:calls:300+threads:400+child:calls:0"
	for name, test := range map[string]struct {
		inherit bool
		want    int
	}{
		"with what they start": {true, 1000},
		"alone":                {false, 100},
	} {
		t.Run(name, func(t *testing.T) {
			pid, finish := startWorker(t, jobs)
			tids := threads(t, pid)
			r := open(t, Config{Events: []Event{c.event()}, Pids: append(tids, 4194303), Inherit: test.inherit, Pages: 64})
			got := map[uint32]int{}
			fn := func(rec *Record) error {
				if rec.Kind == Sample {
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
			if sum != test.want && (test.inherit || sum < test.want || sum > 300) || got[uint32(os.Getpid())] != 0 {
				t.Errorf("calls by process: %v, not %d", got, test.want)
			}
			if test.inherit && (got[uint32(pid)] != 300 || len(got) != 2) {
				t.Errorf("calls by process: %v", got)
			}
			if r.Lost() != 0 {
				t.Errorf("%d lost", r.Lost())
			}
		})
	}
}

// With EnableOnExec nothing is recorded before execve and everything after, names included.
func TestEnableOnExec(t *testing.T) {
	c := needCalls(t)
	pid, finish := startWorker(t, "calls:100,exec:calls:10+child:calls:20")
	r := open(t, Config{Events: []Event{c.event()}, Pids: threads(t, pid), Inherit: true, EnableOnExec: true, Comm: true, Pages: 64})
	calls, names, forks, exits := 0, map[string]bool{}, 0, 0
	var last uint64
	fn := func(rec *Record) error {
		switch rec.Kind {
		case Sample:
			calls++
		case Comm:
			if rec.Exec {
				names[string(rec.Comm)] = true
			}
		case Fork:
			if rec.PID == rec.TID {
				forks++
			}
		case Exit:
			if rec.PID == rec.TID {
				exits++
			}
		}
		if rec.Time < last {
			t.Errorf("%v at %d, after %d", rec.Kind, rec.Time, last)
		}
		last = rec.Time
		return nil
	}
	stop := reading(t, r, fn)
	finish()
	stop()
	must(t, r.Disable())
	must(t, r.Drain(fn))
	// os/exec makes a process more, to try something.
	if calls != 30 || forks < 1 || exits != forks+1 || !names["exe"] {
		t.Errorf("%d calls, %d processes, %d ends, names by exec: %v", calls, forks, exits, names)
	}
}

// Names of threads everywhere, by prctl and by exec.
func TestComm(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}, Comm: true})
	type name struct {
		tid  uint32
		comm string
	}
	got := map[name]bool{}
	var forked, exited = map[uint32]uint32{}, map[uint32]bool{}
	fn := func(rec *Record) error {
		switch rec.Kind {
		case Comm:
			got[name{rec.TID, string(rec.Comm)}] = true
		case Fork:
			if rec.PID == rec.TID {
				forked[rec.PID] = rec.PPID
			}
		case Exit:
			exited[rec.TID] = true
		}
		return nil
	}
	must(t, r.Enable())
	stop := reading(t, r, fn)
	pid, finish := startWorker(t, "calls:0")
	finish()
	tid := make(chan int)
	go func() {
		// A thread of its own, which ends with its new name.
		runtime.LockOSThread()
		text, err := unix.BytePtrFromString("skprobe-a name!") // 15 bytes, the longest
		must(t, err)
		must(t, unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(text)), 0, 0, 0))
		tid <- unix.Gettid()
	}()
	renamed := <-tid
	must(t, r.Disable())
	stop()
	must(t, r.Drain(fn))
	if !got[name{uint32(renamed), "skprobe-a name!"}] || !got[name{uint32(pid), "exe"}] {
		t.Errorf("names: %v", got)
	}
	if forked[uint32(pid)] != uint32(os.Getpid()) || !exited[uint32(pid)] {
		t.Errorf("process %d: made by %d, ended %v", pid, forked[uint32(pid)], exited[uint32(pid)])
	}
}
