package cli

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/script"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// run is the command that runs a script.
func (a *app) run() *cobra.Command {
	return &cobra.Command{
		Use:   "run [flags] FILE [ARG…]",
		Short: "run a script: a command line in a file",
		Long: `Runs a script, which has the words of a command line, one on each line: probes, a
tool, or functions for graph, and flags without their dashes. $1 and so on are
the arguments of the script. Flags before FILE are added, as --flag=value.

  # Who sends to a port, every two seconds
  probe udp_sendmsg sk:sock len
  where rport == $1
  count-by comm
  every 2s`,
		Example:            indent("skprobe run sends.skp 53\nskprobe run --format=json sends.skp 53"),
		GroupID:            "tools",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if help(args) {
				return cmd.Help()
			}
			return a.runScript(cmd.Context(), args, session.Run)
		},
	}
}

// check is the command that tells what a script becomes.
func (a *app) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE [ARG…]",
		Short: "what a script becomes on this kernel and on others",
		Long: `Checks a script without running it. Shows the definitions that its probes become
on this kernel, where it can be looked at, and on each recorded kernel, with
what the kernel filters, or why it does not compile there. Recorded kernels
have the types and functions that skprobe's own tools need; of others they say
nothing.`,
		Example:            indent("skprobe check sends.skp 53"),
		GroupID:            "kernel",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if help(args) {
				return cmd.Help()
			}
			return a.runScript(cmd.Context(), args, func(_ context.Context, cfg *session.Config) (int, error) {
				return 0, session.Check(a.stdout, cfg)
			})
		},
	}
}

func help(args []string) bool {
	return len(args) > 0 && (args[0] == "--help" || args[0] == "-h")
}

// runScript reads a script and does something with the command line that it is.
func (a *app) runScript(ctx context.Context, args []string, do func(context.Context, *session.Config) (int, error)) error {
	first := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	if first < 0 {
		return usagef("a script is needed; flags before it are written --flag=value")
	}
	f, err := os.Open(args[first])
	if err != nil {
		return &session.Error{Status: session.ExitFailed, Err: err}
	}
	defer f.Close()
	s, err := script.Parse(args[first], f, args[first+1:], isTool)
	if err != nil {
		return &usageError{err}
	}
	line, err := a.commandLine(s)
	if err != nil {
		return &usageError{err}
	}
	inner := &app{stdout: a.stdout, stderr: a.stderr, start: do}
	root := inner.root([]string{s.Command})
	root.SetArgs(slices.Concat([]string{s.Command}, args[:first], line))
	err = root.ExecuteContext(ctx)
	a.status = inner.status
	return located(s, err)
}

func isTool(name string) bool {
	return slices.ContainsFunc(tools.All(), func(t *event.Tool) bool { return t.Name == name })
}

// commandLine is what the script would be on the command line. Each flag is
// tried, so that a fault has its place.
func (a *app) commandLine(s *script.Script) (line []string, err error) {
	root := (&app{stdout: a.stdout, stderr: a.stderr}).root([]string{s.Command})
	cmd, _, err := root.Find([]string{s.Command})
	if err != nil {
		return nil, err
	}
	for i := range s.Flags {
		l := &s.Flags[i]
		flag := cmd.Flags().Lookup(l.Name)
		fault := func(at script.Position, msg string) error {
			return &script.Error{File: s.Name, Position: at, Msg: msg}
		}
		switch {
		case flag == nil:
			return nil, fault(l.From, unknownFlag(cmd.Flags(), l.Name, s.Command))
		case flag.NoOptDefVal == "" && !l.Set:
			return nil, fault(l.From, l.Name+" needs a value")
		case flag.NoOptDefVal != "" && !l.Set:
			line = append(line, "--"+l.Name)
			continue
		}
		if err := flag.Value.Set(l.Text); err != nil {
			return nil, fault(l.At, strconvNoise.ReplaceAllString(l.Name+": "+err.Error(), ": "))
		}
		line = append(line, "--"+l.Name+"="+l.Text)
	}
	for _, w := range s.Words {
		line = append(line, w.Text)
	}
	if s.Program != nil {
		line = append(append(line, "--"), s.Program...)
	}
	return line, nil
}

func unknownFlag(fs *pflag.FlagSet, name, command string) string {
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	msg := "unknown word \"" + name + "\""
	if near := session.Near(name, append(known, "probe", "graph")); len(near) > 0 {
		return msg + "; did you mean " + near[0] + "?"
	}
	return msg + "; see skprobe " + command + " --help"
}

// located gives an error of a run its place in the script.
func located(s *script.Script, err error) error {
	if err == nil {
		return nil
	}
	var parse *event.ParseError
	var expr *fetchargs.ExprError
	at := s.Locate(err, "", 0)
	switch {
	case errors.As(err, &parse):
		at = s.Locate(err, parse.Text, parse.Offset)
	case errors.As(err, &expr):
		at = s.Locate(err, expr.Expr, expr.Offset)
	}
	return at
}
