package cli

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/session"
)

// vars shows what can be named in expressions.
func (a *app) vars() *cobra.Command {
	var flags layoutFlags
	cmd := &cobra.Command{
		Use:   "vars FUNCTION | FUNCTION:LINE | FUNCTION%LABEL | FILE:LINE | t:GROUP:EVENT | 'struct NAME' | 'union NAME' | 'enum NAME'",
		Short: "parameters of a function, variables at a line, fields of a tracepoint, members of a struct",
		Long: `Shows the parameters of a function, with their types and where each is when the
function is entered; or what a tracepoint records, with the names that the
kernel has for its numbers; or the members of a struct or union, with offset and
size in bytes; or the values of an enum.

At a line or a label, and in a function that the compiler inlined, it shows the
variables in scope and how each is reached: in a register, in memory at one, as
a constant; or why it cannot be, and at which lines it could (counted as the
place counts them). There are several such places where code was inlined. They
are found by debug information: that of an installed debug package, or of the
file that --vmlinux names.`,
		Example: indent("skprobe vars ip_rcv\nskprobe vars tcp_rcv_established:12\nskprobe vars t:sock:inet_sock_set_state\nskprobe vars 'struct sk_buff'"),
		GroupID: "kernel",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("one function or type is needed, for example ip_rcv or 'struct sk_buff'")
			}
			l, err := flags.layout()
			if err != nil {
				return err
			}
			layout, err := session.OpenLayout(l)
			if err != nil {
				return err
			}
			if name, ok := strings.CutPrefix(args[0], "t:"); ok {
				fields, err := session.Tracepoint(layout, name)
				if err == nil {
					describeRecord(a.stdout, fields)
				}
				return err
			}
			if spots, err := session.Spots(layout, args[0]); err != nil || spots != nil {
				describeSpots(a.stdout, spots)
				return err
			}
			t, err := session.Lookup(layout, args[0])
			if err != nil {
				return err
			}
			return describe(a.stdout, layout, t)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

func describe(w io.Writer, source fetchargs.Types, t *fetchargs.Type) error {
	switch t.Kind {
	case fetchargs.Func:
		describeFunc(w, t)
	case fetchargs.Struct, fetchargs.Union:
		fmt.Fprintf(w, "%s, %d bytes\n", t, t.Size)
		if t.Incomplete {
			return &session.Error{Status: session.ExitRefused, Err: fmt.Errorf("the members of %s are not in %s", t, source.Source())}
		}
		describeMembers(w, t, 0, "  ")
	case fetchargs.Enum:
		fmt.Fprintf(w, "%s, %d bytes\n", t, t.Size)
		for _, v := range t.Values {
			fmt.Fprintf(w, "  %-40s %d\n", v.Name, v.Value)
		}
	default:
		fmt.Fprintf(w, "%s, %d bytes\n", t, t.Size)
	}
	fmt.Fprintf(w, "from %s\n", source.Source())
	return nil
}

func describeFunc(w io.Writer, t *fetchargs.Type) {
	fmt.Fprintln(w, t)
	target := fetchargs.Target{Arch: fetchargs.Arch(runtime.GOARCH), Func: t}
	for _, p := range t.Members {
		place := "not certain"
		if e, err := fetchargs.Parse(p.Name); err == nil {
			if ref, err := target.Resolve(e); err == nil {
				place = ref.String()
			} else {
				place = err.Error()
			}
		}
		fmt.Fprintf(w, "  %-12s %s\n", place, fetchargs.Declare(p.Type, p.Name))
	}
	fmt.Fprintf(w, "  %-12s %s\n", "$retval", t.Elem())
}

// describeRecord lists what a tracepoint records.
func describeRecord(w io.Writer, fields []fetchargs.RecordField) {
	for _, f := range fields {
		size := fmt.Sprint(f.Type.Size)
		if f.Text {
			size = "text"
		}
		fmt.Fprintf(w, "%5d %5s  %s", f.Offset, size, fetchargs.Declare(f.Type, f.Name))
		for i, v := range f.Type.Values {
			switch {
			case i == 0:
				fmt.Fprintf(w, ": %s %d", v.Name, v.Value)
			case i == maxNames:
				fmt.Fprintf(w, ", … (%d names)", len(f.Type.Values))
			case i < maxNames:
				fmt.Fprintf(w, ", %s %d", v.Name, v.Value)
			}
		}
		fmt.Fprintln(w)
	}
}

// maxNames is how many names of a field's numbers are listed.
const maxNames = 6

// describeMembers lists members by their offset from the start of the outermost
// struct; those of anonymous structs and unions are indented.
func describeMembers(w io.Writer, t *fetchargs.Type, base int, indent string) {
	for _, m := range t.Members {
		off := base + m.Offset
		if m.Name == "" && (m.Type.Kind == fetchargs.Struct || m.Type.Kind == fetchargs.Union) {
			word := "struct"
			if m.Type.Kind == fetchargs.Union {
				word = "union"
			}
			fmt.Fprintf(w, "%5d %5d %s%s {\n", off, m.Type.Size, indent, word)
			describeMembers(w, m.Type, off, indent+"  ")
			continue
		}
		if m.BitSize != 0 {
			fmt.Fprintf(w, "%5d %5s %s%s:%d (from bit %d)\n", off, "", indent, fetchargs.Declare(m.Type, m.Name), m.BitSize, m.BitOffset)
			continue
		}
		fmt.Fprintf(w, "%5d %5d %s%s\n", off, m.Type.Size, indent, fetchargs.Declare(m.Type, m.Name))
	}
}
