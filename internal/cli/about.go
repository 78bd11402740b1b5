package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

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

// doctor tells what this kernel and these rights allow.
func (a *app) doctor() *cobra.Command {
	var flags layoutFlags
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "what this kernel and these rights allow, and what to do",
		Long: `Tells whether skprobe works here, and what that rests on: what can be seen of
the kernel and of this process, what trials show, and what each tool lacks. Exit
status 3 if no tool can work.`,
		Example: indent("skprobe doctor\nskprobe doctor --format json | jq -r .verdict"),
		GroupID: "kernel",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := flags.layout()
			if err != nil {
				return err
			}
			if format != "text" && format != "json" {
				return usagef("--format %q: it is one of text, json", format)
			}
			r := session.Doctor(l, tools.All())
			write := r.Text
			if format == "json" {
				write = r.JSON
			}
			if err := write(a.stdout); err != nil {
				return err
			}
			return r.Err()
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`text|json`")
	flags.register(cmd.Flags())
	completeFlags(cmd)
	return cmd
}
