package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// A skprobe that was built for a machine of 32 bits says that it knows no such
// machine, and does nothing.
func TestOtherMachine(t *testing.T) {
	testkernel.Outside(t)
	if testing.Short() || runtime.GOARCH != "amd64" {
		t.Skip("builds skprobe for 386, which runs on amd64")
	}
	file := filepath.Join(t.TempDir(), "skprobe")
	build := exec.Command("go", "build", "-o", file, "../../cmd/skprobe")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"udp"}, {"calibrate"}, {"probe", "ip_rcv"}} {
		cmd := exec.Command(file, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(stderr.String(), "architecture 386: skprobe knows where amd64 and arm64 pass parameters, and no other") ||
			strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%q: %v: %s", args, err, &stderr)
		}
	}
}
