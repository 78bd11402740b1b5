package calibrate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/skprobe/skprobe/fetchargs"
)

// Print writes a line for each member and each function. Details are what not
// every kernel has, and the places that fit what was not found.
func (r *Result) Print(w io.Writer, details bool) error {
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	fmt.Fprintln(t, "STRUCT\tMEMBER\tOFFSET\tSIZE\tHOW")
	for _, f := range r.Members {
		switch {
		case f.OK:
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", f.Struct, f.Member, f.Offset, f.Size, f.Why)
		case f.Needed || details:
			how := f.Why
			if details && len(f.Candidates) > 0 {
				how += ": " + list(f.Candidates)
			}
			fmt.Fprintf(t, "%s\t%s\tnot found\t\t%s\n", f.Struct, f.Member, how)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nFUNCTION\tPARAMETERS\tHOW")
	for _, f := range r.Functions {
		params := "not found"
		if f.OK {
			params = f.parameters()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, params, f.Why)
	}
	return t.Flush()
}

// Summary is one line: how much was found.
func (r *Result) Summary() string {
	found, missing := 0, 0
	for _, f := range r.Members {
		if f.OK {
			found++
		} else if f.Needed {
			missing++
		}
	}
	s := fmt.Sprintf("%d members found", found)
	if missing > 0 {
		s += fmt.Sprintf(", %d not", missing)
	}
	return s
}

// String says where the time went.
func (t Times) String() string {
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("probes defined in %v and opened in %v, traffic in %v, solved in %v, probes removed in %v",
		ms(t.Define), ms(t.Open), ms(t.Traffic), ms(t.Solve), ms(t.Remove))
}

func (f *Function) parameters() string {
	t := &types{named: map[string]*fetchargs.Type{}}
	var all []string
	for _, p := range f.Params {
		all = append(all, fetchargs.Declare(t.typeOf(p.typ), p.name))
	}
	return strings.Join(all, ", ")
}

// list is some numbers, not all if they are many.
func list(places []int) string {
	const most = 12
	var words []string
	for i, n := range places {
		if i == most {
			words = append(words, "…")
			break
		}
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, ", ")
}
