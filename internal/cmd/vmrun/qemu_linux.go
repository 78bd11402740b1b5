package main

import (
	"archive/tar"
	"bytes"
	"context"
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
	"syscall"
	"time"
)

// A guest is one boot, seen from the host.
type guest struct {
	machine *machine
	kernel  *kernel
	job     *job
	dir     string // private, for the files behind the serial lines
	initrd  string
	options *options
}

// Run boots the guest, copies what its programs print to standard output while they print it, and returns the status to exit with.
func (g *guest) Run(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.timeout, fmt.Errorf("the guest was killed after %v (-timeout)", g.options.timeout))
	defer cancel()

	// Lines end in files, not in pipes: QEMU drops what a pipe does not take at once.
	stop, copied := make(chan struct{}), make(chan error, 1)
	go func() { copied <- follow(os.Stdout, g.file("output"), stop) }()
	vmErr := g.boot(ctx)
	close(stop)
	if err := <-copied; err != nil {
		return statusOwnFailure, err
	}

	reports, err := g.reports()
	if vmErr != nil {
		err = vmErr
	}
	code := g.summary(reports)
	if err != nil {
		g.printConsole()
		return statusOwnFailure, err
	}
	return code, g.receiveFiles()
}

func (g *guest) file(name string) string { return filepath.Join(g.dir, name) }

// boot runs QEMU until the guest has ended or ctx is done.
func (g *guest) boot(ctx context.Context) error {
	o := g.options
	args := append([]string{"-accel", "tcg", "-smp", strconv.Itoa(o.smp), "-m", o.memory,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", g.kernel.Image, "-initrd", g.initrd}, g.machine.args...)
	cmdline := "console=" + g.machine.console + " panic=-1 quiet"
	if o.icount {
		args = append(args, "-icount", "shift=0,sleep=off")
		cmdline += " nokaslr norandmaps"
	}
	args = append(args, "-append", strings.TrimSpace(cmdline+" "+o.cmdline))
	args = append(args, g.machine.serial([4]string{g.file("console"), g.file("output"), g.file("status"), g.file("files")})...)

	// The parent-death signal belongs to the thread that starts the process, so stay on it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, g.machine.qemu, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: run scripts/setup", err)
	case err != nil:
		return fmt.Errorf("%s: %w: %s", g.machine.qemu, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// reports reads what the guest's init said; an error when it did not get to the end.
func (g *guest) reports() ([]report, error) {
	b, err := os.ReadFile(g.file("status"))
	if err != nil {
		return nil, err
	}
	var reports []report
	for line := range bytes.Lines(b) {
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			return reports, fmt.Errorf("the guest died while it wrote its status (%q)", line)
		}
		if r.Error != "" {
			return reports, fmt.Errorf("guest: %s", r.Error)
		}
		if r.Done {
			return reports, nil
		}
		reports = append(reports, r)
	}
	return reports, errors.New("the guest ended without a status: did its kernel panic?")
}

// summary prints a line for each test that the guest did not come to the end of, and returns the exit status of the job:
// a program's own; for tests 0 when all passed.
func (g *guest) summary(reports []report) int {
	if g.job.Runs[0].Name == "" {
		if len(reports) == 0 {
			return statusOwnFailure
		}
		return reports[0].Code
	}
	code := 0
	for _, r := range reports {
		if r.Code != 0 {
			code = 1
		}
	}
	for _, r := range g.job.Runs[len(reports):] {
		fmt.Printf("FAIL\t%s\t[the guest ended before it]\n", r.Name)
		code = 1
	}
	return code
}

// consoleTail is how many lines of the console help; an oops has about fifty.
const consoleTail = 100

// printConsole shows the end of what the kernel said.
func (g *guest) printConsole() {
	b, err := os.ReadFile(g.file("console"))
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(b), "\r", "")), "\n")
	if n := len(lines) - consoleTail; n > 0 {
		fmt.Fprintf(os.Stderr, "--- console of %s, %d lines before these\n", g.kernel.Release, n)
		lines = lines[n:]
	} else {
		fmt.Fprintf(os.Stderr, "--- console of %s\n", g.kernel.Release)
	}
	fmt.Fprintf(os.Stderr, "%s\n---\n", strings.Join(lines, "\n"))
}

// receiveFiles unpacks what -out asked for.
func (g *guest) receiveFiles() error {
	if len(g.options.out) == 0 {
		return nil
	}
	f, err := os.Open(g.file("files"))
	if err != nil {
		return err
	}
	defer f.Close()
	host := map[string]string{}
	for _, p := range g.options.out {
		host[p.from] = p.to
	}
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("-out: %w", err)
		}
		if err := receiveFile(host[h.Name], t); err != nil {
			return fmt.Errorf("-out %s: %w", h.Name, err)
		}
		delete(host, h.Name)
	}
	for name := range host {
		return fmt.Errorf("-out %s: the guest has no such file", name)
	}
	return nil
}

func receiveFile(host string, r io.Reader) error {
	f, err := os.Create(host)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// follow copies a growing file, which another process makes, until stop is closed and its end is reached.
func follow(w io.Writer, name string, stop <-chan struct{}) error {
	var f *os.File
	for last := false; ; {
		if f == nil {
			var err error
			if f, err = os.Open(name); err == nil {
				defer f.Close()
			}
		}
		if f != nil {
			if _, err := io.Copy(w, f); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		select {
		case <-stop:
			last = true
		case <-time.After(20 * time.Millisecond):
		}
	}
}
