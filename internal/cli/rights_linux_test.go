package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// nobody is a user without rights.
const nobody = 65534

// as is skprobe as that user with some capabilities and no more, with the
// backend chosen by the arguments only.
func as(t testing.TB, uid uint32, caps []uintptr, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable() // the user may not follow /proc/self/exe
	if err != nil {
		t.Fatal(err)
	}
	cmd := clitest.Command(args...)
	cmd.Path = exe
	cmd.Env = append(os.Environ(), "SKPROBE_BACKEND=", "SKPROBE_LAYOUT=", "SKPROBE_CACHE=/nonexistent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, AmbientCaps: caps}
	return cmd
}

// sysctl sets a number of /proc/sys until the test ends.
func sysctl(t testing.TB, name string, n int) {
	t.Helper()
	file := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	before, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strconv.Itoa(n)), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(file, before, 0) })
}

// refusedIn fails the test unless the run was refused in one line that says all
// that.
func refusedIn(t testing.TB, r *clitest.Result, says ...string) {
	t.Helper()
	r.Is(3)
	if strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("%q: not one line:\n%s", r.Args, r.Stderr)
	}
	for _, s := range says {
		if !strings.Contains(r.Stderr, s) {
			t.Errorf("%q: does not say %q: %s", r.Args, s, r.Stderr)
		}
	}
}

// A doctorReport is what is looked at of doctor's JSON.
type doctorReport struct {
	Works, Verdict, Do, Backend, Layouts string
	Tools                                []struct{ Tool, Answer, Why string }
}

func report(t testing.TB, r *clitest.Result) (d doctorReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil {
		t.Fatalf("%q: %v in %s", r.Args, err, r.Stdout)
	}
	return d
}

// A user without rights gets one line that tells what to do, and what needs no
// rights.
func TestUnprivileged(t *testing.T) {
	needs(t)
	do := func(args ...string) *clitest.Result { return clitest.DoCommand(t, as(t, nobody, nil, args...)) }
	for _, args := range [][]string{{"udp"}, {"probe", "ip_rcv"}, {"udp", "--backend", "tracefs"}, {"udp", "--layout", "calibrate"}, {"calibrate"}, {"cleanup"}} {
		refusedIn(t, do(args...), "user 65534 has no right to tracefs", "run as root, or with CAP_DAC_OVERRIDE")
	}
	if d := report(t, do("doctor", "--format", "json").Is(3)); d.Works != "no" || !strings.Contains(d.Verdict, "no right to tracefs") || !strings.Contains(d.Do, "run as root") {
		t.Errorf("doctor: %+v", d)
	}
	for _, args := range [][]string{{"vars", "udp_sendmsg"}, {"list", "udp_sendmsg"}, {"version"}} {
		do(args...).OK()
	}
}

// These capabilities suffice for a user, and none of them can be left out for
// what it is for: CAP_DAC_OVERRIDE to define probes and to read through
// tracefs, CAP_PERFMON or CAP_SYS_ADMIN beside it to read through perf.
func TestCapabilities(t *testing.T) {
	needs(t)
	const override, perfmon, admin = unix.CAP_DAC_OVERRIDE, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN
	for _, c := range []struct {
		paranoid int
		caps     []uintptr
		backend  string // "" for a refusal
	}{
		{2, []uintptr{override}, "tracefs"},
		{2, []uintptr{override, perfmon}, "perf"},
		{2, []uintptr{override, admin}, "perf"},
		{3, []uintptr{override}, "tracefs"},
		{3, []uintptr{override, perfmon}, "tracefs"}, // Debian's kernels, as those of the matrix
		{3, []uintptr{override, admin}, "perf"},
		{2, []uintptr{perfmon}, ""},
		{2, []uintptr{admin, perfmon}, ""},
		{2, []uintptr{unix.CAP_DAC_READ_SEARCH, admin, perfmon}, ""},
	} {
		sysctl(t, "kernel.perf_event_paranoid", c.paranoid)
		if c.backend == "" {
			refusedIn(t, clitest.DoCommand(t, as(t, nobody, c.caps, "udp")), "CAP_DAC_OVERRIDE")
			continue
		}
		r := clitest.StartCommand(t, as(t, nobody, c.caps, "udp", "--send", "-v", "--format", "json", "--where", "rport == 9"))
		if err := send("127.0.0.1:9", 20); err != nil {
			t.Fatal(err)
		}
		result := r.Stop().OK()
		if events := result.Events(); len(events) != 1 || events[0]["size"] != 20 || events[0]["pid"] != os.Getpid() {
			t.Errorf("%d, capabilities %v: %v", c.paranoid, c.caps, events)
		}
		if !strings.Contains(result.Stderr, "\nreading through "+c.backend+"\n") {
			t.Errorf("%d, capabilities %v: not through %s: %s", c.paranoid, c.caps, c.backend, result.Stderr)
		}
		if c.backend == "tracefs" && !strings.Contains(result.Stderr, "kernel.perf_event_paranoid is "+strconv.Itoa(c.paranoid)) {
			t.Errorf("%d, capabilities %v: does not say why: %s", c.paranoid, c.caps, result.Stderr)
		}
		d := report(t, clitest.DoCommand(t, as(t, nobody, c.caps, "doctor", "--format", "json")).OK())
		if d.Works != "yes" || d.Backend != c.backend {
			t.Errorf("%d, capabilities %v: doctor: %+v", c.paranoid, c.caps, d)
		}
	}
	// To measure layouts needs a network namespace, and settings in it.
	clitest.DoCommand(t, as(t, nobody, []uintptr{override, admin, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}, "calibrate")).OK()
	refusedIn(t, clitest.DoCommand(t, as(t, nobody, []uintptr{override, perfmon}, "calibrate")), "a network namespace of its own", "CAP_SYS_ADMIN")
}

