package fetchargs

import "fmt"

// An Arch is a processor architecture whose calling convention is known.
type Arch string

// The architectures that skprobe knows, by their Go names. Both are 64-bit
// and little-endian.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Registers that carry integer parameters, in order, by the names that the
// kernel's regs_query_register_offset knows (arch/x86/kernel/ptrace.c,
// arch/arm64/kernel/ptrace.c).
var paramRegisters = map[Arch][]string{
	AMD64: {"di", "si", "dx", "cx", "r8", "r9"},
	ARM64: {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"},
}

// stackParam is the index of the stack word ($stackN) that holds the first
// parameter after the registers, at the first instruction of a function: on
// amd64 the return address lies below it.
var stackParam = map[Arch]int{AMD64: 1, ARM64: 0}

// Known reports whether parameters can be found on a.
func (a Arch) Known() bool { return paramRegisters[a] != nil }

// Param returns where parameter i (from 0) of a function is when it is
// entered, by the C calling convention for integers and pointers.
func (a Arch) Param(i int) (Base, error) {
	regs := paramRegisters[a]
	if regs == nil {
		return Base{}, fmt.Errorf("%w: the calling convention of %q is not known", ErrNotFetchable, a)
	}
	if i < len(regs) {
		return Base{Kind: Register, Name: regs[i]}, nil
	}
	return Base{Kind: StackWord, Num: int64(i - len(regs) + stackParam[a])}, nil
}

// goRegisters carry the parameters of Go functions, in order (the Go internal
// ABI specification, from Go 1.17 on amd64 and 1.18 on arm64). A string takes
// two, a slice three, an interface two.
var goRegisters = map[Arch][]string{
	AMD64: {"ax", "bx", "cx", "di", "si", "r8", "r9", "r10", "r11"},
	ARM64: {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15"},
}

// goParam returns where word i (from 0) of the parameters of a Go function is.
func (a Arch) goParam(i int) (Base, error) {
	if regs := goRegisters[a]; i < len(regs) {
		return Base{Kind: Register, Name: regs[i]}, nil
	}
	return Base{}, fmt.Errorf("%w: only the first %d words of a Go function's parameters are in registers", ErrNotFetchable, len(goRegisters[a]))
}
