package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestProgram runs a program under skprobe: all that it and its children and
// threads do is seen, from the first system call on, and nothing of others.
func TestProgram(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	program := clitest.Link(t, "traffic")
	noise := testkernel.Start(t, nil, clitest.Link(t, "traffic"), slices.Repeat([]string{"send+127.0.0.1:9+99", "sleep+1ms"}, 20000)...)
	r := clitest.Do(t, "udp", "--send", "--format", "json", "--", program,
		"send+127.0.0.1:9+1", "thread+send+127.0.0.1:9+2", "child+send+127.0.0.1:9+3", "child+child+thread+send+[::1]:9+4",
		"thread+child+send+127.0.0.1:9+5", "send+127.0.0.1:9+6").OK()
	noise.Signal(unix.SIGKILL)
	var sizes []int
	pids := map[any]int{}
	for _, e := range r.Events() {
		size, _ := e["size"].(int)
		sizes = append(sizes, size)
		pids[e["pid"]]++
		if e["comm"] != "traffic" && e["comm"] != "exe" {
			t.Errorf("comm: %v", e)
		}
	}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{1, 2, 3, 4, 5, 6}) || len(pids) != 4 {
		t.Errorf("sizes %v of %d processes; want 1 to 6 of 4\n%s", sizes, len(pids), r.Stdout)
	}
	if !strings.Contains(r.Stderr, "6 events\n") {
		t.Errorf("summary: %q", r.Stderr)
	}
	nothingLeft(t)
}

// TestProgramStatus passes the program's exit status on.
func TestProgramStatus(t *testing.T) {
	needs(t)
	program := clitest.Link(t, "traffic")
	for step, status := range map[string]int{"exit+0": 0, "exit+3": 3, "exit+255": 255, "kill+9": 128 + 9, "kill+15": 128 + 15} {
		r := clitest.Do(t, "udp", "--", program, step)
		if r.Status != status {
			t.Errorf("%s: status %d, want %d; %s", step, r.Status, status, r.Stderr)
		}
	}
	// A file that can be executed and is no program.
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := clitest.Do(t, "udp", "--", script); r.Status != 126 || !strings.Contains(r.Stderr, "skprobe: "+script+": exec format error\n") {
		t.Errorf("a file that is no program: status %d, %q", r.Status, r.Stderr)
	}
	nothingLeft(t)
}

// TestProgramInput lets the program have skprobe's own input and output.
func TestProgramInput(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("cat"))
	cmd := clitest.Command("udp", "--format", "csv", "-o", filepath.Join(t.TempDir(), "events"), "--", "cat")
	cmd.Stdin = strings.NewReader("through the program\n")
	if r := clitest.DoCommand(t, cmd).OK(); r.Stdout != "through the program\n" {
		t.Errorf("stdout %q", r.Stdout)
	}
}

// TestProgramSignal ends skprobe while its program runs.
func TestProgramSignal(t *testing.T) {
	needs(t)
	program := clitest.Link(t, "traffic")
	for _, c := range []struct {
		signal syscall.Signal
		steps  []string
		status int
	}{
		{syscall.SIGINT, nil, 128 + 15}, // the program gets SIGTERM
		{syscall.SIGTERM, nil, 128 + 15},
		{syscall.SIGTERM, []string{"signals"}, 7},
	} {
		ready := filepath.Join(t.TempDir(), "ready")
		steps := append(c.steps, "send+127.0.0.1:9+5", "ready+"+ready, "sleep+60s")
		r := clitest.Begin(t, append([]string{"udp", "--send", "--format", "json", "--", program}, steps...)...)
		r.Until("the program runs", func() bool { _, err := os.Stat(ready); return err == nil })
		r.Signal(c.signal)
		res := r.Wait().Is(c.status)
		if n := len(res.Events()); n != 1 {
			t.Errorf("%v: %d events: %s", c.signal, n, res.Stdout)
		}
	}
	nothingLeft(t)
}

