package pcapfilter

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// An Error is what is wrong with an expression, in one line. With %+v it is
// followed by the expression and a caret below the place.
type Error struct {
	Text    string // the expression
	Offset  int    // in Text, in bytes
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (at character %d)", e.Message, e.column()+1)
}

func (e *Error) column() int { return utf8.RuneCountInString(e.Text[:e.Offset]) }

// Format implements fmt.Formatter.
func (e *Error) Format(s fmt.State, verb rune) {
	io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		blank := strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")
		io.WriteString(s, "\n  "+blank.Replace(e.Text)+"\n  "+strings.Repeat(" ", e.column())+"^")
	}
}
