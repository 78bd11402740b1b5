package cli

import (
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// list shows what there is to trace.
func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list [GLOB]",
		Short: "tools, events, and functions that can be probed",
		Long: `Without an argument, lists the tools and their events. With GLOB, lists those
of them that match, and the functions of this kernel that match and can be
probed; "MODULE:GLOB" lists those of a module, and "t:GLOB" tracepoints.`,
		Example: indent("skprobe list\nskprobe list 'udp*_sendmsg'\nskprobe list 'bridge:br_*'\nskprobe list 't:sched:*'"),
		GroupID: "kernel",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("one pattern at most; quote it: '%s'", args[0])
			}
			glob := ""
			if len(args) == 1 {
				glob = args[0]
				if _, err := path.Match(glob, ""); err != nil {
					return usagef("%q is no pattern: %v", glob, err)
				}
			}
			found := a.listTools(glob)
			if glob == "" {
				return nil
			}
			functions, err := session.Functions(glob)
			if err != nil {
				return err
			}
			for _, f := range functions {
				fmt.Fprintln(a.stdout, f)
			}
			if found+len(functions) == 0 {
				return &session.Error{Status: session.ExitFailed, Err: fmt.Errorf("nothing matches %q", glob)}
			}
			return nil
		},
	}
}

// listTools lists tools and events and returns how many there were.
func (a *app) listTools(glob string) (n int) {
	match := func(name string) bool {
		ok, _ := path.Match(glob, name)
		return ok || glob == ""
	}
	for _, t := range tools.All() {
		if match(t.Name) {
			fmt.Fprintf(a.stdout, "%-16s %s\n", t.Name, t.Short)
			n++
		}
		for _, as := range t.Aliases {
			if match(as.Name) {
				fmt.Fprintf(a.stdout, "%-16s the same as %s\n", as.Name, strings.Join(append([]string{t.Name}, as.Args...), " "))
				n++
			}
		}
		for _, e := range t.Events {
			if match(e.Name) && !e.Hidden {
				fmt.Fprintf(a.stdout, "  %-14s %s\n", e.Name, e.Short)
				n++
			}
		}
	}
	return n
}
