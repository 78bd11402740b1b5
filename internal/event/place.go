package event

import (
	"fmt"
	"strconv"
	"strings"
)

// parsePlace reads where a probe is:
//
//	FUNCTION[+OFFSET][%return]    of the kernel, MODULE:FUNCTION of a module
//	FUNCTION:LINE, FUNCTION%LABEL, FILE:LINE    see sourcePlace
//	t:GROUP:EVENT                 a tracepoint
//	u:FILE:FUNCTION[+OFFSET][%return]    of a program or library; a path with spaces in quotation marks
//
// A name with *, ? or [a-z] stands for all that match.
func parsePlace(text string, w word) (Probe, error) {
	switch {
	case strings.HasPrefix(w.text, "t:"):
		return parseTracepoint(text, w)
	case strings.HasPrefix(w.text, "u:"):
		return parseUser(text, w)
	}
	if src, ok, err := sourcePlace(text, w); ok {
		return Probe{Source: src}, err
	}
	p, err := parseFunction(text, w)
	if err != nil {
		return p, err
	}
	module, name, in := strings.Cut(p.Funcs[0], ":")
	for i, c := range []byte(p.Funcs[0]) {
		if !isNameByte(c) && c != '.' && !isGlobByte(c) && !isRange(p.Funcs[0], i) && (!in || i > len(module) || c != ':' && c != '-') {
			return p, &ParseError{text, w.pos + i, fmt.Sprintf("%q cannot be in the name of a function", c)}
		}
	}
	if in && (module == "" || name == "") {
		return p, &ParseError{text, w.pos, "a function of a module is written MODULE:FUNCTION"}
	}
	return p, nil
}

// parseFunction takes the offset or %return off a function.
func parseFunction(text string, w word) (Probe, error) {
	var p Probe
	place := w.text
	if i := strings.IndexByte(place, '%'); i >= 0 {
		if place[i:] != "%return" {
			return p, &ParseError{text, w.pos + i, "only %return or %LABEL can follow a function"}
		}
		p.Return, place = true, place[:i]
	}
	if i := strings.IndexByte(place, '+'); i >= 0 {
		n, err := strconv.ParseUint(place[i+1:], 0, 31)
		switch {
		case err != nil:
			return p, &ParseError{text, w.pos + i + 1, "the offset after + is a number of bytes"}
		case p.Return && n != 0:
			return p, &ParseError{text, w.pos + i, "a return probe has no offset"}
		}
		p.Offset, place = n, place[:i]
	}
	if place == "" {
		return p, &ParseError{text, w.pos, "the name of a function is needed first"}
	}
	p.Funcs, p.Glob = []string{place}, isGlob(place)
	if p.Glob && p.Offset != 0 {
		return p, &ParseError{text, w.pos + strings.IndexByte(w.text, '+'), "an offset is in one function, not in all that match"}
	}
	return p, nil
}

func parseTracepoint(text string, w word) (Probe, error) {
	group, event, ok := strings.Cut(w.text[2:], ":")
	if !ok || group == "" || event == "" {
		return Probe{}, &ParseError{text, w.pos, "a tracepoint is written t:GROUP:EVENT, for example t:sched:sched_switch"}
	}
	for i, c := range []byte(w.text) {
		if i >= 2 && !isNameByte(c) && !strings.ContainsRune(":-", rune(c)) && !isGlobByte(c) {
			return Probe{}, &ParseError{text, w.pos + i, fmt.Sprintf("%q cannot be in the name of a tracepoint", c)}
		}
	}
	name := group + ":" + event
	return Probe{Tracepoint: name, Glob: isGlob(name)}, nil
}

func parseUser(text string, w word) (Probe, error) {
	file, function := w.text[2:], ""
	i := strings.LastIndexByte(file, ':')
	if i > 0 {
		file, function = file[:i], file[i+1:]
	}
	if i <= 0 || function == "" {
		return Probe{}, &ParseError{text, w.pos, "a function of a program or library is written u:FILE:FUNCTION, for example u:/bin/bash:readline"}
	}
	p, err := parseFunction(text, word{function, w.pos + 2 + i + 1})
	p.File = strings.Trim(file, `"`)
	return p, err
}

// isGlob tells a name that stands for all that match.
func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

func isGlobByte(c byte) bool { return strings.IndexByte("*?[]^", c) >= 0 }

// isRange tells whether the byte at i of a pattern is the - of [a-z].
func isRange(name string, i int) bool {
	return name[i] == '-' && strings.LastIndexByte(name[:i], '[') > strings.LastIndexByte(name[:i], ']')
}
