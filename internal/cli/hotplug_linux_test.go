package cli_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// online is the file that turns the second CPU off and on.
const online = "/sys/devices/system/cpu/cpu1/online"

// turn turns the second CPU off or on.
func turn(t *testing.T, to string) {
	t.Helper()
	if err := os.WriteFile(online, []byte(to), 0); err != nil {
		t.Fatal(err)
	}
}

// A mover is a thread that sends from the CPU that it is told.
type mover struct {
	t    *testing.T
	jobs chan [2]int // CPU, size
	done chan error
}

func newMover(t *testing.T) *mover {
	m := &mover{t, make(chan [2]int), make(chan error)}
	go func() {
		runtime.LockOSThread() // and never unlocked
		for j := range m.jobs {
			var set unix.CPUSet
			set.Set(j[0])
			err := unix.SchedSetaffinity(0, &set)
			if err == nil {
				err = send("127.0.0.1:9", j[1])
			}
			m.done <- err
		}
	}()
	t.Cleanup(func() { close(m.jobs) })
	return m
}

func (m *mover) send(cpu, size int) {
	m.t.Helper()
	m.jobs <- [2]int{cpu, size}
	if err := <-m.done; err != nil {
		m.t.Fatal(err)
	}
}

// sizesOf are the sizes of all events, and of those on the second CPU.
func sizesOf(events []clitest.Event) (all, second []int) {
	for _, e := range events {
		size, _ := e["size"].(int)
		all = append(all, size)
		if e["cpu"] == 1 {
			second = append(second, size)
		}
	}
	return all, second
}

// A CPU goes, and comes back, while skprobe traces, or is away when it begins.
// What happens on it is shown whenever it is there, of one process and of all
// alike.
func TestHotplug(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.File(online))
	t.Cleanup(func() { turn(t, "1") })
	for _, more := range [][]string{nil, {"--pid", strconv.Itoa(os.Getpid())}} {
		for _, away := range []bool{false, true} {
			hotplug(t, away, append([]string{"udp", "--send", "--format", "json", "--where", "rport == 9"}, more...))
		}
	}
}

// hotplug has the second CPU turned on and off; away: it is off at first.
func hotplug(t *testing.T, away bool, args []string) {
	t.Helper()
	turn(t, map[bool]string{false: "1", true: "0"}[away])
	m := newMover(t)
	r := clitest.Start(t, args...)
	n := 0
	rounds := 3
	if slices.Contains(args, "--pid") {
		rounds = 2
	}
	for round := range rounds {
		if !away || round > 0 {
			turn(t, "1")
			n++
			// What is sent before skprobe knows of the CPU is missing, as it says at the end.
			r.Until("a datagram from the CPU that is back is shown", func() bool {
				m.send(1, n)
				return strings.Contains(r.Stdout(), fmt.Sprintf(`"size":%d,`, n))
			})
		}
		turn(t, "0")
		n++
		m.send(0, n)
	}
	turn(t, "1")
	result := r.Stop().OK()
	all, second := sizesOf(result.Events())
	all, second = slices.Compact(all), slices.Compact(second)
	var want []int
	for i := range n {
		want = append(want, i+1)
	}
	if !slices.Equal(all, want) {
		t.Errorf("%q, away at first: %t: %v, want %v; on the second CPU %v\n%s", args, away, all, want, second, result.Stderr)
	}
	if len(second) != n-rounds {
		t.Errorf("%q, away at first: %t: on the second CPU %v", args, away, second)
	}
	// Perf's rings of a process stay with it; those of tracefs are the CPU's.
	told := strings.Contains(result.Stderr, "CPU 1 was turned on while tracing")
	if want := os.Getenv("SKPROBE_BACKEND") != "tracefs" && (away || !slices.Contains(args, "--pid")); told != want {
		t.Errorf("%q, away at first: %t: %s", args, away, result.Stderr)
	}
}
