package perfring

import "fmt"

// Error is a refusal of perf, with what is known about its cause.
type Error struct {
	// Op is what was tried: "open event 1234 on CPU 0".
	Op string
	// Err wraps the errno.
	Err error
	// Why says what is in the way, and what to do about it; it may be empty.
	Why string
}

func (e *Error) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("perf: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("perf: %s: %v (%s)", e.Op, e.Err, e.Why)
}

// Unwrap returns the error below, which wraps the errno.
func (e *Error) Unwrap() error { return e.Err }
