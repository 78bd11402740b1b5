package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
)

// contain makes of this process, which was started in namespaces of its own,
// one in a container: its own /proc, /sys read-only and without tracefs, and no
// perf_event_open and bpf.
func contain() error { return containIn(false) }

// containWithTracefs leaves it a tracefs that is mounted read-only.
func containWithTracefs() error { return containIn(true) }

func containIn(withTracefs bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil && err != unix.EINVAL {
		return fmt.Errorf("private mounts: %w", err)
	}
	const tracing = "/sys/kernel/tracing"
	_ = unix.Unmount("/sys/kernel/debug/tracing", unix.MNT_DETACH)
	_ = unix.Unmount("/sys/kernel/debug", unix.MNT_DETACH)
	if withTracefs {
		if err := unix.Mount("", tracing, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("tracefs read-only: %w", err)
		}
	} else if err := unix.Unmount(tracing, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return fmt.Errorf("umount tracefs: %w", err)
	}
	if err := unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("/sys read-only: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	return forbidPerf()
}

// containWithoutRights is the container of one who may do less.
func containWithoutRights() error { return errors.Join(contain(), dropRights()) }

// contained is skprobe in a container.
func contained(how string, args ...string) *exec.Cmd {
	cmd := asRefused(how, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET}
	return cmd
}

// In a container with CAP_SYS_ADMIN skprobe finds its own way to tracefs, reads
// through that, and shows what happens outside, though not who does it.
func TestContainer(t *testing.T) {
	needs(t)
	for _, how := range []string{"in-container", "in-container-with-tracefs"} {
		t.Run(how, func(t *testing.T) {
			r := clitest.StartCommand(t, contained(how, "udp", "--send", "-v", "--format", "json", "--where", "rport == 9"))
			if err := send("127.0.0.1:9", 20); err != nil {
				t.Fatal(err)
			}
			result := r.Stop().OK()
			events := result.Events()
			if len(events) != 1 || events[0]["size"] != 20 || events[0]["raddr"] != "127.0.0.1" {
				t.Errorf("%v", events)
			} else if events[0]["pid"] != nil || events[0]["comm"] != nil {
				t.Errorf("who it was cannot be told: %v", events[0])
			}
			for _, says := range []string{"reading through tracefs instead of perf", "seccomp", "they are not shown"} {
				if !strings.Contains(result.Stderr, says) {
					t.Errorf("does not say %q: %s", says, result.Stderr)
				}
			}
			refusedIn(t, clitest.DoCommand(t, contained(how, "udp", "--backend", "perf")), "seccomp")
			refusedIn(t, clitest.DoCommand(t, contained(how, "udp", "--pid", "1")), "pid namespace")
			clitest.DoCommand(t, contained(how, "calibrate")).OK()
			if d := report(t, clitest.DoCommand(t, contained(how, "doctor", "--format", "json")).OK()); d.Works != "yes" || d.Backend != "tracefs" {
				t.Errorf("doctor: %+v", d)
			}
			nothingLeft(t)
		})
	}
	// Without, it says what would have to change.
	for _, args := range [][]string{{"udp"}, {"calibrate"}} {
		refusedIn(t, clitest.DoCommand(t, contained("in-container-without-rights", args...)), "tracefs is not mounted", "CAP_SYS_ADMIN", "docker run --privileged")
	}
	d := report(t, clitest.DoCommand(t, contained("in-container-without-rights", "doctor", "--format", "json")).Is(3))
	if d.Works != "no" || !strings.Contains(d.Do, "CAP_SYS_ADMIN") {
		t.Errorf("doctor: %+v", d)
	}
	if _, err := os.Stat("/sys/kernel/tracing/events"); err != nil {
		t.Errorf("the test's own tracefs: %v", err)
	}
}
