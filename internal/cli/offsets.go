package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// offsets shows how the fields of a tool are fetched on this kernel.
func (a *app) offsets() *cobra.Command {
	var flags layoutFlags
	var save string
	cmd := &cobra.Command{
		Use:   "offsets TOOL | offsets 'FUNCTION EXPR…' | offsets --save FILE",
		Short: "how each field is fetched on this kernel, and where its offset comes from",
		Long: `Shows for each field of a tool, or of a probe as the probe command takes it, the
expression, the fetch-arg that reads it, the offsets on the way, and the source
of these; BYTES are the value's in what the fetch-arg reads. Fields in
parentheses are needed to make others. With --save, writes the layouts that all tools need to a file that
--profile takes, for machines like this one.`,
		Example: indent("skprobe offsets udp\nskprobe offsets 'ip_rcv dev->name'"),
		GroupID: "kernel",
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := flags.layout()
			if err != nil {
				return err
			}
			if len(args) == 0 && save == "" {
				return usagef("a tool is needed: %s", toolNames())
			}
			all := tools.All()
			if len(args) > 0 {
				t, err := toolOrProbe(args)
				if err != nil {
					return err
				}
				all = []*event.Tool{t}
			}
			programs, layout, err := session.CompileOnly(l, all)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				for _, p := range programs {
					a.showOffsets(p, layout.Source())
				}
			}
			if save == "" {
				return nil
			}
			return saveProfile(save, layout.Profile())
		},
	}
	cmd.Flags().StringVar(&save, "save", "", "write the layouts to this `FILE`")
	flags.register(cmd.Flags())
	completeFlags(cmd)
	cmd.ValidArgsFunction = completeTools
	return cmd
}

func saveProfile(name string, profile io.WriterTo) error {
	f, err := os.Create(name)
	if err != nil {
		return &session.Error{Status: session.ExitFailed, Err: err}
	}
	if _, err := profile.WriteTo(f); err != nil {
		f.Close()
		return &session.Error{Status: session.ExitFailed, Err: err}
	}
	return f.Close()
}

func toolNames() string {
	var names []string
	for _, t := range tools.All() {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// toolOrProbe is the tool of that name, or the probe that the words are.
func toolOrProbe(args []string) (*event.Tool, error) {
	for _, t := range tools.All() {
		if len(args) == 1 && t.Name == args[0] {
			return t, nil
		}
	}
	t, err := probeTool(args)
	if err != nil {
		return nil, &usageError{err}
	}
	return t, nil
}

func (a *app) showOffsets(p *event.Program, source string) {
	kind, _, _ := strings.Cut(source, " ")
	for _, c := range p.Probes {
		fmt.Fprintf(a.stdout, "%s on %s, layouts from %s\n", c.Event, c.Symbol, source)
		w := tabwriter.NewWriter(a.stdout, 2, 8, 2, ' ', 0)
		fmt.Fprintln(w, "  FIELD\tEXPRESSION\tFETCH-ARG\tBYTES\tOFFSETS\tSOURCE")
		for _, f := range c.Fetches() {
			name := f.Column
			if f.Hidden {
				name = "(" + name + ")"
			}
			place := fmt.Sprintf("%d–%d", f.Slot.Off, f.Slot.Off+f.Slot.Size-1)
			if f.Slot.Size == 0 {
				place = "text"
			}
			var offsets []string
			for _, o := range f.Slot.Offsets {
				offsets = append(offsets, fmt.Sprint(o))
			}
			from := kind
			if len(offsets) == 0 {
				from = "register"
			}
			if c.Tracepoint && !c.EventProbe {
				from = "format file"
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", name, f.Expr, f.Slot.Arg, place, strings.Join(offsets, " → "), from)
		}
		w.Flush()
	}
	for _, err := range p.Skipped {
		fmt.Fprintln(a.stdout, "not on this kernel:", err)
	}
}
