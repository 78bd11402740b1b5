package cli_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// needsUser is what probes of programs need: they work on a kernel without
// kprobes too.
func needsUser(t testing.TB) {
	t.Helper()
	testkernel.Needs(t, testkernel.Root, testkernel.Uprobes, testkernel.BTF)
}

// goSend is a function of this test binary.
const goSend = "github.com/skprobe/skprobe/internal/cli_test.send"

// TestProbeGo probes a function of a Go program, whose parameters are in
// registers of its own: a string is two words.
func TestProbeGo(t *testing.T) {
	needsUser(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := clitest.Link(t, "traffic")
	r := clitest.Do(t, "probe", "--format", "json", "u:"+self+":"+goSend+" to=$arg1:text[11] len=$arg2 size=$arg3", "--", program, "send+127.0.0.1:9+20", "send+127.0.0.1:9+21")
	// A Go function whose stack has to grow begins again.
	events := slices.CompactFunc(r.OK().Events(), func(a, b clitest.Event) bool { return a["size"] == b["size"] })
	if len(events) != 2 {
		t.Fatalf("%v", events)
	}
	for i, e := range events {
		if e["to"] != "127.0.0.1:9" && e["to"] != "127.0.0.1:9+" || e["len"] != len("127.0.0.1:9") || e["size"] != 20+i || e["comm"] != "traffic" {
			t.Errorf("%v", e)
		}
	}
	badCase{[]string{"probe", "u:" + self + ":" + goSend + "%return", "--duration", "1ns"}, 2, []string{"Go moves its stacks"}}.run(t)
}

// TestProbeLibrary probes a library: its parameters, text in the memory of the
// program, and its result.
func TestProbeLibrary(t *testing.T) {
	needsUser(t)
	testkernel.Needs(t, testkernel.Program("getent"))
	r := clitest.Do(t, "probe", "--format", "json", "u:libc.so.6:getaddrinfo name=$arg1:string service=$arg2:string",
		"u:libc.so.6:getaddrinfo%return name=$arg1:string ret=(int)$retval", "u:libc.so.6:set*ent", "--", "getent", "ahosts", "no.such.name.test")
	count := map[any]int{}
	for _, e := range r.Events() {
		count[e["event"]]++
		switch {
		case e["event"] == "u:libc.so.6:getaddrinfo%return" && e["ret"].(int) >= 0, strings.Contains(e["event"].(string), "getaddrinfo") && e["name"] != "no.such.name.test":
			t.Errorf("%v", e)
		case e["service"] != nil:
			t.Errorf("service is NULL: %v", e)
		}
	}
	if count["u:libc.so.6:getaddrinfo"] == 0 || count["u:libc.so.6:getaddrinfo"] != count["u:libc.so.6:getaddrinfo%return"] {
		t.Errorf("%v, %s", count, r.Stderr)
	}
	if probed, matched, _ := summary(t, r.Stderr, "u:libc.so.6:set*ent"); probed < 5 || probed > matched {
		t.Errorf("%s", r.Stderr)
	}
}

// TestProbeUserPaths finds files by names that the kernel does not take, and by
// the root of the process to which the run is limited.
func TestProbeUserPaths(t *testing.T) {
	needsUser(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a folder: with #signs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "traffic")
	copyFile(t, self, program)
	r := clitest.Do(t, "probe", "--format", "json", `u:"`+program+`":`+goSend+" size=$arg3", "--", program, "send+127.0.0.1:9+77")
	if events := r.OK().Events(); len(events) != 1 || events[0]["size"] != 77 {
		t.Errorf("%v", events)
	}

	if !isStatic(t, self) {
		return // it could not run where there is nothing else
	}
	// A process with another root sees the same file elsewhere.
	root := t.TempDir()
	copyFile(t, self, filepath.Join(root, "traffic"))
	ready, begin := filepath.Join(root, "ready"), filepath.Join(root, "begin")
	cmd := exec.Command("/traffic", "ready+/ready", "await+/begin", "send+127.0.0.1:9+99")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	run := clitest.Start(t, "probe", "--format", "json", "u:/traffic:"+goSend+" size=$arg3", "--pid", fmt.Sprint(cmd.Process.Pid), "--count", "1")
	if err := os.WriteFile(begin, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if events := run.Wait().OK().Events(); len(events) != 1 || events[0]["size"] != 99 {
		t.Errorf("%v", events)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// isStatic tells whether a program needs no libraries.
func isStatic(t *testing.T, file string) bool {
	t.Helper()
	e, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return !slices.ContainsFunc(e.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

func TestBadUser(t *testing.T) {
	needsUser(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []badCase{
		probeBad(2, "u:/bin/sh", "u:FILE:FUNCTION"),
		probeBad(1, "u:/no/such/file:f", "no such file"),
		probeBad(2, "u:nosuchlibrary:f", "no program or library nosuchlibrary"),
		probeBad(2, "u:"+text+":f", "no ELF file"),
		probeBad(2, "u:/tmp:f", "no ELF file"),
		probeBad(3, "u:"+self+":"+goSend+"e", "no function", "did you mean "+goSend),
		probeBad(3, "u:"+self+":zzz*", "no functions match"),
		probeBad(3, "u:"+self+":0x10", "no code is at 0x10"),
		probeBad(2, "u:"+self+":"+goSend+" to", "write $arg1"),
		probeBad(2, "u:"+self+":"+goSend+" $arg17", "in registers"),
		probeBad(2, "u:"+self+":"+goSend+" @jiffies", "global variables of a program"),
	} {
		c.run(t)
	}
}
