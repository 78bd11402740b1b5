package fetchargs

import (
	"fmt"
	"math"
	"slices"
)

// A Dialect is what one kernel's fetch-arg parser accepts. It is found by
// trial definitions, not by version: stable and vendor kernels backport.
type Dialect struct {
	// Hex: the types x8…x64 (4.8). Without them u8…u64 hold the same bytes.
	Hex bool
	// Arrays: TYPE[N] (4.20).
	Arrays bool
	// UserMemory: +uOFF() and ustring (5.3).
	UserMemory bool
	// CommArg: $comm (4.8).
	CommArg bool
	// ReturnArgs: $argN in return probes, with the values that the function
	// was called with (6.9).
	ReturnArgs bool
	// Current: $current (7.3). Where it is missing, a fetch from [Current] is
	// defined once for each CPU, with memory of that CPU in its place.
	Current bool
	// CommFilter: event filters know comm and CPU (4.3).
	CommFilter bool
}

// Dialects of kernels between which the language changed, for recorded
// kernels and for tests that force an old one.
var (
	Dialect310 = Dialect{}
	Dialect44  = Dialect{CommFilter: true}
	Dialect419 = Dialect{CommFilter: true, Hex: true, CommArg: true}
	Dialect420 = Dialect{CommFilter: true, Hex: true, CommArg: true, Arrays: true}
	Dialect53  = Dialect{CommFilter: true, Hex: true, CommArg: true, Arrays: true, UserMemory: true}
	Dialect69  = Dialect{CommFilter: true, Hex: true, CommArg: true, Arrays: true, UserMemory: true, ReturnArgs: true}
)

// Limits of all kernels from 3.10 to 7.1 (kernel/trace/trace_probe.h); what
// goes beyond them is refused with E2BIG or EINVAL, or silently cut, or has
// crashed the kernel, depending on its version.
const (
	MaxArgs      = 128           // arguments of one probe
	MaxArgText   = 63            // bytes of one argument after the name
	MaxArgName   = 31            // bytes of its name
	MaxLine      = 4093          // bytes of one definition
	MaxArray     = 64            // elements of an array
	MaxLoads     = 12            // nested loads; a fetch has 16 steps (FETCH_INSN_MAX)
	MaxOffset    = math.MaxInt32 // of a load, in both directions: more is cut off (struct fetch_insn)
	MaxFixedSize = 2000          // bytes of the fixed part: a perf record holds 2,048 on older kernels
)

// Check reports whether the kernel would take args in one definition; the
// error wraps [ErrLimit] and names the argument.
func Check(args []Arg) error {
	if len(args) > MaxArgs {
		return fmt.Errorf("%w: %d arguments, at most %d", ErrLimit, len(args), MaxArgs)
	}
	size := 0
	for _, a := range args {
		text := a.Fetch()
		switch {
		case len(text) > MaxArgText:
			return fmt.Errorf("%w: argument %s=%s has %d characters, at most %d", ErrLimit, a.Name, text, len(text), MaxArgText)
		case len(a.Name) > MaxArgName:
			return fmt.Errorf("%w: the name %s has %d characters, at most %d", ErrLimit, a.Name, len(a.Name), MaxArgName)
		case len(a.Loads) > MaxLoads:
			return fmt.Errorf("%w: argument %s=%s follows %d pointers, at most %d", ErrLimit, a.Name, text, len(a.Loads), MaxLoads)
		case a.Type.Count > MaxArray:
			return fmt.Errorf("%w: argument %s=%s has %d elements, at most %d", ErrLimit, a.Name, text, a.Type.Count, MaxArray)
		case slices.ContainsFunc(a.Loads, func(l Load) bool { return l.Offset > MaxOffset || l.Offset < -MaxOffset }):
			return fmt.Errorf("%w: argument %s=%s has an offset over %d", ErrLimit, a.Name, text, MaxOffset)
		}
		size += a.Size()
	}
	if size > MaxFixedSize {
		return fmt.Errorf("%w: the record would have %d bytes, at most %d", ErrLimit, size, MaxFixedSize)
	}
	return nil
}
