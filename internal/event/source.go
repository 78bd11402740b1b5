package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A SourcePlace is a place in the source code. Debug information says where in the
// kernel's code it is, which may be in several places.
type SourcePlace struct {
	Module string // "" for the kernel itself
	// Func is a function. Line counts from that of its name, and Label, if not
	// "", is one in it. Neither: where it begins.
	Func    string
	Label   string
	HasLine bool
	// File, in place of Func, is a source file or the end of its path, in
	// which Line counts from 1.
	File string
	Line int
}

// A Spot is one place in the code that a place in the source became.
type Spot struct {
	Symbol string // that the kernel knows, with its module
	Offset uint64 // bytes from it
	Func   string // the function in the source
	File   string
	Line   int // in File
	// Into is the function into which Func was inlined, "" for none.
	Into   string
	Locals []fetchargs.Local
	// Entry and EntryOffset are, as Symbol and Offset, where the function is
	// entered that has the code.
	Entry       string
	EntryOffset uint64
}

// sourcePlace takes a place in the source: [MODULE:]FUNCTION:LINE,
// [MODULE:]FILE:LINE or [MODULE:]FUNCTION%LABEL. It reports false for any other.
func sourcePlace(text string, w word) (*SourcePlace, bool, error) {
	p := &SourcePlace{}
	rest := w.text
	if i := strings.LastIndexByte(rest, '%'); i >= 0 {
		p.Label, rest = rest[i+1:], rest[:i]
		if p.Label == "return" || !isName(p.Label) {
			return nil, false, nil
		}
	} else if i := strings.LastIndexByte(rest, ':'); i >= 0 && i+1 < len(rest) && rest[i+1] >= '0' && rest[i+1] <= '9' {
		n, err := strconv.ParseUint(rest[i+1:], 10, 31)
		if err != nil {
			return nil, true, &ParseError{text, w.pos + i + 1, "the number of a line is needed after :"}
		}
		p.Line, p.HasLine, rest = int(n), true, rest[:i]
	} else {
		return nil, false, nil
	}
	name := rest
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		p.Module, name = rest[:i], rest[i+1:]
	}
	if isSourceFile(name) && p.HasLine {
		p.File = name
		if p.Line == 0 {
			return nil, true, &ParseError{text, w.pos + len(rest) + 1, "lines of a file count from 1"}
		}
		return p, true, nil
	}
	if !isName(name) || p.Module == "" && name != rest {
		return nil, true, &ParseError{text, w.pos, fmt.Sprintf("%q is no function; before a line or a label stands one function, or before a line a file, as in tcp_rcv_established:12 or net/ipv4/tcp_input.c:5960", rest)}
	}
	p.Func = name
	return p, true, nil
}

func isSourceFile(name string) bool {
	for _, ext := range []string{".c", ".h", ".S"} {
		if strings.HasSuffix(name, ext) && name != ext {
			return true
		}
	}
	return false
}

// compileSpot begins a probe at a place that debug information found.
func (p *Program) compileSpot(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	s := pr.Spot
	c := newCompiled(src, s.Symbol, k)
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect, NoCurrent: k.noCurrent(), Locals: s.Locals, Place: src.Name, Inside: s.Offset != 0}
	if t.Locals == nil {
		t.Locals = []fetchargs.Local{}
	}
	if t.Inside {
		t.NoParams = "they are known by their names here"
	}
	c.Entry = newHalf(s.Symbol, s.Offset, t)
	if slices.ContainsFunc(t.Locals, func(l fetchargs.Local) bool { return l.AtEntry }) {
		t.Locals, t.Inside = fetchargs.Entered(t.Locals), false
		c.Called, c.Left = newHalf(s.Entry, s.EntryOffset, t), newHalf(s.Entry, s.EntryOffset, t)
	}
	return c, nil
}

// noCurrent says why the current task cannot be had, "" where it can.
func (k *Kernel) noCurrent() string {
	if k.NoCurrent == nil {
		return "not known here"
	}
	return k.NoCurrent()
}
