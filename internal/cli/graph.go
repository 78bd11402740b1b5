package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
)

// graph is the command for call trees.
func (a *app) graph() *cobra.Command {
	var flags runFlags
	g := &session.Graph{}
	cmd := &cobra.Command{
		Use:   "graph [flags] FUNCTION|PATTERN|FILE.c|@LIST… [-- PROGRAM ARGS…]",
		Short: "calls of functions, as a tree with times",
		Long: `Shows how functions call each other: each call of one of those named, with the time
that it took, below the one that called it. Only functions that are named are
seen; what they call in between is part of their time. PATTERN is of *, ? and
[a-z], with a module in front (bridge:*) for the functions of that module. FILE.c
is a source file, or the end of its path, with or without a module in front: all
functions of it, where the kernel's debug information is installed. @LIST is a
text file with functions or patterns, one a line.

A tree is shown when its outermost call returns. The calls of interrupts are
trees of their own.

The calls are recorded by the kernel's function_graph tracer in a tracing
instance of skprobe's own where the kernel can do that (6.11), and by probes at
entries and returns otherwise; the system's own trace is never touched. Arguments
and results are by the tracer too where it records them (-v says why not).

Fields, in tables, JSON, CSV and --where:
  time event cpu pid tid comm
  duration_us    time in the function, microseconds
  function       the function, with its module
  depth          how many of the traced functions it was called through
  caller         the traced function above it
  args           arguments (--args)
  retval         what the function returned (--retval)`,
		Example: indent(`skprobe graph 'bridge:*'
skprobe graph 'ip_*' '__ip_*' --depth 3 -- ping -c 1 192.0.2.1
skprobe graph net/ipv4/tcp_output.c --depth 2
skprobe graph 'tcp_*' --root tcp_sendmsg --min-duration 20us
skprobe graph 'sock_*' --args --retval --where 'retval < 0'
skprobe graph 'udp_*' --count-by function --sum duration_us`),
		GroupID: "tools",
		RunE: func(cmd *cobra.Command, args []string) error {
			args, program, err := splitProgram(cmd, args)
			if err != nil {
				return err
			}
			switch {
			case len(args) == 0:
				return usagef("a function or a pattern is needed, for example 'bridge:*'; see skprobe graph --help")
			case g.Depth < 0:
				return usagef("--depth %d: it cannot be negative", g.Depth)
			case g.Min < 0:
				return usagef("--min-duration %v: it cannot be negative", g.Min)
			case !slices.Contains(session.GraphMethods, g.Method):
				return usagef("--method %q: it is one of %s", g.Method, strings.Join(session.GraphMethods, ", "))
			}
			cfg, err := flags.config(a, &event.Tool{Name: cmd.Name()}, program)
			if err != nil {
				return err
			}
			g.Places = args
			cfg.Graph = g
			a.status, err = a.start(cmd.Context(), cfg)
			return err
		},
	}
	cmd.Flags().IntVar(&g.Depth, "depth", 0, "show `N` levels only")
	cmd.Flags().DurationVar(&g.Min, "min-duration", 0, "leave out calls that took less than this (`D`: 20us, 1ms), and what is below them")
	cmd.Flags().BoolVar(&g.Args, "args", false, "show arguments, with the names that the functions have for them")
	cmd.Flags().BoolVar(&g.Retval, "retval", false, "show what the functions return")
	cmd.Flags().StringVar(&g.Root, "root", "", "only calls of `FUNCTION`, and what is below them")
	cmd.Flags().StringVar(&g.Method, "method", session.GraphAuto, "how calls are recorded: `"+strings.Join(session.GraphMethods, "|")+"`")
	flags.register(cmd.Flags(), nil)
	completeFlags(cmd)
	return cmd
}
