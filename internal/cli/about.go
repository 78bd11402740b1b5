package cli

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "version of skprobe and of the kernel",
		Example: indent("skprobe version"),
		GroupID: "kernel",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.stdout, "skprobe %s (%s, %s/%s)\n", session.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if k := session.KernelName(); k != "" {
				fmt.Fprintf(a.stdout, "kernel %s\n", k)
			}
			return nil
		},
	}
}

// cleanup takes away what killed skprobes left; every run does so too.
func (a *app) cleanup() *cobra.Command {
	return &cobra.Command{
		Use:   "cleanup",
		Short: "remove probes that a killed skprobe left",
		Long: `Removes the kprobe events of skprobes that do not run any more. Those of a
running skprobe, and of other programs, stay. Every run of skprobe does this
first; the command is for when there is no next run.`,
		Example: indent("skprobe cleanup"),
		GroupID: "kernel",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return session.Cleanup(a.stdout)
		},
	}
}

// man writes man pages, for packages.
func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "write man pages into a folder",
		Example: indent("skprobe man /usr/local/share/man/man1"),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("the folder for the pages is needed")
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &session.Error{Status: session.ExitFailed, Err: err}
			}
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "SKPROBE", Section: "1", Source: "skprobe " + session.Version()}, args[0])
		},
	}
}

// doctor tells what this kernel and these rights allow.
func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "what this kernel and these rights allow, and what to do",
		Long: `Checks what skprobe needs, a line each: yes, no, or could not tell; why; and what
to do about it. Exit status 3 if something that is needed is missing.`,
		Example: indent("skprobe doctor"),
		GroupID: "kernel",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return session.Doctor(a.stdout, tools.All())
		},
	}
}
