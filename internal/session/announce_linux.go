package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// announce says that the probes are armed, and with -v how.
func (r *run) announce() {
	w := r.cfg.Stderr
	if r.cfg.Verbose {
		for _, note := range r.attached.notes {
			fmt.Fprintln(w, note)
		}
	}
	for _, line := range r.attached.waits {
		fmt.Fprintln(w, "skprobe:", line)
	}
	for _, line := range summaries(r.attached.patterns) {
		fmt.Fprintln(w, line)
	}
	for _, err := range r.attached.program.Without {
		fmt.Fprintln(w, "skprobe: warning: an event cannot be had on this kernel:", err)
	}
	if missing := absentColumns(r.attached.program); len(missing) > 0 {
		fmt.Fprintf(w, "%s%s (-v says why)\n", AbsentColumns, strings.Join(missing, ", "))
	}
	if r.cfg.Verbose {
		for _, err := range r.attached.program.Missing {
			fmt.Fprintln(w, "not in this kernel's layouts:", err)
		}
	}
	r.warn()
	if r.cfg.Verbose {
		fmt.Fprintln(w, "reading through", r.reader.Backend())
	}
	if len(r.cfg.Program) == 0 {
		fmt.Fprintf(w, "tracing %s (%d probes); Ctrl-C ends\n", r.cfg.Tool.Name, r.attached.places(r.cfg.traced))
	}
}

// warn tells what the reader warns of and was not told yet. It reports whether
// there was anything.
func (r *run) warn() bool {
	warning := r.reader.Warning()
	if warning == nil {
		return false
	}
	lines := strings.Split(warning.Error(), "\n")
	for _, line := range lines[r.warned:] {
		fmt.Fprintln(r.cfg.Stderr, "skprobe: warning:", line)
	}
	told := len(lines) > r.warned
	r.warned = len(lines)
	return told
}

// AbsentColumns begins the line that lists columns that some events lack.
const AbsentColumns = "skprobe: warning: what is known of this kernel's structs does not suffice for these columns: "

// absentColumns are those that some events cannot have on this kernel.
func absentColumns(p *event.Program) (all []string) {
	for _, err := range p.Missing {
		var f *event.FieldError
		if !errors.As(err, &f) {
			continue
		}
		for _, name := range f.Columns {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}
