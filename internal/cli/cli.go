// Package cli is skprobe's command line: commands, flags and help. What the
// commands do is in package session.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// app is what the commands share.
type app struct {
	stdout *os.File
	stderr io.Writer
	status int
	// start is what is done with a run: session.Run, but for scripts that are
	// only checked.
	start func(context.Context, *session.Config) (int, error)
}

// Main runs a command line and returns the exit status.
func Main(args []string, stdout *os.File, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr, start: session.Run}
	root := a.root(args)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return a.status
	}
	fmt.Fprintln(stderr, "skprobe:", err)
	var e *session.Error
	var u *usageError
	switch {
	case errors.As(err, &e):
		return e.Status
	case errors.As(err, &u):
		return session.ExitUsage
	}
	return session.ExitFailed
}

// Root returns all commands, for what describes them.
func Root() *cobra.Command {
	return (&app{stdout: os.Stdout, stderr: os.Stderr, start: session.Run}).root(nil)
}

// strconvNoise is what package strconv says before the fault.
var strconvNoise = regexp.MustCompile(`: strconv\.\w+: parsing "[^"]*": `)

// A usageError is a mistake on the command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// root has the commands for a command line. Where that begins with the name of a
// tool, those of the others are not made: each has some fifty flags, and all of
// them would take longer than the rest of the start.
func (a *app) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "skprobe",
		Short: "show what the Linux network stack does with sockets and packets",
		Long: `Skprobe shows what the Linux network stack does with sockets and packets, on any
kernel that has kprobe events, without BPF, a compiler, headers or a module.

Events go to standard output, messages to standard error. Exit status: 0 done;
1 a failure; 2 wrong usage; 3 this kernel or these rights do not allow it;
4 events were lost and --strict was given; with "-- PROGRAM", the program's.`,
		Example: `  skprobe udp --where 'rport == 53'
  skprobe udp --send --format json -- dig example.com
  skprobe probe 'neigh_resolve_output skb:packet dev=neigh->dev->name'
  skprobe doctor`,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		DisableAutoGenTag:          true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		what := ": that is no number"
		if strings.Contains(err.Error(), "strconv.ParseBool") {
			what = ": the flag alone is enough, or =true, =false"
		}
		msg := strconvNoise.ReplaceAllString(err.Error(), ": ")
		return usagef("%s; see %s --help", strings.Replace(msg, ": invalid syntax", what, 1), cmd.CommandPath())
	})
	root.AddGroup(&cobra.Group{ID: "tools", Title: "Tools:"}, &cobra.Group{ID: "kernel", Title: "This kernel:"})
	all := tools.All()
	if i := slices.IndexFunc(all, func(t *event.Tool) bool { return len(args) > 0 && args[0] == t.Name }); i >= 0 {
		root.AddCommand(a.tool(all[i]))
		return root
	}
	for _, t := range all {
		root.AddCommand(a.tool(t))
		for _, as := range t.Aliases {
			root.AddCommand(a.alias(t, as))
		}
	}
	root.AddCommand(a.probe(), a.graph(), a.run(), a.check(), a.vars(), a.list(), a.offsets(), a.calibrate(), a.doctor(), a.cleanup(), a.version())
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	near := root.SuggestionsFor(name)
	if len(near) > 0 {
		return usagef("unknown command %q; did you mean %q?", name, near[0])
	}
	return usagef("unknown command %q; see skprobe --help", name)
}

// noArgs refuses arguments of a command that has none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
