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
	dir     string // private, for the initramfs, the channel and the console
	options *options

	reports []report
	files   bytes.Buffer // a tar archive
}

// Run boots the guest, copies what its programs print to standard output while they print it, and returns the status to exit with.
func (g *guest) Run(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.timeout, fmt.Errorf("the guest was killed after %v (-timeout)", g.options.timeout))
	defer cancel()

	shared, err := os.Create(g.file("channel"))
	if err != nil {
		return statusOwnFailure, err
	}
	defer shared.Close()
	reader := &channelReader{file: shared}
	if g.options.channel == "serial" {
		reader.size = func() (int64, error) {
			fi, err := shared.Stat()
			if err != nil {
				return 0, err
			}
			return fi.Size(), nil
		}
	} else if err := shared.Truncate(channelSize); err != nil { // sparse: only what is written takes room
		return statusOwnFailure, err
	}
	ended, listened := make(chan struct{}), make(chan error, 1)
	go func() { listened <- g.listen(reader, ended) }()
	err = g.boot(ctx)
	close(ended)
	if listenErr := <-listened; err == nil {
		err = listenErr
	}
	if err == nil {
		err = g.outcome()
	}
	code := g.summary()
	if err != nil {
		g.printConsole()
		return statusOwnFailure, err
	}
	if err := g.receiveFiles(); err != nil {
		return statusOwnFailure, err
	}
	return code, nil
}

// listen takes what the guest says until it has ended.
func (g *guest) listen(r *channelReader, ended <-chan struct{}) error {
	for last := false; ; {
		if err := r.Next(g.take); err != nil {
			return err
		}
		if last {
			return nil
		}
		select {
		case <-ended:
			last = true
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (g *guest) take(s stream, p []byte) error {
	switch s {
	case streamOutput:
		_, err := os.Stdout.Write(p)
		return err
	case streamFiles:
		_, err := g.files.Write(p)
		return err
	case streamStatus:
		var r report
		if err := json.Unmarshal(p, &r); err != nil {
			return fmt.Errorf("the guest's status: %w", err)
		}
		g.reports = append(g.reports, r)
		return nil
	}
	return errChannelBroken
}

func (g *guest) file(name string) string { return filepath.Join(g.dir, name) }

// boot runs QEMU until the guest has ended or ctx is done.
func (g *guest) boot(ctx context.Context) error {
	o := g.options
	accel := "tcg,thread=single"
	if o.mttcg {
		accel = "tcg,thread=multi"
	}
	args := append([]string{"-accel", accel, "-smp", strconv.Itoa(o.smp), "-m", o.memory,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", g.kernel.Image, "-initrd", g.file("initrd"),
		"-serial", "file:" + g.file("console")}, g.machine.args...)
	if o.channel == "serial" {
		args = append(args, "-serial", "file:"+g.file("channel"))
	} else {
		args = append(args, "-object", "memory-backend-file,id=channel,share=on,mem-path="+g.file("channel")+",size="+strconv.Itoa(channelSize),
			"-device", "ivshmem-plain,memdev=channel")
	}
	cmdline := "console=" + g.machine.console + " panic=-1 quiet"
	cpu := g.machine.cpu
	if o.icount {
		cpu += g.machine.plain
		args = append(args, "-icount", "shift=0,sleep=off")
		cmdline += " nokaslr norandmaps"
	}
	args = append(args, "-cpu", cpu, "-append", strings.Join(strings.Fields(cmdline+" "+g.machine.cmdline+" "+o.cmdline), " "))

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
		return fmt.Errorf("%w: install the package %s", err, g.machine.pkg)
	case err != nil:
		return fmt.Errorf("%s: %w: %s", g.machine.qemu, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// outcome is nil when the guest's init came to its end.
func (g *guest) outcome() error {
	for _, r := range g.reports {
		switch {
		case r.Error != "":
			return fmt.Errorf("guest: %s", r.Error)
		case r.Done:
			return nil
		}
	}
	return errors.New("the guest ended without a status: did its kernel panic?")
}

// summary prints a line for each test that the guest did not come to the end of, and returns the exit status of the job:
// a program's own; for tests 0 when all passed.
func (g *guest) summary() int {
	code, ended := 0, 0
	for _, r := range g.reports {
		if !r.Done && r.Error == "" {
			ended++
			code = max(code, r.Code)
		}
	}
	if g.job.Runs[0].Name == "" {
		return code
	}
	for _, r := range g.job.Runs[ended:] {
		fmt.Printf("FAIL\t%s\t[the guest ended before it]\n", r.Name)
	}
	return min(code, 1)
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
	host := map[string]string{}
	for _, p := range g.options.out {
		host[p.from] = p.to
	}
	for t := tar.NewReader(&g.files); ; {
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
