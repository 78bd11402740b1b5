package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skprobe/skprobe/internal/event"
)

// probe is the command for any function: it makes a tool of its arguments.
func (a *app) probe() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "probe [flags] 'PLACE [NAME=]EXPR[:KIND] …'… [-- PROGRAM ARGS…]",
		Short: "any function or tracepoint, any field",
		Long:  probeHelp(),
		Example: indent(`# Who waits for a neighbour, and with which packet
skprobe probe 'neigh_resolve_output skb:packet dev=neigh->dev->name'

# Argument and result of one call, in one event
skprobe probe 'inet_sendmsg%return size ret=$retval:errno'

# A local variable in the middle of a function, with debug information
skprobe probe 'tcp_rcv_established%step5 len sk:sock'`),
		GroupID: "tools",
		RunE: func(cmd *cobra.Command, args []string) error {
			args, program, err := splitProgram(cmd, args)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return usagef("a probe is needed, for example 'inet_sendmsg size'; see skprobe probe --help")
			}
			t, err := probeTool(args)
			if err != nil {
				return &usageError{err}
			}
			cfg, err := flags.config(a, t, program)
			if err != nil {
				return err
			}
			cfg.Verify = true
			a.status, err = a.start(cmd.Context(), cfg)
			return err
		},
	}
	flags.register(cmd.Flags(), nil)
	flags.packets.register(cmd.Flags())
	completeFlags(cmd)
	return cmd
}

// probeTool declares a tool whose events are the probes given.
func probeTool(probes []string) (*event.Tool, error) {
	t := &event.Tool{Name: "probe", Exact: true}
	for _, text := range probes {
		src, err := event.ParseProbe(text)
		if err != nil {
			return nil, err
		}
		t.Events = append(t.Events, src)
	}
	return t, nil
}

func probeHelp() string {
	var b strings.Builder
	b.WriteString(`Shows each time that the kernel comes by a place, with the fields that are named.
Several probes, each an argument of its own, can be given. PLACE is one of

  FUNCTION, FUNCTION+OFFSET      a function of the kernel or of a loaded module
  FUNCTION%return                the same when it returns
  MODULE:FUNCTION                a function of this module
  FUNCTION:LINE, FILE:LINE       a line of the source: of a function, whose name is
                                 on line 0, or of a file, such as tcp_input.c
  FUNCTION%LABEL                 a label in a function
  t:GROUP:EVENT                  a tracepoint, with all that it records if no
                                 fields are named
  u:FILE:FUNCTION                a function of a program or library, also with
                                 +OFFSET or %return; FILE is a path, or a name:
                                 u:libc.so.6:getaddrinfo

Lines, labels and functions that were inlined are found by the debug information
of this kernel, as its debug package installs it or --vmlinux names it. Fields
then start at the local variables there; skprobe vars PLACE lists them.

Names may be patterns of *, ? and [a-z]: 'tcp_*', 'bridge:*', 't:syscalls:*'.
Those that cannot be probed, or do not have the fields, are counted and left out.

EXPR starts at a parameter of the function or a field of the tracepoint (skprobe
vars PLACE lists them), or at $skb, $sk, $current (the task), $retval, $stack,
$argN, %register or @global, and follows C: members through -> and ., array[3],
casts ((struct inet_sock *)sk)->…, &x, *p, p + 8. $caller is where the function
was called from, $elapsed with %return the time since it was entered.
"a ?? b" is the first whose types this kernel has. In a %return probe, fields
have the values that they had when the function was entered.

NAME is the column, by default the last name in EXPR. KIND says how the value
is read and shown, by default as its C type tells:
`)
	for _, k := range event.Kinds() {
		fmt.Fprintf(&b, "  %-10s %s\n", k.Name, k.Help)
	}
	b.WriteString("A number of elements can stand behind bytes, text, uint, int and hex: bytes[16].")
	return b.String()
}
