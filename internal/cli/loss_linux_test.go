package cli_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A send without a destination has a pointer that is nil. Kernels before 5.14
// count what is fetched from there as a missed hit, and nothing was missed.
func TestFaultsAreNotMissed(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	run := clitest.Start(t, "udp", "--send", "--format", "json", "--strict", "-v", "--pid", strconv.Itoa(os.Getpid()))
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		_, _ = c.Write([]byte("x")) // it may tell that nobody took the one before
	}
	r := run.Stop().OK()
	if events := r.Events(); len(events) == 0 || events[0]["dest"] != "connected" {
		t.Errorf("%v", events)
	}
	if strings.Contains(r.Stderr, "missed by the kernel") {
		t.Errorf("stderr %q", r.Stderr)
	}
}
