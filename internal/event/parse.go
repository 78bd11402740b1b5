package event

import (
	"fmt"
	"slices"
	"strings"
)

// ParseProbe reads a probe as it is written on the command line:
//
//	PLACE [[NAME=]EXPR[:KIND]]…
//
// PLACE is FUNCTION[+OFFSET][%return], FUNCTION:LINE, FUNCTION%LABEL, FILE:LINE,
// t:GROUP:EVENT or u:FILE:FUNCTION[+OFFSET][%return], and a name in it may be a
// pattern. Fields are separated by spaces outside parentheses. A fault is a
// [*ParseError] with its place.
func ParseProbe(text string) (Source, error) {
	words, err := splitFields(text)
	if err != nil {
		return Source{}, err
	}
	if len(words) == 0 {
		return Source{}, &ParseError{text, 0, "a function is needed"}
	}
	p, err := parsePlace(text, words[0])
	if err != nil {
		return Source{}, err
	}
	for _, w := range words[1:] {
		f, err := parseField(text, w)
		if err != nil {
			return Source{}, err
		}
		p.Fields = append(p.Fields, f)
	}
	p.All = p.Tracepoint != "" && !p.Glob && len(p.Fields) == 0
	return Source{Name: words[0].text, Probes: []Probe{p}}, nil
}

// A ParseError is a fault in the text of a probe.
type ParseError struct {
	Text   string
	Offset int // bytes from its start
	Msg    string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("%q, offset %d: %s", e.Text, e.Offset, e.Msg)
}

type word struct {
	text string
	pos  int
}

// splitFields splits at white space outside parentheses, brackets and quotation
// marks, in which a path may be. Space
// around an operator inside a field is not possible: the next field would
// begin there.
func splitFields(text string) ([]word, error) {
	var words []word
	depth, start, quoted := 0, -1, false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			if depth--; depth < 0 {
				return nil, &ParseError{text, i, fmt.Sprintf("%q closes nothing", c)}
			}
		}
		space := c == ' ' || c == '\t' || c == '\n'
		if space && depth == 0 && !quoted {
			if start >= 0 {
				words = append(words, word{text[start:i], start})
				start = -1
			}
		} else if start < 0 {
			start = i
		}
	}
	if depth > 0 {
		return nil, &ParseError{text, len(text), "a parenthesis is not closed"}
	}
	if quoted {
		return nil, &ParseError{text, len(text), "a quotation mark is not closed"}
	}
	if start >= 0 {
		words = append(words, word{text[start:], start})
	}
	return words, nil
}

func parseField(text string, w word) (Field, error) {
	var f Field
	rest, pos := w.text, w.pos
	if i := strings.IndexByte(rest, '='); i >= 0 {
		if !isName(rest[:i]) {
			return f, &ParseError{text, pos, fmt.Sprintf("%q is no name for a column: use letters, digits and _", rest[:i])}
		}
		f.Name, rest, pos = rest[:i], rest[i+1:], pos+i+1
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		f.KindName = rest[i+1:]
		if err := CheckKind(f.KindName); err != nil {
			return f, &ParseError{text, pos + i + 1, err.Error()}
		}
		rest = rest[:i]
	}
	if rest == "" {
		return f, &ParseError{text, pos, "an expression is needed here"}
	}
	f.Expr, f.pos = rest, pos
	return f, nil
}

// columnName is the name of a field that has none: the last name in its
// expression.
func columnName(expr string) string {
	words := strings.FieldsFunc(expr, func(r rune) bool { return r > '~' || !isNameByte(byte(r)) })
	for _, name := range slices.Backward(words) {
		if isName(name) {
			return name
		}
	}
	return "value"
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}
