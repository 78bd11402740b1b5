package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// startArg makes this program start another one: it waits until the probes
// are armed and then becomes that program. It is the name (argv[0]) of the
// process between fork and exec.
const startArg = "skprobe-start"

// MaybeStart turns the process into the program to be traced, if that is what
// it was started for. main calls it first, on the main thread: execve from
// another one would end the thread that perf watches.
func MaybeStart() {
	if len(os.Args) < 3 || os.Args[0] != startArg {
		return
	}
	armed := os.NewFile(3, "armed")
	var b [1]byte
	if n, _ := armed.Read(b[:]); n != 1 {
		os.Exit(ExitFailed) // skprobe gave up
	}
	armed.Close()
	err := syscall.Exec(os.Args[1], os.Args[2:], os.Environ())
	fmt.Fprintf(os.Stderr, "skprobe: %s: %v\n", os.Args[1], err)
	os.Exit(statusOfExec(err))
}

// statusOfExec is what a shell has for a program that cannot be executed: 127
// where there is none, and otherwise 126.
func statusOfExec(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// A program is the process that is traced with "-- PROGRAM". A nil one stands
// for none.
type program struct {
	cmd   *exec.Cmd
	armed *os.File // a byte sent here lets it begin
	done  bool
}

// startProgram makes the process, which waits.
func startProgram(args []string) (*program, error) {
	if len(args) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return nil, &Error{Status: statusOfExec(err), Err: err}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{path}, args...)...)
	cmd.Args[0] = startArg
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	return &program{cmd: cmd, armed: w}, nil
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// release lets the program begin. When it ends, end is called; when ctx ends
// before, the program is told to end as well. The function returned waits for
// the program and gives its exit status.
func (p *program) release(ctx context.Context, end func()) (wait func() int) {
	if p == nil {
		return func() int { return ExitDone }
	}
	p.armed.Write([]byte{1})
	p.armed.Close()
	ended := make(chan struct{})
	go func() {
		p.cmd.Wait()
		close(ended)
		end()
	}()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-ended:
		default:
			// A terminal sends its SIGINT to the program too; a second
			// signal does no harm to one that ends by the first.
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
	})
	return func() int {
		<-ended
		stop()
		p.done = true
		status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	}
}

// kill ends a program that was not waited for.
func (p *program) kill() {
	if p == nil || p.done {
		return
	}
	p.armed.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// threadsOf lists the threads of processes. It looks again until no new ones
// appear, since what a thread makes before it is watched is not inherited.
func threadsOf(pids []int) ([]int, error) {
	var all []int
	for _, pid := range pids {
		for added := true; added; {
			added = false
			names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
			if err != nil || len(names) == 0 {
				return nil, &Error{Status: ExitFailed, Err: fmt.Errorf("there is no process %d", pid)}
			}
			for _, name := range names {
				tid, err := strconv.Atoi(filepath.Base(name))
				if err == nil && !slices.Contains(all, tid) {
					all, added = append(all, tid), true
				}
			}
		}
	}
	return all, nil
}
