package pcapfilter

import "strings"

// A token is a word, an operator, or with the kind end nothing.
type token struct {
	kind tokenKind
	text string
	pos  int
}

type tokenKind uint8

const (
	end tokenKind = iota
	word
	operator
)

// operators, the longer ones first.
var operators = []string{"&&", "||", "!=", ">=", "<=", "==", "<<", ">>", "(", ")", "[", "]", "!", "&", "|", "=", "<", ">", "+", "-", "*", "/", ":", "%", "^"}

// lex takes the expression apart. What belongs to a word depends on where it
// is: a colon is part of an address, but in brackets it is an operator, and so
// is a hyphen that nothing precedes.
func lex(text string) ([]token, *Error) {
	var all []token
	depth := 0
	for i := 0; i < len(text); {
		if strings.IndexByte(" \t\n\r", text[i]) >= 0 {
			i++
			continue
		}
		if n := wordLen(text[i:], depth > 0); n > 0 {
			all = append(all, token{word, text[i : i+n], i})
			i += n
			continue
		}
		op := ""
		for _, o := range operators {
			if strings.HasPrefix(text[i:], o) {
				op = o
				break
			}
		}
		switch op {
		case "":
			return nil, &Error{text, i, "this character has no meaning here"}
		case "[":
			depth++
		case "]":
			depth--
		}
		all = append(all, token{operator, op, i})
		i += len(op)
	}
	return append(all, token{end, "", len(text)}), nil
}

// wordLen is the length of the word with which s begins, 0 for none.
func wordLen(s string, inBrackets bool) int {
	n := 0
	for n < len(s) {
		c := s[n]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '.':
		case c == '\\' && n == 0 && len(s) > 1:
		case c == '-' && n > 0 && !inBrackets:
		case c == ':' && !inBrackets && (n > 0 || strings.HasPrefix(s, "::")):
		default:
			return n
		}
		n++
	}
	return n
}
