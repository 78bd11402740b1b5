// Package dwarfloc reads what debug information says of code: at which addresses
// the statements of a source line begin, where a variable is when the processor
// is at an address, and what its frame is there. It is given the sections, and
// opens nothing.
//
// A location is an expression for a stack machine (DWARF 5, section 2.5), which
// a debugger runs with the registers of a stopped program. Here it is run with
// symbols in their place: what comes out is a register, some reads of memory and
// a constant, which is what a fetch-arg can say, or the reason why it cannot.
package dwarfloc
