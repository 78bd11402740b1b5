// Manpages writes skprobe's man pages into a folder, for packages:
//
//	manpages DIR
//
// The program itself does not: what makes them would be a sixteenth of it.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/skprobe/skprobe/internal/cli"
	"github.com/skprobe/skprobe/internal/session"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manpages DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manpages:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return doc.GenManTree(cli.Root(), &doc.GenManHeader{Title: "SKPROBE", Section: "1", Source: "skprobe " + session.Version()}, dir)
}
