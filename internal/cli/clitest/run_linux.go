package clitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// The main goroutine stays on the main thread, as in cmd/skprobe: a program to
// be traced is executed by that one.
func init() { runtime.LockOSThread() }

// A Program is what the test binary does when it is started under a name, to
// be traced by skprobe; it returns the exit status.
type Program func(args []string) int

// Main is the TestMain of a package whose tests run skprobe. What the test
// binary is started as decides what it does: skprobe, one of the programs, or
// the tests, for which [testkernel.Main] looks for leaks.
func Main(m *testing.M, programs map[string]Program) {
	session.MaybeStart()
	name := filepath.Base(os.Args[0])
	if name == "skprobe" {
		os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	if p := programs[name]; p != nil {
		os.Exit(p(os.Args[1:]))
	}
	testkernel.Main(m)
}

// Link returns a file by which the test binary can be started under a name.
func Link(t testing.TB, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// Command is skprobe with arguments, ready to be changed and started.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "skprobe"
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// patience is how long anything may take: the machine is slow and shared.
const patience = 150 * time.Second

// A Run is a skprobe that was started.
type Run struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr text
	ended          chan struct{}
	status         int
}

// Start starts skprobe, and returns when its probes are armed. It is killed at
// the end of the test if it still runs.
func Start(t testing.TB, args ...string) *Run {
	t.Helper()
	return StartCommand(t, Command(args...))
}

// StartCommand is Start for a command that was changed. Where its Stdout is
// set, the run's own stays empty.
func StartCommand(t testing.TB, cmd *exec.Cmd) *Run {
	t.Helper()
	r := begin(t, cmd)
	r.Armed()
	return r
}

// Armed waits until the probes are.
func (r *Run) Armed() {
	r.t.Helper()
	r.Until("its probes are armed", r.IsArmed)
}

// IsArmed tells whether the probes are.
func (r *Run) IsArmed() bool { return strings.Contains(r.stderr.String(), "\ntracing ") }

// Begin starts skprobe and does not wait.
func Begin(t testing.TB, args ...string) *Run {
	t.Helper()
	return begin(t, Command(args...))
}

func begin(t testing.TB, cmd *exec.Cmd) *Run {
	t.Helper()
	r := &Run{t: t, cmd: cmd, ended: make(chan struct{})}
	r.stderr.b.WriteByte('\n') // so that every line has one before it
	if cmd.Stdout == nil {
		cmd.Stdout = &r.stdout
	}
	cmd.Stderr = &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.status = exitStatus(cmd.Wait(), cmd)
		close(r.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-r.ended:
		default:
			cmd.Process.Kill()
			<-r.ended
		}
		if t.Failed() {
			t.Logf("%q ended with %d, stderr:%s", cmd.Args, r.status, r.stderr.String())
		}
	})
	return r
}

// exitStatus is what a shell would show.
func exitStatus(err error, cmd *exec.Cmd) int {
	if err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, exec.ErrWaitDelay) {
		return -1
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// Pid is the process.
func (r *Run) Pid() int { return r.cmd.Process.Pid }

// Signal sends a signal.
func (r *Run) Signal(s os.Signal) { _ = r.cmd.Process.Signal(s) }

// Ended tells whether the process has ended.
func (r *Run) Ended() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// Stdout is what was printed so far.
func (r *Run) Stdout() string { return r.stdout.String() }

// Until waits until ok is true; the test fails if skprobe ends before, or if
// it takes too long.
func (r *Run) Until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if r.Ended() && !ok() {
			r.t.Fatalf("%q ended with %d before %s", r.cmd.Args, r.status, what)
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%q: waited too long until %s", r.cmd.Args, what)
		}
	}
}

// Stop ends skprobe as Ctrl-C does, when the packets that the test has sent are
// where they go.
func (r *Run) Stop() *Result {
	r.t.Helper()
	testkernel.Delivered(r.t)
	r.Signal(os.Interrupt)
	return r.Wait()
}

// Wait waits until skprobe ends by itself.
func (r *Run) Wait() *Result {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.Signal(syscall.SIGQUIT)
		<-r.ended
		r.t.Fatalf("%q did not end", r.cmd.Args)
	}
	return &Result{t: r.t, Args: r.cmd.Args, Status: r.status, Stdout: r.stdout.String(), Stderr: r.stderr.String()[1:]}
}

// Do runs skprobe to its end.
func Do(t testing.TB, args ...string) *Result {
	t.Helper()
	return begin(t, Command(args...)).Wait()
}

// DoCommand is Do for a command that was changed.
func DoCommand(t testing.TB, cmd *exec.Cmd) *Result {
	t.Helper()
	return begin(t, cmd).Wait()
}

// A Result is what a run left.
type Result struct {
	t              testing.TB
	Args           []string
	Status         int
	Stdout, Stderr string
}

// OK fails the test if the run did not end well.
func (r *Result) OK() *Result {
	r.t.Helper()
	return r.Is(0)
}

// Is fails the test if the run ended with another status.
func (r *Result) Is(status int) *Result {
	r.t.Helper()
	if r.Status != status {
		r.t.Fatalf("%q: status %d, want %d; stderr:\n%s", r.Args, r.Status, status, r.Stderr)
	}
	return r
}

// An Event is a line of JSON. Numbers are int, or uint64 where they are too
// large for that, or float64.
type Event map[string]any

// Calibrated tells whether the tests run with measured layouts, which lack some
// columns.
func Calibrated() bool { return os.Getenv("SKPROBE_LAYOUT") == "calibrate" }

// Events are the lines on standard output, which are JSON. With measured
// layouts (SKPROBE_LAYOUT=calibrate) columns may be lacking, which skprobe says:
// where an event has none of these, its value is Unknown. With others nothing
// may be lacking.
func (r *Result) Events() []Event {
	r.t.Helper()
	all, err := ParseJSON(r.Stdout)
	if err != nil {
		r.t.Fatalf("%q: %v", r.Args, err)
	}
	absent := absentColumns(r.Stderr)
	if absent != nil && !Calibrated() {
		r.t.Errorf("%q: no columns %s", r.Args, strings.Join(absent, ", "))
	}
	return withUnknown(all, absent)
}

// Shown are the events so far, as [Result.Events] has them.
func (r *Run) Shown() []Event {
	r.t.Helper()
	lines := r.Stdout()
	all, err := ParseJSON(lines[:strings.LastIndexByte(lines, '\n')+1])
	if err != nil {
		r.t.Fatalf("%q: %v", r.cmd.Args, err)
	}
	return withUnknown(all, absentColumns(r.stderr.String()))
}

// absentColumns are those that skprobe has said to lack.
func absentColumns(stderr string) []string {
	_, absent, said := strings.Cut(stderr, session.AbsentColumns)
	if !said {
		return nil
	}
	absent, _, _ = strings.Cut(absent, " (-v")
	return strings.Split(absent, ", ")
}

// withUnknown gives Unknown to the columns that are absent.
func withUnknown(all []Event, absent []string) []Event {
	for _, e := range all {
		for _, name := range absent {
			if _, has := e[name]; !has {
				e[name] = Unknown
			}
		}
	}
	return all
}

// ParseJSON reads lines of JSON.
func ParseJSON(text string) ([]Event, error) {
	var all []Event
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		d.UseNumber()
		var e Event
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("event %d: %w", len(all)+1, err)
		}
		for k, v := range e {
			if n, ok := v.(json.Number); ok {
				e[k] = number(string(n))
			}
		}
		all = append(all, e)
	}
}

func number(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f
	}
	return s
}

// text may be written and read at the same time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
