package tools_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
)

// patience is how long a test waits for what must happen: guests are slow, and
// stand still for seconds.
const patience = 60 * time.Second

// until waits until something has happened.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// arrived waits until the socket has something to read, an end or an error
// included: who sent a packet to this machine can be back before softirq has
// taken it.
func arrived(t testing.TB, fd int) {
	t.Helper()
	poll(t, fd, unix.POLLIN)
}

// poll waits for an event of a socket.
func poll(t testing.TB, fd int, events int16) {
	t.Helper()
	for {
		switch n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(patience.Milliseconds())); {
		case err == unix.EINTR: // a signal of Go's runtime
		case err != nil:
			t.Fatal(err)
		case n == 0:
			t.Fatalf("nothing came within %v", patience)
		default:
			return
		}
	}
}

// soon waits until a run has shown events like all of wants, and for some seconds
// at most: what it has not shown then is the test's to say.
func soon(run *clitest.Run, wants []clitest.Event) {
	shown := func() bool {
		soFar := run.Shown()
		for _, want := range wants {
			if len(clitest.Select(soFar, want)) == 0 {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(20 * time.Second); !shown() && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
	}
}
