package tracefs

import (
	"strconv"
	"strings"
)

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
			return symbols(list)
		}
		rest = call
	}
}

// namesField tells whether a C expression is about REC->field and not about one with a longer name.
func namesField(expr, field string) bool {
	_, after, ok := strings.Cut(expr, "REC->"+field)
	return ok && (after == "" || !isNameByte(after[0]))
}

// symbols parses `2, "NAME" }, { 3, "OTHER" })…`. It ends with the list, or with the first thing that is none.
func symbols(list string) []Symbol {
	var all []Symbol
	for {
		number, rest, ok := strings.Cut(list, ",")
		if !ok {
			return all
		}
		rest, ok = strings.CutPrefix(strings.TrimSpace(rest), `"`)
		if !ok {
			return all
		}
		name, rest, ok := strings.Cut(rest, `"`)
		if !ok {
			return all
		}
		// What is no number is a name that the kernel did not put a number for.
		if n, err := strconv.ParseInt(strings.TrimSpace(number), 0, 64); err == nil {
			all = append(all, Symbol{name, n})
		}
		rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "}")
		if !ok {
			return all
		}
		rest, ok = strings.CutPrefix(strings.TrimSpace(rest), ",")
		if !ok {
			return all
		}
		if list, ok = strings.CutPrefix(strings.TrimSpace(rest), "{"); !ok {
			return all
		}
	}
}
