package cli_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestProbeCurrent follows the current task, on all CPUs: its numbers, name and
// parent are those that the event itself and /proc have.
func TestProbeCurrent(t *testing.T) {
	needs(t)
	if testkernel.Symbol("runqueues")() != nil && testkernel.Since("7.3")() != nil {
		// A kernel without CONFIG_KALLSYMS_ALL, such as Debian's for arm64 in clouds.
		probeBad(3, "udp_sendmsg id=$current->pid", "does not tell where its variables are").run(t)
		return
	}
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{"perf", "tracefs"} {
		r := clitest.Start(t, "probe", "--backend", backend, "--format", "json",
			map[string]string{"amd64": "__x64_sys_getppid", "arm64": "__arm64_sys_getppid"}[runtime.GOARCH]+" task=$current id=$current->pid group=$current->tgid name=$current->comm parent=$current->real_parent->tgid caller=$caller",
			"--pid", fmt.Sprint(os.Getpid()))
		const each = 5
		onThread(t, func() {
			for cpu := range 2 {
				var one unix.CPUSet
				one.Set(cpu)
				if err := unix.SchedSetaffinity(0, &one); err != nil {
					t.Error(err)
				}
				for range each {
					unix.Getppid()
				}
			}
		})
		cpus := map[any]int{}
		for _, e := range r.Stop().OK().Events() {
			cpus[e["cpu"]]++
			if e["id"] != e["tid"] || e["group"] != os.Getpid() || e["name"] != strings.TrimSpace(string(name)) || e["parent"] != os.Getppid() {
				t.Errorf("%v", e)
			}
			if s, _ := e["task"].(string); !strings.HasPrefix(s, "0xff") {
				t.Errorf("task: %v", e)
			}
			if s, _ := e["caller"].(string); !strings.Contains(s, "+0x") {
				t.Errorf("caller: %v", e)
			}
		}
		if cpus[0] < each || cpus[1] < each {
			t.Errorf("%s: %v, want %d on each CPU", backend, cpus, each)
		}
		nothingLeft(t)
	}
}

// onThread runs f on a thread of its own, which ends with it.
func onThread(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked
		f()
		done <- true
	}()
	<-done
}

// TestProbeElapsed measures the time between entry and return.
func TestProbeElapsed(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Symbol("do_nanosleep"))
	r := clitest.Start(t, "probe", "--format", "json", "do_nanosleep%return $elapsed ret=$retval", "hrtimer_nanosleep%return took=$elapsed:uint", "--where", "elapsed > 1000 || took > 1000", "--pid", fmt.Sprint(os.Getpid()))
	onThread(t, func() {
		testkernel.Uninterrupted(t, func() {
			for _, ms := range []int{20, 50} {
				unix.Nanosleep(&unix.Timespec{Nsec: int64(ms) * 1e6}, nil)
			}
		})
	})
	seen := 0
	for _, e := range r.Stop().OK().Events() {
		for _, name := range []string{"elapsed", "took"} {
			if n, ok := e[name].(int); ok && n >= 20e6 && n < int(30*time.Second) {
				seen++
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d sleeps, want 4", seen)
	}
	probeBad(2, "udp_sendmsg $elapsed", "write FUNCTION%return").run(t)
	probeBad(2, "udp_sendmsg%return $elapsed:mac", "number of nanoseconds").run(t)
}

// TestProbeBytes shows memory as numbers, in hex and as text.
func TestProbeBytes(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	r := clitest.Start(t, "probe", "--format", "json", "udp_sendmsg head=msg->msg_name:bytes[4] words=msg->msg_name:hex[1] name=sk->__sk_common.skc_prot->name:text "+
		"hash=sk->__sk_common.skc_u16hashes fl=(enum sock_flags)sk->__sk_common.skc_flags:bits", "--pid", fmt.Sprint(os.Getpid()))
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 0x1234}); err != nil {
		t.Fatal(err)
	}
	events := mine(r.Stop().OK(), "udp_sendmsg")
	if len(events) != 1 {
		t.Fatalf("%v", events)
	}
	e := events[0]
	if name, _ := e["name"].(string); !strings.HasPrefix(name, `UDP\x00`) || e["head"] != "02001234" {
		t.Errorf("%v", e)
	}
	if hash, _ := e["hash"].(string); strings.Count(hash, ",") != 1 {
		t.Errorf("%v", e)
	}
	if fl, _ := e["fl"].(string); !strings.Contains(fl, "SOCK_RCVTSTAMP") {
		t.Errorf("%v", e)
	}
}