// Root reads through perf whatever the sysctl.
func TestParanoid(t *testing.T) {
	needs(t)
	for _, n := range []int{-1, 2, 3} {
		sysctl(t, "kernel.perf_event_paranoid", n)
		r := clitest.StartCommand(t, as(t, 0, nil, "udp", "--send", "-v", "--format", "json", "--where", "rport == 9"))
		if err := send("127.0.0.1:9", 20); err != nil {
			t.Fatal(err)
		}
		result := r.Stop().OK()
		if events := result.Events(); len(events) != 1 || !strings.Contains(result.Stderr, "\nreading through perf\n") || strings.Contains(result.Stderr, "warning") {
			t.Errorf("%d: %v\n%s", n, events, result.Stderr)
		}
	}
}

// Where addresses of the kernel are hidden, everything works but names in
// stacks, which are numbers then.
func TestKptrRestrict(t *testing.T) {
	needs(t)
	sysctl(t, "kernel.kptr_restrict", 2)
	r := clitest.Start(t, "udp", "--send", "--stack", "--format", "json", "--where", "rport == 9")
	if err := send("127.0.0.1:9", 20); err != nil {
		t.Fatal(err)
	}
	events := r.Stop().OK().Events()
	if len(events) != 1 || events[0]["size"] != 20 {
		t.Fatalf("%v", events)
	}
	stack, _ := events[0]["stack"].([]any)
	if len(stack) < 3 {
		t.Fatalf("stack %v", events[0]["stack"])
	}
	for _, frame := range stack {
		if s, ok := frame.(string); !ok || !strings.HasPrefix(s, "0xffff") {
			t.Errorf("stack %v", stack)
		}
	}
	clitest.Do(t, "calibrate").OK()
	if r := clitest.Do(t, "doctor").OK(); !strings.Contains(r.Stdout, "addresses are hidden, so stacks and pointers are shown as numbers") {
		t.Errorf("doctor:\n%s", r.Stdout)
	}
}

// A kernel without kprobes says so in one line, and which tools work.
func TestNoKprobes(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.NoKprobes)
	for _, args := range [][]string{{"udp"}, {"probe", "ip_rcv skb:packet"}, {"calibrate"}, {"udp", "--layout", "calibrate"}} {
		refusedIn(t, clitest.Do(t, args...), "no kprobe events", "CONFIG_KPROBE_EVENTS")
	}
	d := report(t, clitest.Do(t, "doctor", "--format", "json").OK())
	if d.Works != "partly" || !strings.Contains(d.Verdict, "tcpstates") || !strings.Contains(d.Verdict, "no kprobe_events") || d.Do == "" {
		t.Errorf("doctor: %+v", d)
	}
	for _, tool := range d.Tools {
		if tool.Tool == "tcpstates" && tool.Answer != "yes" || tool.Tool == "udp" && tool.Answer != "no" {
			t.Errorf("doctor: %+v", tool)
		}
	}
}
