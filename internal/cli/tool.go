package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/event"
)

// tool is the command of a tool: everything about it comes from its
// declaration.
func (a *app) tool(t *event.Tool) *cobra.Command {
	var flags runFlags
	only := map[string]*bool{}
	options := toolOptions{}
	cmd := &cobra.Command{
		Use:     t.Name + toolArgs(t),
		Short:   t.Short,
		Long:    toolHelp(t),
		Example: indent(t.Example),
		GroupID: "tools",
		RunE: func(cmd *cobra.Command, args []string) error {
			args, program, err := splitProgram(cmd, args)
			if err != nil {
				return err
			}
			if !t.HasPackets() {
				if err := noArgs(cmd, args); err != nil {
					return err
				}
			}
			if err := options.expand(t, cmd.Flags()); err != nil {
				return err
			}
			flags.port = options.ports(t, cmd.Flags(), flags.port)
			cfg, err := flags.config(a, t, program)
			if err != nil {
				return err
			}
			cfg.Events = selected(only)
			if err := options.apply(t, cmd.Flags(), cfg); err != nil {
				return err
			}
			if err := packetFilter(t, args, cfg); err != nil {
				return err
			}
			a.status, err = a.start(cmd.Context(), cfg)
			return err
		},
	}
	for _, e := range t.Events {
		if e.Flag != "" {
			only[e.Name] = cmd.Flags().Bool(e.Flag, false, "only "+e.Name+": "+e.Short)
		}
	}
	options.register(t, cmd.Flags())
	flags.register(cmd.Flags(), t.Letters)
	if t.Counting != nil && t.Counting.Redraw {
		flags.counts.registerScreen(cmd.Flags())
	}
	if t.HasPackets() {
		flags.packets.register(cmd.Flags())
	}
	completeFlags(cmd)
	return cmd
}

// toolArgs is what the command line of a tool can have.
func toolArgs(t *event.Tool) string {
	if t.HasPackets() {
		return " [flags] [PCAP-FILTER] [-- PROGRAM ARGS…]"
	}
	return " [flags] [-- PROGRAM ARGS…]"
}

// alias is the command of a tool under another name.
func (a *app) alias(t *event.Tool, as event.Alias) *cobra.Command {
	cmd := a.tool(t)
	cmd.Use = as.Name + toolArgs(t)
	same := strings.Join(append([]string{"skprobe", t.Name}, as.Args...), " ")
	cmd.Short = "the same as " + same
	cmd.Long = "The same as " + same + ".\n\n" + cmd.Long
	cmd.Hidden = true
	if err := cmd.Flags().Parse(as.Args); err != nil {
		panic(err) // the declaration is wrong
	}
	return cmd
}

// selected tells which events the flags name, with those that are for no one to
// see; none named means all.
func selected(only map[string]*bool) func(*event.Source) bool {
	any := false
	for _, on := range only {
		any = any || *on
	}
	return func(e *event.Source) bool { return !any || e.Hidden || only[e.Name] != nil && *only[e.Name] }
}

func toolHelp(t *event.Tool) string {
	var b strings.Builder
	b.WriteString(t.Long + "\n\nEvents:\n")
	shown := slices.DeleteFunc(slices.Clone(t.Events), func(e event.Source) bool { return e.Hidden })
	width := 14
	for _, e := range shown {
		width = max(width, len(e.Name))
	}
	for _, e := range shown {
		fmt.Fprintf(&b, "  %-*s %s\n", width, e.Name, e.Short)
	}
	for _, as := range t.Aliases {
		fmt.Fprintf(&b, "\n%s is the same as %s.\n", as.Name, strings.Join(append([]string{t.Name}, as.Args...), " "))
	}
	if t.Cost != "" {
		fmt.Fprintf(&b, "\nCost: %s.\n", t.Cost)
	}
	b.WriteString("\nFields, in tables, JSON, CSV and --where:\n  time event cpu pid tid comm\n")
	for _, c := range t.Fields() {
		fmt.Fprintf(&b, "  %-14s %s\n", c.Name, c.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}