// TestSignals ends skprobe by signals.
func TestSignals(t *testing.T) {
	needs(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		r := clitest.Start(t, "udp", "--send", "--format", "json", "--lport", "0", "--where", "size == 77")
		if len(definitions(t)) == 0 {
			t.Error("no definitions while it runs")
		}
		if err := send("127.0.0.1:9", 77); err != nil {
			t.Fatal(err)
		}
		r.Signal(signal)
		res := r.Wait().OK()
		if !strings.HasSuffix(res.Stderr, "\n0 events\n") {
			t.Errorf("%v: no summary: %q", signal, res.Stderr)
		}
		nothingLeft(t)
	}
}

// TestReaderGone closes the pipe that skprobe writes to.
func TestReaderGone(t *testing.T) {
	needs(t)
	for _, events := range []bool{true, false} {
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := clitest.Command("udp", "--send", "--format", "json")
		cmd.Stdout = pw
		r := clitest.StartCommand(t, cmd)
		pw.Close()
		if events {
			if err := send("127.0.0.1:9", 1); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(pr).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		pr.Close()
		if events {
			for i := 0; !r.Ended() && i < 1000; i++ {
				if err := send("127.0.0.1:9", 1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
		res := r.Wait().OK() // ends by itself
		if strings.Contains(res.Stderr, "pipe") {
			t.Errorf("events %t: %q", events, res.Stderr)
		}
		nothingLeft(t)
	}
	if out, err := exec.Command("sh", "-c", `exec 3>&1; "$0" udp --send --format csv 2>&3 | head -1`, clitest.Link(t, "skprobe")).CombinedOutput(); err != nil || !strings.Contains(string(out), "time,event,cpu") {
		t.Errorf("| head -1: %v, %s", err, out)
	}
	nothingLeft(t)
}

// TestFullDisk writes to a device that takes nothing.
func TestFullDisk(t *testing.T) {
	needs(t)
	r := clitest.Start(t, "udp", "--send", "--format", "json", "-o", "/dev/full")
	for i := 0; !r.Ended() && i < 1000; i++ {
		if err := send("127.0.0.1:9", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if res := r.Wait().Is(1); !strings.Contains(res.Stderr, "no space left on device") {
		t.Errorf("stderr %q", res.Stderr)
	}
	nothingLeft(t)
}

// TestKilled kills skprobe; the next run, or cleanup, takes its probes away.
func TestKilled(t *testing.T) {
	needs(t)
	kill := func() {
		t.Helper()
		r := clitest.Start(t, "udp")
		r.Signal(unix.SIGKILL)
		r.Wait().Is(128 + 9)
		if len(definitions(t)) == 0 {
			t.Fatal("nothing was left: then there is nothing to test")
		}
	}
	kill()
	clitest.Do(t, "udp", "--duration", "1ns").OK()
	nothingLeft(t)

	kill()
	if r := clitest.Do(t, "cleanup").OK(); strings.Count(r.Stdout, "removed skprobe_") != 3 {
		t.Errorf("cleanup says %q", r.Stdout)
	}
	nothingLeft(t)
	if r := clitest.Do(t, "cleanup").OK(); r.Stdout != "nothing to remove\n" {
		t.Errorf("a second cleanup says %q", r.Stdout)
	}
}

// TestTwo runs two at the same time, beside another tool's probe.
func TestTwo(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	const other = "p:others_tools/udp udp_sendmsg"
	write := func(line string) error {
		f, err := os.OpenFile("/sys/kernel/tracing/kprobe_events", os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.WriteString(f, line+"\n")
		return err
	}
	if err := write(other); err != nil {
		t.Fatal(err)
	}
	defer func() {
		text, _ := os.ReadFile("/sys/kernel/tracing/kprobe_events")
		if !strings.Contains(string(text), "others_tools/udp") {
			t.Errorf("the other tool's probe is gone: %s", text)
		}
		if err := write("-:others_tools/udp"); err != nil {
			t.Error(err)
		}
	}()
	a := clitest.Start(t, "udp", "--send", "--format", "json")
	b := clitest.Start(t, "udp", "--send", "--format", "json")
	give := func(from, to int) {
		for size := from; size < to; size++ {
			if err := send("127.0.0.1:9", size); err != nil {
				t.Fatal(err)
			}
		}
	}
	give(0, 20)
	first := a.Stop().OK()
	clitest.Do(t, "cleanup").OK() // must not touch b's
	give(20, 40)
	second := b.Stop().OK()
	sizes := func(r *clitest.Result) (all []int) {
		for _, e := range r.Events() {
			all = append(all, e["size"].(int))
		}
		return all
	}
	for i, c := range []struct {
		got []int
		n   int
	}{{sizes(first), 20}, {sizes(second), 40}} {
		var want []int
		for n := range c.n {
			want = append(want, n)
		}
		if !slices.Equal(c.got, want) {
			t.Errorf("skprobe %d saw %v, want 0 to %d", i+1, c.got, c.n-1)
		}
	}
	nothingLeft(t)
}

// TestNoTracefs takes tracefs away in a mount namespace of skprobe's own.
func TestNoTracefs(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("unshare"), testkernel.Program("umount"))
	script := `for m in /sys/kernel/debug/tracing /sys/kernel/tracing /sys/kernel/debug; do umount "$m" 2>/dev/null; done
if grep -q tracefs /proc/self/mounts; then exit 99; fi
before=$(cat /proc/self/mounts)
"$0" udp --send --format json -- "$1" send+127.0.0.1:9+55 || exit $?
"$0" cleanup || exit $?
[ "$before" = "$(cat /proc/self/mounts)" ] || exit 98
`
	out, err := exec.Command("unshare", "--mount", "sh", "-c", script, clitest.Link(t, "skprobe"), clitest.Link(t, "traffic")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"size":55,`) {
		t.Errorf("%v: %s", err, out)
	}
	nothingLeft(t)
}

// TestNotRoot runs it as nobody.
func TestNotRoot(t *testing.T) {
	needs(t)
	for _, args := range [][]string{{"udp"}, {"probe", "udp_sendmsg len"}, {"cleanup"}, {"udp", "--", "true"}} {
		cmd := clitest.Command(args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		r := clitest.DoCommand(t, cmd)
		t.Logf("%q: %s", args, r.Stderr)
		if r.Status != 3 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, "root") || r.Stdout != "" {
			t.Errorf("%q: status %d, %q", args, r.Status, r.Stderr)
		}
	}
	// What needs no rights works.
	for _, args := range [][]string{{"version"}, {"list"}, {"vars", "udp_sendmsg"}, {"offsets", "udp"}} {
		cmd := clitest.Command(args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		clitest.DoCommand(t, cmd).OK()
	}
}

// TestStrict loses events for want of room.
func TestStrict(t *testing.T) {
	needs(t)
	flood := func(strict ...string) *clitest.Result {
		out := filepath.Join(t.TempDir(), "events")
		// Stacks make records large, and the reader is stopped while they come.
		r := clitest.Start(t, append([]string{"udp", "--send", "--format", "json", "--buffer", "4", "--stack", "-o", out}, strict...)...)
		r.Signal(unix.SIGSTOP)
		for range 500 {
			if err := send("127.0.0.1:9", 1); err != nil {
				t.Fatal(err)
			}
		}
		r.Signal(unix.SIGCONT)
		return r.Stop()
	}
	r := flood("--strict").Is(4)
	if !strings.Contains(r.Stderr, "lost in the rings") || !strings.Contains(r.Stderr, "skprobe: events were lost\n") {
		t.Errorf("stderr %q", r.Stderr)
	}
	r = flood().OK()
	var shown, lost int
	for line := range strings.Lines(r.Stderr) {
		if n, _ := fmt.Sscanf(line, "%d events, %d lost in the rings", &shown, &lost); n == 2 {
			break
		}
	}
	// In a tracing instance, names and ends of threads share the rings: one that
	// is lost is counted too.
	names := 0
	if os.Getenv("SKPROBE_BACKEND") == "tracefs" {
		names = 20
	}
	if n := shown + lost; n < 500 || n > 500+names || lost == 0 {
		t.Errorf("%d shown and %d lost of 500: %q", shown, lost, r.Stderr)
	}
	if r := clitest.Do(t, "udp", "--strict", "--duration", "10ms").OK(); !strings.HasSuffix(r.Stderr, "0 events\n") {
		t.Errorf("nothing lost: %q", r.Stderr)
	}
	nothingLeft(t)
}
