package cli

import (
	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/output"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// completeFlags lets the shell complete the values of flags that have a few.
func completeFlags(cmd *cobra.Command) {
	values := map[string][]string{
		"backend": session.Backends,
		"format":  output.Formats,
		"layout":  layoutSources,
	}
	for _, t := range output.Timestamps {
		values["timestamp"] = append(values["timestamp"], string(t))
	}
	for name, list := range values {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag was looked up
		}
	}
}

// completeTools completes the names of tools.
func completeTools(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range tools.All() {
		names = append(names, t.Name+"\t"+t.Short)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
