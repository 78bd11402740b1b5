package fetchargs

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller can test for with [errors.Is].
var (
	// ErrNoType: the source of layouts has no such type or function.
	ErrNoType = errors.New("no type information")
	// ErrNoMember: a struct or union has no member of that name, or a
	// function no parameter of it, on this kernel.
	ErrNoMember = errors.New("no such member")
	// ErrLimit: the kernel would refuse the definition because it is too
	// long, too deep or has too many arguments.
	ErrLimit = errors.New("kernel limit exceeded")
	// ErrNotFetchable: the value exists in C but fetch-args cannot express
	// how to reach it (for example a seventh parameter, or a sum of two
	// values).
	ErrNotFetchable = errors.New("not reachable by fetch-args")
	// ErrFollows: a pointer that a static tracepoint recorded would have to
	// be followed, which only an event probe can ([Target.Fetched]). It is
	// an ErrNotFetchable too.
	ErrFollows = fmt.Errorf("%w: a pointer that a tracepoint recorded", ErrNotFetchable)
)

// An ExprError is a fault at one place of an expression or fetch-arg.
type ExprError struct {
	Expr   string // the whole text
	Offset int    // bytes from its start to the fault
	Msg    string
	Err    error // one of the errors above, or nil for a fault of syntax
	// Name is the name that does not exist, and Known those that do, where
	// that is the fault: enough to suggest another.
	Name   string
	Known  []string
	within *Type // the struct that has Known
}

// Inside lists what the members in Known have as members themselves, as
// "__sk_common.skc_dport".
func (e *ExprError) Inside() []string {
	if e.within == nil {
		return nil
	}
	return e.within.innerNames()
}

func (e *ExprError) suggest(name string, known []string) {
	e.Name, e.Known = name, known
}

func (e *ExprError) Error() string {
	return fmt.Sprintf("%q, offset %d: %s", e.Expr, e.Offset, e.Msg)
}

// Unwrap returns the class of the fault.
func (e *ExprError) Unwrap() error { return e.Err }

// Caret returns two lines: the text, and a caret under the fault.
func (e *ExprError) Caret() string {
	return e.Expr + "\n" + strings.Repeat(" ", max(0, min(e.Offset, len(e.Expr)))) + "^"
}
