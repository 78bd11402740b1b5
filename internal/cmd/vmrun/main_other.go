//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "vmrun: works on Linux only: it copies programs and libraries of the host into a Linux guest")
	os.Exit(statusOwnFailure)
}

// statusOwnFailure is vmrun's exit status when not the guest's program but vmrun failed.
const statusOwnFailure = 125
