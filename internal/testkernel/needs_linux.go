package testkernel

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Requirement returns nil when this machine has something, and otherwise what is missing.
type Requirement func() error

// An excuse is an unmet requirement that is a reason to skip in the VM too: nothing there could have met it.
type excuse struct{ error }

// Needs ends the test unless every requirement is met, naming all that are not in one line. The test is skipped, but in the VM it fails,
// except where nothing could have met the requirement (see Since).
func Needs(t testing.TB, requirements ...Requirement) {
	t.Helper()
	skip, msg := verdict(InVM(), requirements)
	switch {
	case msg == "":
	case skip:
		t.Skip(msg)
	default:
		t.Fatal(msg)
	}
}

// Outside skips, in the VM, a test that needs no kernel: its package has others that do.
func Outside(t testing.TB) {
	t.Helper()
	if InVM() {
		t.Skip("needs no kernel, so it does not run in the VM")
	}
}

// verdict is what to do about requirements: nothing when msg is empty.
func verdict(vm bool, requirements []Requirement) (skip bool, msg string) {
	var unmet []string
	excused := false
	for _, r := range requirements {
		if err := r(); err != nil {
			unmet = append(unmet, err.Error())
			excused = excused || errors.As(err, new(excuse))
		}
	}
	if len(unmet) == 0 {
		return false, ""
	}
	return !vm || excused, "needs: " + strings.Join(unmet, "; ")
}

// Root is the right to do anything: user 0 who has not lost the capabilities that matter here, as in a container.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("root")
	}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]); err != nil {
		return fmt.Errorf("root's capabilities (%w)", err)
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN // both are in the first word
	if caps[0].Effective&need != need {
		return errors.New("root's capabilities CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
	return nil
}

// tracingDir is where a test finds tracefs. Tests of other places mount it themselves.
const tracingDir = "/sys/kernel/tracing"

// Tracefs is a tracefs at /sys/kernel/tracing that this process may read.
func Tracefs() error {
	if _, err := os.ReadDir(filepath.Join(tracingDir, "events")); err != nil {
		return fmt.Errorf("tracefs (%w)", err)
	}
	return nil
}

// Kprobes are kprobe events that this process may define.
func Kprobes() error {
	f, err := os.OpenFile(filepath.Join(tracingDir, "kprobe_events"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("kprobe events (%w)", err)
	}
	return f.Close()
}

// Uprobes are probes of programs. They need no kprobes; whether the kernel has them is seen by its way to make them without tracefs
// (4.17), and skprobe mounts that where it is not.
func Uprobes() error {
	if _, err := os.Stat("/sys/bus/event_source/devices/uprobe"); err != nil {
		return fmt.Errorf("uprobe events (%w)", err)
	}
	return nil
}

// BTF is the kernel's own type information.
func BTF() error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return fmt.Errorf("BTF (%w)", err)
	}
	return nil
}

// Program is a program in PATH. Write its name as a literal: that is how it gets into the VM.
func Program(name string) Requirement {
	return func() error {
		_, err := exec.LookPath(name)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("program %s", name)
		if os.Getenv("SKPROBE_VM_PROGRAMS") == "none" { // a guest of another architecture, for which this machine has no programs
			return excuse{err}
		}
		return err
	}
}

// File is a file that the kernel may have or not.
func File(name string) Requirement {
	return func() error {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("the file %s", name)
		}
		return nil
	}
}

// Symbol is a function of the running kernel or of a loaded module.
func Symbol(name string) Requirement {
	return func() error {
		f, err := os.Open("/proc/kallsyms")
		if err != nil {
			return fmt.Errorf("kernel function %s (%w)", name, err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if w := strings.Fields(s.Text()); len(w) >= 3 && w[2] == name {
				return nil
			}
		}
		return fmt.Errorf("kernel function %s", name)
	}
}

// Module is a kernel module that is built in or loaded; modprobe is asked to load it if it is not. Write its name as a literal: that
// is how it gets into the VM.
func Module(name string) Requirement {
	return func() error {
		if _, err := os.Stat("/sys/module/" + name); err == nil {
			return nil
		}
		builtin, err := os.ReadFile(filepath.Join("/lib/modules", release(), "modules.builtin"))
		if err == nil && listsModule(string(builtin), name) {
			return nil
		}
		if exec.Command("modprobe", "-q", name).Run() == nil {
			return nil
		}
		return fmt.Errorf("kernel module %s", name)
	}
}

// listsModule looks for a module in a modules.builtin: lines such as kernel/net/sched/sch-fq.ko.
func listsModule(builtin, name string) bool {
	for line := range strings.Lines(builtin) {
		base := strings.TrimSuffix(filepath.Base(strings.TrimSpace(line)), ".ko")
		if strings.ReplaceAll(base, "-", "_") == name {
			return true
		}
	}
	return false
}

// Since is a kernel of this version ("6.9") or later. An older one is a skip everywhere: use it for what older kernels do not have.
func Since(version string) Requirement {
	return func() error {
		major, minor, err := parseVersion(version)
		if err != nil {
			return err
		}
		haveMajor, haveMinor, err := parseVersion(release())
		if err != nil {
			return err
		}
		if haveMajor > major || haveMajor == major && haveMinor >= minor {
			return nil
		}
		return excuse{fmt.Errorf("kernel %s or later, this is %s", version, release())}
	}
}

// Booted is a kernel that was started with these arguments ("lockdown=integrity"). Another one is a skip everywhere: scripts/boots starts one
// for each that a test names, so write it as a literal.
func Booted(arguments string) Requirement {
	return func() error {
		text, err := os.ReadFile("/proc/cmdline")
		if err != nil {
			return err
		}
		have := strings.Fields(string(text))
		for _, want := range strings.Fields(arguments) {
			if !slices.Contains(have, want) {
				return excuse{fmt.Errorf("a kernel that was booted with %s", arguments)}
			}
		}
		return nil
	}
}

// NoKprobes is a kernel that has no kprobe events, which one of the matrix cannot meet.
func NoKprobes() error {
	if Kprobes() == nil {
		return excuse{errors.New("a kernel without kprobe events")}
	}
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasSuffix(s.Text(), " register_kprobe") {
			return excuse{errors.New("a kernel without kprobes")}
		}
	}
	return nil
}

// parseVersion reads the first two numbers of a release such as 6.1.0-50-cloud-amd64.
func parseVersion(s string) (major, minor int, err error) {
	first, rest, _ := strings.Cut(s, ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("%q is no kernel version such as 6.9: %w", s, err)
	}
	return major, minor, nil
}

// release is what uname -r prints.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
