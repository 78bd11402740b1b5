package testkernel

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a program may take to get ready: long, because the VM is slow and what is tested is not speed.
const patience = 90 * time.Second

// A Process is a real program that a test has started.
type Process struct {
	Pid    int
	cmd    *exec.Cmd
	output syncBuffer
	ended  chan struct{}
	err    error
}

// Ready tells from what a program has printed so far, or from anything else, whether it can be used.
type Ready func(output string) bool

// Prints is ready when the program has printed text.
func Prints(text string) Ready {
	return func(output string) bool { return strings.Contains(output, text) }
}

// Listens is ready when somebody in the calling thread's network namespace has a socket of this kind, "udp" or "tcp", on a local port.
func Listens(network string, port uint16) Ready {
	return func(string) bool {
		for _, file := range []string{network, network + "6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err == nil && hasLocalPort(string(b), port) {
				return true
			}
		}
		return false
	}
}

// hasLocalPort looks for the port in the second column of /proc/net/udp, "sl local_address …", where it stands in hexadecimal after the address.
func hasLocalPort(table string, port uint16) bool {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		_, hex, ok := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); ok && err == nil && uint16(n) == port {
			return true
		}
	}
	return false
}

// Start starts a program and returns when it is ready; at once when ready is nil. It is killed when the test ends, and what it printed
// is shown if the test has failed. A program that ends before it is ready fails the test.
func Start(t testing.TB, ready Ready, name string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.WaitDelay = time.Second // a child that it left behind may hold the pipe
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p.Pid = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Signal(unix.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", strings.Join(p.cmd.Args, " "), p.Output())
		}
	})
	if err := p.waitReady(ready); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func (p *Process) waitReady(ready Ready) error {
	if ready == nil {
		return nil
	}
	deadline := time.After(patience)
	for !ready(p.Output()) {
		select {
		case <-p.ended:
			if ready(p.Output()) {
				return nil
			}
			return fmt.Errorf("ended before it was ready: %v", p.err)
		case <-deadline:
			return fmt.Errorf("not ready after %v", patience)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// Output is what the program has printed so far, on both channels.
func (p *Process) Output() string { return p.output.String() }

// Signal sends a signal, or does nothing if the program has ended.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Wait returns how the program ended, as exec.Cmd.Wait does.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// A syncBuffer may be written and read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
