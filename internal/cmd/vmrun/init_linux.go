package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guestMain is the guest's first process. It prepares the system, runs the job and ends the guest.
func guestMain() {
	if err := guestJob(); err != nil {
		fmt.Println("vmrun init:", err) // the console
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // QEMU's -no-reboot makes it an end
}

func guestJob() error {
	if err := mountAll(mounts); err != nil {
		return err
	}
	c, err := openChannel()
	if err != nil {
		return err
	}
	status := json.NewEncoder(c.writer(streamStatus))
	last := report{Done: true}
	if err := runAll(c, status); err != nil {
		last = report{Error: err.Error()}
	}
	return errors.Join(status.Encode(last), c.close())
}

func runAll(c *channel, status *json.Encoder) error {
	b, err := os.ReadFile("/" + jobFile)
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if err := prepare(&j); err != nil {
		return err
	}
	output := c.writer(streamOutput)
	for i, r := range j.Runs {
		start := time.Now()
		code, err := withAgain(r, j.Again, output, func(r run, w io.Writer) (int, error) {
			return runProgram(r, slices.Concat(r.Env, j.Env), w) // the first of a name counts
		})
		if err != nil {
			return err
		}
		if r.Name != "" {
			printResult(output, r.Name, code, time.Since(start))
		}
		if err := status.Encode(report{Run: i, Code: code}); err != nil {
			return err
		}
	}
	return sendFiles(&j, c.writer(streamFiles))
}

// printResult prints the line that go test prints after a package.
func printResult(w io.Writer, name string, code int, d time.Duration) {
	switch {
	case code == 0:
		fmt.Fprintf(w, "ok  \t%s\t%.3fs\n", name, d.Seconds())
	case code > 128:
		fmt.Fprintf(w, "signal: %v\nFAIL\t%s\t%.3fs\n", unix.Signal(code-128), name, d.Seconds())
	default:
		fmt.Fprintf(w, "exit status %d\nFAIL\t%s\t%.3fs\n", code, name, d.Seconds())
	}
}

type mount struct{ source, target, fstype string }

// mounts are the file systems of every guest. Nothing is mounted over /tmp, which may hold the folder that a test runs in.
var mounts = []mount{
	{"devtmpfs", "/dev", "devtmpfs"},
	{"proc", "/proc", "proc"},
	{"sysfs", "/sys", "sysfs"},
	{"securityfs", "/sys/kernel/security", "securityfs"},
	{"devpts", "/dev/pts", "devpts"},
	{"tmpfs", "/dev/shm", "tmpfs"},
	{"tmpfs", "/run", "tmpfs"},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2"},
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil && !errors.Is(err, unix.EPERM) {
			return err
		}
		if err := unix.Mount(m.source, m.target, m.fstype, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// prepare makes the system that programs expect to find.
func prepare(j *job) error {
	if j.Tracefs {
		if err := mountAll([]mount{{"tracefs", "/sys/kernel/tracing", "tracefs"}}); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, "/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := os.Chmod("/tmp", 0o1777); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("skprobe-vm")); err != nil {
		return err
	}
	for _, m := range j.Modules {
		if err := loadModule(m); err != nil {
			return fmt.Errorf("load %s: %w", m, err)
		}
	}
	return loopbackUp()
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE // Debian compresses modules from 6.12 on
	}
	err = unix.FinitModule(int(f.Fd()), "", flags)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// runProgram runs one program of the job to its end, and then ends all that it left running, so that the next starts clean.
func runProgram(r run, env []string, output io.Writer) (int, error) {
	for _, e := range env {
		if key, value, ok := strings.Cut(e, "="); ok {
			os.Setenv(key, value) // LookPath reads init's own PATH
		}
	}
	path := r.Path
	if path == "" {
		var err error
		if path, err = exec.LookPath(r.Argv[0]); err != nil {
			return 0, fmt.Errorf("neither this machine nor the guest has the program: %w", err)
		}
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return 0, err
	}
	defer null.Close()
	// A pipe, because programs print differently to a terminal, which the port is.
	pr, pw, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(path, r.Argv, &syscall.ProcAttr{
		Dir: r.Dir, Env: env, Files: []uintptr{null.Fd(), pw.Fd(), pw.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	pw.Close()
	if err != nil {
		pr.Close()
		return 0, fmt.Errorf("start %s in %s: %w", path, r.Dir, err)
	}
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(output, pr)
		pr.Close() // after an error nobody reads any more, and the program must not wait for that
		copied <- err
	}()
	code, err := reapUntil(pid)
	if err != nil {
		return 0, err
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return 0, err
	}
	if _, err := reapUntil(-1); err != nil {
		return 0, err
	}
	return code, <-copied
}

// reapUntil waits for the end of pid, and of all orphans that end meanwhile; for pid -1 until there is no process left.
func reapUntil(pid int) (code int, err error) {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD) && pid == -1:
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		case got == pid && ws.Exited():
			return ws.ExitStatus(), nil
		}
	}
}

// sendFiles sends what the host wants back. A file that is not there is left out: the host says so.
func sendFiles(j *job, w io.Writer) error {
	t := tar.NewWriter(w)
	for _, name := range j.Out {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o644}); err != nil {
			return err
		}
		if _, err := t.Write(b); err != nil {
			return err
		}
	}
	return t.Close()
}

// openChannel finds the memory that is shared with the host: an ivshmem device (docs/specs/ivshmem-spec in QEMU's source), or where there
// is none the serial line.
func openChannel() (*channel, error) {
	devices, err := filepath.Glob("/sys/bus/pci/devices/*")
	if err != nil {
		return nil, err
	}
	for _, dev := range devices {
		if readString(dev+"/vendor") != "0x1af4" || readString(dev+"/device") != "0x1110" {
			continue
		}
		if err := os.WriteFile(dev+"/enable", []byte("1"), 0); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(dev+"/resource2_wc", os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		mem, err := unix.Mmap(int(f.Fd()), 0, channelSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map the memory shared with the host (a kernel that is locked down refuses it: -channel serial): %w", err)
		}
		return memoryChannel(mem), nil
	}
	return openLine()
}

// openLine opens the serial line after the console's, as one that changes no byte.
func openLine() (*channel, error) {
	f, err := os.OpenFile("/dev/ttyS1", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("neither memory shared with the host nor a serial line: %w", err)
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Oflag &^= unix.OPOST
	t.Cflag = t.Cflag&^unix.CBAUD | unix.B115200
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
		return nil, err
	}
	c := lineChannel(f)
	c.end = func() error { return unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1) } // wait until all is sent
	return c, nil
}

func readString(name string) string {
	b, _ := os.ReadFile(name) // an empty string is no device's number
	return strings.TrimSpace(string(b))
}
