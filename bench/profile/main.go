// Profile runs skprobe and writes to a file where its own time goes, in the form
// that the compiler takes (cmd/skprobe/default.pgo):
//
//	profile FILE ARGS…
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/skprobe/skprobe/internal/cli"
	"github.com/skprobe/skprobe/internal/session"
)

func init() { runtime.LockOSThread() }

func main() {
	session.MaybeStart()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: profile FILE ARGS…")
		os.Exit(2)
	}
	status, err := profile(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

func profile(file string, args []string) (status int, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return 0, err
	}
	status = cli.Main(args, os.Stdout, os.Stderr)
	pprof.StopCPUProfile()
	return status, f.Close()
}
