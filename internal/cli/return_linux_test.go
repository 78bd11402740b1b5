package cli_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestProbeManyReturns sees the return of each of many calls that are under way at a time.
func TestProbeManyReturns(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	const many = 300
	var sockets []int
	for range many {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, fd)
	}
	start := time.Now()
	run := clitest.Start(t, "probe", "udp_recvmsg%return len ret=$retval", "--format", "json", "--where", "ret == 7", "--strict")
	t.Logf("armed after %v", time.Since(start))
	ended := make(chan error, many)
	for _, fd := range sockets {
		go func() {
			_, _, err := unix.Recvfrom(fd, make([]byte, 100), 0)
			ended <- err
		}()
	}
	time.Sleep(500 * time.Millisecond) // for all of them to wait
	for _, fd := range sockets {
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Sendto(sockets[0], make([]byte, 7), 0, sa); err != nil {
			t.Fatal(err)
		}
	}
	for range many {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(run.Stop().OK().Events()); n != many {
		t.Errorf("%d of %d returns", n, many)
	}
	nothingLeft(t)
}
