package testkernel

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Delivered waits until the packets that were sent so far over lo and veth have come to where they go, and what was sent because of them
// too. They wait in the backlog of a CPU, and who sent them may be back long before ksoftirqd has taken them from there. What waits
// elsewhere, in a qdisc or for a timer, is not waited for; nor is it where traffic does not end, for longer than some seconds.
func Delivered(t testing.TB) {
	t.Helper()
	const (
		atLeast, enough = 50, 5 * time.Second
		global          = 1 // MEMBARRIER_CMD_GLOBAL
	)
	begin := time.Now()
	for n, quiet, last := 0, 0, uint64(0); n < atLeast || time.Since(begin) < enough; n++ {
		text, err := os.ReadFile("/proc/net/softnet_stat")
		if err != nil {
			t.Fatal(err)
		}
		waiting, processed := softnet(string(text))
		if quiet++; waiting > 0 || processed != last {
			quiet = 0
		}
		// A packet is counted a moment after it was taken from the backlog: this takes two looks after the first.
		if last = processed; quiet == 2 {
			return
		}
		// It returns when all softirqs have that run now: they are as readers of RCU.
		if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// softnet reads /proc/net/softnet_stat, a line of hexadecimal numbers for each CPU: how many packets wait in the backlogs, which it tells
// from 5.10 on, and how many were taken from them.
func softnet(text string) (waiting, processed uint64) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		number := func(column int) uint64 {
			if column >= len(f) {
				return 0
			}
			n, _ := strconv.ParseUint(f[column], 16, 64)
			return n
		}
		processed += number(0)
		waiting += number(11)
	}
	return waiting, processed
}
