package dwarfloc

import (
	"fmt"
	"slices"
)

// An Origin says what a value starts from.
type Origin uint8

// What a value can start from.
const (
	Constant Origin = iota // nothing: Add is the value
	Register               // what register Reg has
	AtEntry                // what register Reg had when the function was entered
	Address                // the address Add of the program, as it was linked
)

// A Value is where a variable is, or what it is: memory is read as often as Loads
// has offsets, each time at what was reached until then plus the offset; Add is
// added at the end.
type Value struct {
	From  Origin
	Reg   int // by its DWARF number
	Loads []int64
	Add   int64
	// Memory: the variable lies in memory at that address. Otherwise it is
	// that value.
	Memory bool
	// Bits are how many bits of the value, from the lowest on, are right: 64
	// unless the expression extends a shorter number.
	Bits int
}

// An UnknownError is a location that cannot be said as a [Value].
type UnknownError struct{ Msg string }

func (e *UnknownError) Error() string { return e.Msg }

// OptimisedOut is the error for a variable that has no place.
var OptimisedOut = &UnknownError{"optimised out here"}

func unknown(format string, args ...any) error { return &UnknownError{fmt.Sprintf(format, args...)} }

// plus adds a constant.
func (v Value) plus(n int64) Value {
	v.Add += n
	return v
}

// load reads memory there.
func (v Value) load() (Value, error) {
	if v.Bits < 64 {
		return v, unknown("computed: an address of %d bits", v.Bits)
	}
	if v.From == Constant {
		v.From = Address
	}
	v.Loads, v.Add = append(slices.Clone(v.Loads), v.Add), 0
	return v, nil
}

// isNumber tells a value that is known.
func (v Value) isNumber() bool { return v.From == Constant && len(v.Loads) == 0 }

// narrow says that only so many bits are right.
func (v Value) narrow(bits int) Value {
	v.Bits = min(v.Bits, bits)
	return v
}
