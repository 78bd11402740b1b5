// Skprobe shows what the Linux network stack does with sockets and packets, by
// kprobe events whose arguments the kernel fetches.
package main

import (
	"os"
	"runtime"

	"github.com/skprobe/skprobe/internal/cli"
	"github.com/skprobe/skprobe/internal/session"
)

// The main goroutine stays on the main thread: a program to be traced must be
// executed by that one. See session.MaybeStart.
func init() { runtime.LockOSThread() }

func main() {
	session.MaybeStart()
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
