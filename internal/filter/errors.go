package filter

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/skprobe/skprobe/internal/event"
)

// An Error is what is wrong with a condition, in one line. With %+v it is
// followed by the condition and a caret below the place.
type Error struct {
	Text    string // the condition
	Offset  int    // in Text, in bytes
	Message string
}

func (e *Error) Error() string {
	if e.Offset == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (at character %d)", e.Message, e.column()+1)
}

func (e *Error) column() int { return utf8.RuneCountInString(e.Text[:e.Offset]) }

// Caret returns the condition and, in a second line, a caret below the place.
func (e *Error) Caret() string {
	blank := strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")
	return blank.Replace(e.Text) + "\n" + strings.Repeat(" ", e.column()) + "^"
}

// Format implements fmt.Formatter.
func (e *Error) Format(s fmt.State, verb rune) {
	io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		io.WriteString(s, "\n  "+strings.ReplaceAll(e.Caret(), "\n", "\n  "))
	}
}

// Unknown is what to say of a name that no field of the schema has.
func Unknown(name string, s *event.Schema) string { return unknown(name, fieldsOf(s)) }

// unknown returns the message for a name that no field has.
func unknown(name string, fields []*field) string {
	var names, near []string
	for _, f := range fields {
		names = append(names, f.name)
		if isNear(name, f.name) {
			near = append(near, f.name)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return farness(name, a) - farness(name, b) })
	hint := ""
	if len(near) > 0 {
		hint = "; did you mean " + strings.Join(near[:min(len(near), 3)], " or ") + "?"
	}
	return fmt.Sprintf("no field %q here%s fields: %s", name, hint+[2]string{";", ""}[min(len(near), 1)], strings.Join(names, " "))
}

// noValue returns the message for a text that no value of a field can be.
func noValue(text string, f *field, known []string) string {
	what := f.name
	if f.kind != nil && f.kind.Name != "" && f.kind.Name != "enum" {
		what = f.kind.Name
	}
	message := fmt.Sprintf("%q is no %s", text, what)
	var near []string
	for _, name := range known {
		if distance(strings.ToLower(text), strings.ToLower(name)) <= max(1, len(name)/4) {
			near = append(near, name)
		}
	}
	switch {
	case len(near) > 0:
		return message + "; did you mean " + strings.Join(near[:min(len(near), 3)], " or ") + "?"
	case len(known) > 0 && len(known) <= 16:
		return message + "; known: " + strings.Join(known, " ")
	}
	return message
}

// synonyms are names of the same thing in other tools, and ours.
var synonyms = map[string][]string{
	"port": {"lport", "rport", "sport", "dport"},
	"addr": {"laddr", "raddr", "saddr", "daddr"},
	"ip":   {"laddr", "raddr", "saddr", "daddr"},
	"src":  {"laddr", "saddr"}, "dst": {"raddr", "daddr"},
	"sport": {"lport"}, "dport": {"rport"}, "saddr": {"laddr"}, "daddr": {"raddr"},
	"process": {"comm"}, "name": {"comm"}, "command": {"comm"}, "execname": {"comm"},
	"length": {"len", "size"}, "bytes": {"size", "len"}, "len": {"size"}, "size": {"len"},
	"dev": {"ifname"}, "iface": {"dev"}, "interface": {"dev"},
}

func isNear(typed, name string) bool {
	typed = strings.ToLower(typed)
	return slices.Contains(synonyms[typed], name) ||
		distance(typed, name) <= max(1, min(2, len(name)/2-1)) ||
		len(typed) > 2 && strings.HasPrefix(name, typed)
}

// farness orders near names: what is meant by it elsewhere comes first.
func farness(typed, name string) int {
	if slices.Contains(synonyms[strings.ToLower(typed)], name) {
		return 0
	}
	return distance(typed, name)
}

// distance is how many characters must be put in, left out, replaced or
// swapped with their neighbour to make b of a.
func distance(a, b string) int {
	var before []int // the row above the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
