package tracefs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// FilterError is a filter that the kernel refused, with the kernel's own words.
type FilterError struct {
	Expr string
	// Msg is the kernel's text, for example "Field not found"; empty where it gave none.
	Msg string
	// Offset is where the kernel saw the fault, in bytes from 0; it is often the end of the wrong word. -1 where it is not known.
	Offset int
	Err    error
}

func (e *FilterError) Error() string {
	if e.Msg == "" {
		return fmt.Sprintf("filter %q: %v", e.Expr, e.Err)
	}
	return fmt.Sprintf("filter %q: %s: %v", e.Expr, e.Msg, e.Err)
}

// Unwrap returns the errno.
func (e *FilterError) Unwrap() error { return e.Err }

// SetFilter sets the filter of an event, as in Documentation/trace/events.rst; "0" or "" takes it away. It is the filter of the
// event for readers of tracefs: perf's rings have one of their own, in the same language, whose refusals carry no
// words. So this is also the way to check a perf filter. A refusal is a [*FilterError].
func (f *FS) SetFilter(group, event, expr string) error {
	if !validName(group) || !validName(event) {
		return fmt.Errorf("filter of %q/%q: not the name of an event: %w", group, event, syscall.EINVAL)
	}
	if expr == "" {
		expr = "0"
	}
	name := f.path("events", group, event, "filter")
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString(expr)
	if err = errors.Join(err, w.Close()); err == nil {
		return nil
	}
	refused := &FilterError{Expr: expr, Offset: -1, Err: err}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		refused.Err = errno
	}
	if text, readErr := os.ReadFile(name); readErr == nil {
		refused.Msg, refused.Offset = parseFilterError(string(text))
	}
	return refused
}

// CheckFilter asks the kernel whether it would take this filter for the event, and leaves the event without a filter.
func (f *FS) CheckFilter(group, event, expr string) error {
	if err := f.SetFilter(group, event, expr); err != nil {
		// A refused text stays in the file, as its error message, until it is cleared.
		f.SetFilter(group, event, "0")
		return err
	}
	return f.SetFilter(group, event, "0")
}

// parseFilterError takes the kernel's words from a filter file after a refusal (append_filter_err in
// kernel/trace/trace_events_filter.c, 3.10 and later):
//
//	nosuch == 1
//	       ^
//	parse_error: Field not found
func parseFilterError(text string) (msg string, offset int) {
	offset = -1
	for line := range strings.SplitSeq(text, "\n") {
		if m, ok := strings.CutPrefix(line, "parse_error: "); ok {
			msg = strings.TrimSpace(m)
		} else if strings.TrimLeft(line, " ") == "^" {
			offset = len(line) - 1
		}
	}
	return msg, offset
}
