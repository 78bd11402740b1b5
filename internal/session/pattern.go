package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/kernel"
)

// A pattern is a place that stands for all that match.
type pattern struct {
	text    string
	what    string // functions or tracepoints
	matched int
	probed  int
	refused map[string]int // why → how many
	symbols map[string]kernel.Symbol
	others  []uint64 // addresses of functions that match and are not probed
	listed  bool     // it stands for functions, not for a pattern
	module  string   // that is not loaded
	why     error    // why the first place in the source could not be had
}

// refuse counts one that is not probed.
func (p *pattern) refuse(why string) { p.refused[why]++ }

// missing counts those listed functions that there are not.
func (p *pattern) missing(funcs []string, symbols []kernel.Symbol) {
	for _, name := range funcs {
		module, function, in := strings.Cut(name, ":")
		if !in {
			module, function = "", name
		}
		if !strings.ContainsAny(function, "*?[") && !slices.ContainsFunc(symbols, func(s kernel.Symbol) bool {
			return s.Name == function && (!in || s.Module == module || module == "vmlinux" && s.Module == "")
		}) {
			p.matched++
			p.refuse("do not exist here")
		}
	}
}

// String is what became of it, in one line.
func (p *pattern) String() string {
	if p.module != "" {
		return "waiting for module " + p.module + ", which is not loaded"
	}
	text := fmt.Sprintf("%s: %d of %d %s probed", p.text, p.probed, p.matched, p.what)
	var reasons []string
	for _, why := range slices.SortedFunc(maps.Keys(p.refused), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.refused[b], p.refused[a]), strings.Compare(a, b))
	}) {
		reasons = append(reasons, fmt.Sprintf("%d %s", p.refused[why], why))
	}
	const most = 6
	if n := len(reasons) - most; n > 0 {
		reasons = append(reasons[:most], fmt.Sprintf("%d other reasons (-v)", n))
	}
	if len(reasons) > 0 {
		text += "; " + strings.Join(reasons, ", ")
	}
	return text
}

// newPattern is one of which nothing is known yet.
func newPattern(text string) *pattern {
	return &pattern{text: text, what: "functions", refused: map[string]int{}, symbols: map[string]kernel.Symbol{}}
}

// nothing is the error where nothing matches.
func (p *pattern) nothing() error {
	if p.module != "" {
		return &Error{Status: ExitRefused, Err: fmt.Errorf("%s: module %s is not loaded, and its functions are not known before", strings.TrimSuffix(p.text, "%return"), p.module), Do: "load it, or name functions"}
	}
	return &Error{Status: ExitRefused, Err: fmt.Errorf("%s: no %s match", strings.TrimSuffix(p.text, "%return"), p.what)}
}

// summaries are the lines about patterns, one where entries and returns of the
// same functions are probed.
func summaries(patterns []*pattern) []string {
	var lines []string
	for _, p := range patterns {
		line := p.String()
		entries, returns := strings.CutSuffix(p.text, "%return")
		if returns && slices.ContainsFunc(patterns, func(o *pattern) bool { return o.text == entries && o.probed == p.probed }) {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}
