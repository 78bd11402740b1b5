package tracefs

import "strings"

// A Symbol is a name that an event's print format has for a number of a field.
type Symbol struct {
	Name  string
	Value int64
}

// Symbols returns the names that the print format has for the numbers of a field, in its order: those of
// __print_symbolic(REC->FIELD, { 2, "NO_SOCKET" }, …). nil where there are none. They are those of the running kernel: the same name may
// have another number in the next.
func (f *Format) Symbols(field string) []Symbol {
	for rest := f.PrintFmt; ; {
		_, call, ok := strings.Cut(rest, "__print_symbolic(")
		if !ok {
			return nil
		}
		value, list, _ := strings.Cut(call, "{")
		if namesField(value, field) {
			return parseNames("{" + list)
		}
		rest = call
	}
}

// namesField tells whether a C expression is about REC->field and not about one with a longer name.
func namesField(expr, field string) bool {
	_, after, ok := strings.Cut(expr, "REC->"+field)
	return ok && (after == "" || !isNameByte(after[0]))
}
