package session

import "fmt"

// Exit statuses, as documented for the command line.
const (
	ExitDone    = 0
	ExitFailed  = 1 // a failure at run time
	ExitUsage   = 2 // wrong usage
	ExitRefused = 3 // this kernel or these rights do not allow it
	ExitLost    = 4 // events were lost, and --strict was given
)

// An Error is a failure with the exit status that it stands for.
type Error struct {
	Status int
	Err    error
	// Do is what the user can do about it, "" where the error says it.
	Do string
}

func (e *Error) Error() string {
	if e.Do != "" {
		return e.Err.Error() + "; " + e.Do
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refused(do string, err error) error {
	return &Error{Status: ExitRefused, Err: err, Do: do}
}

func usage(format string, args ...any) error {
	return &Error{Status: ExitUsage, Err: fmt.Errorf(format, args...)}
}
