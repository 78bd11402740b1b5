package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// refusals are the ways in which a kernel refuses perf_event_open. The test binary started under such a name takes it upon itself, and
// becomes skprobe.
var refusals = map[string]func() error{"without-perf": forbidPerf, "without-rights": dropRights,
	"in-container": contain, "in-container-without-rights": containWithoutRights, "in-container-with-tracefs": containWithTracefs}

func init() {
	if refuse := refusals[os.Args[0]]; refuse != nil {
		runtime.LockOSThread() // what is taken on here, the program after execve has
		err := refuse()
		if err == nil {
			err = syscall.Exec("/proc/self/exe", append([]string{"skprobe"}, os.Args[1:]...), os.Environ())
		}
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		os.Exit(100)
	}
}

// forbidPerf installs a seccomp filter as container runtimes have it: perf_event_open and bpf give EPERM.
func forbidPerf() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PERF_EVENT_OPEN, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// dropRights gives up the capabilities for perf: root in many a container, who may read tracefs all the same.
func dropRights() error {
	for _, c := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_PERFMON} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL { // CAP_PERFMON is of 5.8
			return err
		}
	}
	return nil
}

// asRefused is skprobe where perf is refused, with the backend chosen by the arguments only.
func asRefused(how string, args ...string) *exec.Cmd {
	cmd := clitest.Command(args...)
	cmd.Args[0] = how
	cmd.Env = os.Environ()
	for i, e := range cmd.Env {
		if strings.HasPrefix(e, "SKPROBE_BACKEND=") {
			cmd.Env[i] = "SKPROBE_BACKEND="
		}
	}
	return cmd
}

// Where perf is refused, skprobe says so in one line and reads through tracefs; with --backend perf it gives up and says why.
func TestPerfRefused(t *testing.T) {
	needs(t)
	for how, why := range map[string]string{"without-perf": "seccomp", "without-rights": "CAP_"} {
		t.Run(how, func(t *testing.T) {
			testkernel.NetNS(t)
			r := clitest.StartCommand(t, asRefused(how, "udp", "--send", "--format", "json", "--where", "rport == 9"))
			if err := send("127.0.0.1:9", 20); err != nil {
				t.Fatal(err)
			}
			if err := send("127.0.0.1:10", 20); err != nil {
				t.Fatal(err)
			}
			result := r.Stop().OK()
			events := result.Events()
			if len(events) != 1 || events[0]["size"] != 20 || events[0]["pid"] != os.Getpid() {
				t.Errorf("events: %v", events)
			}
			warnings := 0
			for line := range strings.Lines(result.Stderr) {
				if strings.Contains(line, "warning") {
					warnings++
					if !strings.Contains(line, "through tracefs instead of perf") || !strings.Contains(line, why) {
						t.Errorf("warning %q", line)
					}
				}
			}
			if warnings != 1 {
				t.Errorf("%d warnings in %s", warnings, result.Stderr)
			}
			result = clitest.DoCommand(t, asRefused(how, "udp", "--backend", "perf")).Is(3)
			if !strings.Contains(result.Stderr, why) {
				t.Errorf("--backend perf: %s", result.Stderr)
			}
			result = clitest.DoCommand(t, asRefused(how, "udp", "--cgroup", "/sys/fs/cgroup")).Is(3)
			if !strings.Contains(result.Stderr, "tracefs cannot limit records to a cgroup") {
				t.Errorf("--cgroup: %s", result.Stderr)
			}
			result = clitest.DoCommand(t, asRefused(how, "doctor")).OK()
			if !strings.Contains(result.Stdout, "read through tracefs") {
				t.Errorf("doctor: %s", result.Stdout)
			}
		})
	}
}

// A program is traced from its first instruction on through tracefs too, with its threads and children, and nothing else.
func TestTracefsProgram(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	program := clitest.Link(t, "traffic")
	result := clitest.Do(t, "udp", "--backend", "tracefs", "--send", "--format", "json", "--stack", "--",
		program, "send+127.0.0.1:9+1", "thread+send+127.0.0.1:9+2", "child+send+127.0.0.1:9+3", "exit+5").Is(5)
	var got []any
	pids := map[any]bool{}
	for _, e := range result.Events() {
		got = append(got, e["size"])
		pids[e["pid"]] = true
		comm := "traffic"
		if e["size"] == 3 {
			comm = "exe" // the child is started as /proc/self/exe
		}
		if e["comm"] != comm || e["stack"] == nil {
			t.Errorf("%v", e)
		}
	}
	if fmt.Sprint(got) != "[1 2 3]" || len(pids) != 2 {
		t.Errorf("sizes %v by %v", got, pids)
	}
}

// After SIGKILL the tracing instance stays, and goes with the next run.
func TestTracefsKilled(t *testing.T) {
	needs(t)
	r := clitest.Start(t, "udp", "--backend", "tracefs")
	r.Signal(syscall.SIGKILL)
	r.Wait()
	name := fmt.Sprintf("skprobe_%d_", r.Pid())
	if !instance(t, name) {
		t.Error("no instance of the killed skprobe: is this test still about something?")
	}
	result := clitest.Do(t, "cleanup").OK()
	if instance(t, name) || !strings.Contains(result.Stdout, "removed the tracing instance "+name) {
		t.Errorf("after cleanup: %s", result.Stdout)
	}
}

// instance tells whether there is an instance whose name begins so.
func instance(t *testing.T, prefix string) bool {
	t.Helper()
	entries, err := os.ReadDir("/sys/kernel/tracing/instances")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			return true
		}
	}
	return false
}
