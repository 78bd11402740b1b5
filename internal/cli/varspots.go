package cli

import (
	"cmp"
	"fmt"
	"io"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// describeSpots shows places in the code, with the variables in scope.
func describeSpots(w io.Writer, spots []event.Spot) {
	for _, s := range spots {
		at := s.Symbol
		if s.Offset != 0 {
			at = fmt.Sprintf("%s+%d", at, s.Offset)
		}
		fmt.Fprintf(w, "%s at %s:%d, %s", s.Func, s.File, s.Line, at)
		if s.Into != "" {
			fmt.Fprintf(w, ", inlined into %s", s.Into)
		}
		fmt.Fprintln(w)
		entered := false
		for i := range s.Locals {
			l := &s.Locals[i]
			place := l.String()
			if l.Why != "" {
				fmt.Fprintf(w, "  %-12s %s: %s\n", "-", fetchargs.Declare(l.Type, l.Name), place)
				continue
			}
			fmt.Fprintf(w, "  %-12s %s\n", place, fetchargs.Declare(l.Type, l.Name))
			entered = entered || l.AtEntry
		}
		if entered {
			fmt.Fprintf(w, "at entry: as %s was called; what such a pointer leads to is read then too\n", cmp.Or(s.Into, s.Func))
		}
	}
}
