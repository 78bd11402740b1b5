package tracering

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/perfring"
	"github.com/skprobe/skprobe/internal/testkernel"
	"github.com/skprobe/skprobe/tracefs"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(workerEnv); job != "" {
		work(job)
		os.Exit(0)
	}
	testkernel.Main(m)
}

// mark is an argument of getpriority(2) that nobody else uses: such calls are ours, and fail at once.
const mark = 0x5eee

// call hits the event once, with a number.
func call(n int) { unix.Getpriority(mark, n) }

// calls is the event that call hits: the tracepoint at the entry of getpriority.
type calls struct {
	fs         *tracefs.FS
	id         uint16
	which, who int // offsets in its record
}

func (c *calls) config() Config {
	return Config{FS: c.fs, Events: []Event{{Group: "syscalls", Name: "sys_enter_getpriority", ID: c.id, Filter: fmt.Sprintf("which == %d", mark)}}}
}

// number returns the number of a call.
func (c *calls) number(t testing.TB, r *perfring.Record) int {
	t.Helper()
	if len(r.Raw) < c.who+8 || order.Uint16(r.Raw) != c.id || order.Uint64(r.Raw[c.which:]) != mark {
		t.Fatalf("a sample that the filter excludes: % x", r.Raw)
	}
	return int(order.Uint64(r.Raw[c.who:]))
}

// needCalls ends the test if it cannot watch its calls.
func needCalls(t testing.TB) *calls {
	t.Helper()
	testkernel.Needs(t, testkernel.Root)
	f, err := tracefs.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, f.Close()) })
	format, err := f.Format("syscalls", "sys_enter_getpriority")
	if err != nil {
		if testkernel.InVM() {
			t.Fatal(err)
		}
		t.Skip("needs: tracepoints of system calls:", err)
	}
	return &calls{f, format.ID, format.Field("which").Offset, format.Field("who").Offset}
}

// open opens rings that are closed at the test's end.
func open(t testing.TB, cfg Config) *Rings {
	t.Helper()
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, r.Close()) })
	if r.Warning() != nil {
		t.Error(r.Warning())
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reading runs Read in the background until the returned function is called.
func reading(t testing.TB, r *Rings, fn func(*perfring.Record) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Read(ctx, fn) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Read: %v", err)
		}
	})
}

// onCPU runs f on one CPU.
func onCPU(t testing.TB, cpu int, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, there unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &before))
	there.Set(cpu)
	must(t, unix.SchedSetaffinity(0, &there))
	f()
	must(t, unix.SchedSetaffinity(0, &before))
}

// workerEnv makes the test binary a program to be traced. Its value is a list of jobs, done one after the other:
//
//	wait         for a line on standard input
//	calls:N      in this thread
//	threads:N    calls, in a new thread
//	child:JOBS   in a new process, JOBS with + for the comma
//	exec:JOBS    in this process, after execve
const workerEnv = "SKPROBE_TEST_TRACE_WORKER"

// A worker keeps to its main thread, as the program that skprobe starts does: that is the one whose number is watched. The kernel looks
// at the number when it switches to a thread, so one that takes over the number by execve would not be watched until the next switch.
func init() {
	if os.Getenv(workerEnv) != "" {
		runtime.LockOSThread()
	}
}

func work(jobs string) {
	for job := range strings.SplitSeq(jobs, ",") {
		verb, arg, _ := strings.Cut(job, ":")
		n, _ := strconv.Atoi(arg)
		env := append(os.Environ(), workerEnv+"="+strings.ReplaceAll(arg, "+", ","))
		switch verb {
		case "wait":
			fmt.Println("waiting")
			var line [1]byte
			os.Stdin.Read(line[:])
		case "calls":
			for i := range n {
				call(i)
			}
		case "threads":
			done := make(chan bool)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends
				for i := range n {
					call(i)
				}
				close(done)
			}()
			<-done
		case "child":
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = env
			if err := cmd.Run(); err != nil {
				panic(err)
			}
		case "exec":
			os.Setenv(workerEnv, strings.ReplaceAll(arg, "+", ",")) // of two in env the first would count
			panic(unix.Exec("/proc/self/exe", []string{"traced"}, os.Environ()))
		}
	}
}
