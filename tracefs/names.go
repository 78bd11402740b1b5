package tracefs

import (
	"strconv"
	"strings"
)

// Names is [Format.Symbols] for a field that is printed as it is, not for a part of it; with flags, the names are those of bits
// (__print_flags). See include/trace/stages/stage3_trace_output.h of the kernel.
func (f *Format) Names(field string) (names []Symbol, flags bool) {
	for _, macro := range []string{"__print_symbolic(", "__print_flags(", "__print_symbolic_u64(", "__print_flags_u64("} {
		rest := f.PrintFmt
		for {
			_, after, found := strings.Cut(rest, macro)
			if !found {
				break
			}
			rest = after
			subject, list, _ := strings.Cut(after, ",")
			if !isField(subject, field) {
				continue
			}
			if names := parseNames(list); len(names) > 0 {
				return names, strings.Contains(macro, "flags")
			}
		}
	}
	return nil, false
}

// isField tells whether the first argument of a macro is just the field:
// "REC->state", perhaps cast.
func isField(expr, field string) bool {
	expr = strings.TrimSpace(expr)
	i := strings.LastIndex(expr, "REC->")
	if i < 0 || strings.TrimRight(expr[i+len("REC->"):], ") ") != field {
		return false
	}
	return strings.Trim(expr[:i], "( )abcdefghijklmnopqrstuvwxyz_0123456789") == "" // a cast, and no computation
}

// parseNames reads `{ 1, "ONE" }, { 2, "TWO" }) …` up to the parenthesis that closes the macro; for flags the separator, a text, comes
// first. What is no number is a name that the kernel did not put a number for, and left out.
func parseNames(s string) []Symbol {
	var names []Symbol
	for depth := 0; s != ""; {
		switch c := s[0]; {
		case c == '"':
			_, rest, ok := cutText(s)
			if !ok {
				return names
			}
			s = rest
			continue
		case c == '{':
			number, rest, _ := strings.Cut(s[1:], ",")
			name, rest, ok := cutText(strings.TrimSpace(rest))
			if !ok {
				return names
			}
			if n, ok := constant(number); ok {
				names = append(names, Symbol{name, n})
			}
			_, s, _ = strings.Cut(rest, "}")
			continue
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return names
			}
		}
		s = s[1:]
	}
	return names
}

// cutText takes a C string off the front.
func cutText(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// constant reads a number as the print formats have them: "-1", "0x20UL",
// "(1 << 3)", "(( blk_opf_t)(1ULL << 5))".
func constant(s string) (int64, bool) {
	if i := strings.Index(s, "<<"); i >= 0 {
		base, ok1 := constant(s[:i])
		shift, ok2 := constant(s[i+2:])
		return base << (shift & 63), ok1 && ok2
	}
	s = strings.Trim(s, "() ")
	if i := strings.LastIndexByte(s, ')'); i >= 0 { // after a cast
		s = s[i+1:]
	}
	s = strings.TrimRight(strings.Trim(s, "( "), "ULul")
	if n, err := strconv.ParseInt(s, 0, 64); err == nil {
		return n, true
	}
	n, err := strconv.ParseUint(s, 0, 64)
	return int64(n), err == nil
}
