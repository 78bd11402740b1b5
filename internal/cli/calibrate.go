package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/session"
)

// calibrate measures the layouts of this kernel, and shows them.
func (a *app) calibrate() *cobra.Command {
	var verbose bool
	var save string
	cmd := &cobra.Command{
		Use:   "calibrate [-v] [--save FILE]",
		Short: "measure the layouts of this kernel's structs",
		Long: `Finds where the members of structs are that the tools need, on a kernel that has
neither BTF nor debug information: in a network namespace of its own it makes
traffic of which it knows every value, and looks with kprobes where in the
kernel's memory these are. It takes about a second, needs nobody else, changes
nothing and leaves nothing behind. A member for which two places fit counts as
not found.

The result is kept for later runs, which use it where there is nothing better,
or with --layout calibrate.`,
		Example: indent("skprobe calibrate -v\nskprobe calibrate --save this-kernel.json"),
		GroupID: "kernel",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			start := time.Now()
			result, profile, err := session.Calibrate(a.stderr)
			took := time.Since(start)
			if err != nil {
				return err
			}
			for _, note := range result.Notes {
				fmt.Fprintln(a.stderr, "skprobe:", note)
			}
			if err := result.Print(a.stdout, verbose); err != nil {
				return err
			}
			if verbose {
				fmt.Fprintln(a.stderr, result.Times)
			}
			fmt.Fprintf(a.stderr, "%s, in %v\n", result.Summary(), took.Round(time.Millisecond))
			if save == "" {
				return nil
			}
			return saveProfile(save, profile)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also what not every kernel has, the places that fit what was not found, and times")
	cmd.Flags().StringVar(&save, "save", "", "write the layouts to this `FILE`, for --profile")
	return cmd
}
