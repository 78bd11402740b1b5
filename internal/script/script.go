// Package script reads script files: command lines of skprobe, a word of them on
// each line.
//
//	# Who sends to a port
//	probe udp_sendmsg sk:sock len
//	where rport == $1
//	count-by comm
//	every 2s
//
// A line is probe with a probe, graph with functions, the name of a tool, or a
// flag without its dashes, with its value; "-- PROGRAM ARGS" is the program to
// be traced. $1 and so on are the arguments of the script. A line that ends
// with a backslash goes on in the next.
package script

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Script is a command line, taken apart.
type Script struct {
	Name string // of the file
	// Command is probe, graph or a tool.
	Command string
	Words   []Line // its arguments: probes, or functions
	Flags   []Line
	Program []string
}

// A Line is a part of a script.
type Line struct {
	Name string // of a flag, "" for other words
	Text string // the value, or the word
	// Set tells that a flag has a value.
	Set bool

	At   Position // of Text, or of the flag where it has none
	From Position // of the line's first word
}

// A Position is a place in a script, counted from 1; columns count bytes.
type Position struct {
	Line, Column int
}

// An Error is a fault in a script.
type Error struct {
	File string
	Position
	Msg string
	Err error // what was refused, nil for a fault of form
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxSize is the longest script that is read, in bytes.
const maxSize = 1 << 20

// argument is $1 to $99; $arg1, $retval and so on are fetch-args.
var argument = regexp.MustCompile(`\$[0-9]{1,2}`)

// Parse reads a script and puts its arguments in; isTool tells which words are
// names of tools. A fault is an [*Error].
func Parse(name string, r io.Reader, args []string, isTool func(string) bool) (*Script, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	s := &Script{Name: name}
	if len(text) > maxSize {
		return nil, &Error{File: name, Position: Position{1, 1}, Msg: "the script is longer than 1 MiB"}
	}
	p := &parser{Script: s, isTool: isTool, args: args, used: make([]bool, len(args))}
	lines := strings.Split(string(text), "\n")
	for n := 0; n < len(lines); n++ {
		at := Position{n + 1, 1}
		line := strings.TrimRight(lines[n], " \t\r")
		for strings.HasSuffix(line, `\`) && n+1 < len(lines) {
			n++
			line = strings.TrimSuffix(line, `\`) + " " + strings.TrimSpace(lines[n])
		}
		if err := p.line(line, at); err != nil {
			return nil, err
		}
	}
	if s.Command == "" && len(s.Flags) > 0 {
		first := s.Flags[0]
		return nil, p.fault(first.From, "%q: a script needs a line such as \"probe udp_sendmsg len\", or the name of a tool, alone on its line", first.Name)
	}
	if s.Command == "" {
		return nil, p.fault(Position{1, 1}, "nothing to do: a line such as \"probe udp_sendmsg len\", or the name of a tool, is needed")
	}
	if i := slices.Index(p.used, false); i >= 0 {
		return nil, p.fault(Position{1, 1}, "the script does not use its argument $%d, %q", i+1, args[i])
	}
	return s, nil
}

type parser struct {
	*Script
	isTool func(string) bool
	args   []string
	used   []bool
}

func (p *parser) fault(at Position, format string, args ...any) error {
	return &Error{File: p.Name, Position: at, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) line(line string, at Position) error {
	trimmed := strings.TrimLeft(line, " \t")
	at.Column += len(line) - len(trimmed)
	if trimmed == "" || trimmed[0] == '#' {
		return nil
	}
	text, err := p.fill(trimmed, at)
	if err != nil {
		return err
	}
	word, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	value := strings.TrimSpace(rest)
	behind := at
	behind.Column += len(text) - len(strings.TrimLeft(text[len(word):], " \t"))
	switch {
	case word == "--":
		return p.program(value, at)
	case word == "probe":
		if value == "" {
			return p.fault(at, "a probe is needed, for example: probe inet_sendmsg size")
		}
		p.Words = append(p.Words, Line{Text: value, Set: true, At: behind, From: at})
		return p.command(word, at)
	case word == "graph":
		for _, f := range strings.Fields(value) {
			p.Words = append(p.Words, Line{Text: f, Set: true, At: behind, From: at})
		}
		return p.command(word, at)
	}
	if value == "" && p.isTool(word) {
		return p.command(word, at)
	}
	p.Flags = append(p.Flags, Line{Name: strings.TrimPrefix(word, "--"), Text: value, Set: value != "", At: behind, From: at})
	return nil
}

// command notes what the script runs: one thing.
func (p *parser) command(name string, at Position) error {
	if p.Command != "" && p.Command != name {
		return p.fault(at, "%s and %s cannot be in one script", p.Command, name)
	}
	p.Command = name
	return nil
}

// fill puts the script's arguments in.
func (p *parser) fill(line string, at Position) (filled string, err error) {
	filled = argument.ReplaceAllStringFunc(line, func(word string) string {
		n, _ := strconv.Atoi(word[1:])
		if n < 1 || n > len(p.args) {
			if err == nil {
				at.Column += strings.Index(line, word)
				err = p.fault(at, "%s: the script was given %d arguments", word, len(p.args))
			}
			return word
		}
		p.used[n-1] = true
		return p.args[n-1]
	})
	return filled, err
}

// program splits the words of a program, as a shell does for quotes.
func (p *parser) program(text string, at Position) error {
	var words []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && c == ' ':
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	switch {
	case quote != 0:
		return p.fault(at, "a quotation mark is not closed")
	case len(words) == 0:
		return p.fault(at, "a program is needed after --")
	case p.Program != nil:
		return p.fault(at, "there is a program already")
	}
	p.Program = words
	return nil
}

// minPart is how long a word must be for its being in a message to mean anything.
const minPart = 2

// Locate finds the line that an error is about: that with the text, at offset
// bytes from its start, or otherwise the one of which most is in the message.
func (s *Script) Locate(err error, text string, offset int) error {
	var best *Line
	most := 0
	for _, lines := range [][]Line{s.Words, s.Flags} {
		for i := range lines {
			l := &lines[i]
			if text != "" {
				if at := strings.Index(l.Text, text); at >= 0 {
					pos := l.At
					pos.Column += at + offset
					return &Error{File: s.Name, Position: pos, Msg: err.Error(), Err: err}
				}
			}
			first, _, _ := strings.Cut(l.Text, " ")
			for _, part := range []string{l.Text, first} {
				if len(part) > max(most, minPart) && strings.Contains(err.Error(), part) {
					best, most = l, len(part)
				}
			}
		}
	}
	pos := Position{1, 1}
	if best != nil {
		pos = best.At
	} else if len(s.Words) > 0 {
		pos = s.Words[0].From
	}
	return &Error{File: s.Name, Position: pos, Msg: err.Error(), Err: err}
}
