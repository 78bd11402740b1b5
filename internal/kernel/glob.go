package kernel

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Glob lists the functions that match one of some patterns of *, ? and [a-z], sorted by
// name. With a module in front, "nf_conntrack:*_confirm", only its functions
// are listed; "vmlinux:" stands for the kernel itself. Functions of one name
// stand next to each other.
func Glob(r io.Reader, patterns ...string) ([]Symbol, error) {
	exact := map[string][]matcher{} // by name
	var globs []matcher
	for _, pattern := range patterns {
		m, err := newMatcher(pattern)
		if err != nil {
			return nil, err
		}
		if m.fixed == m.glob {
			exact[m.glob] = append(exact[m.glob], m)
		} else {
			globs = append(globs, m)
		}
	}
	var list []Symbol
	err := scanSymbols(r, func(l symLine) bool {
		has := func(m matcher) bool { return m.has(&l) }
		if slices.ContainsFunc(globs, has) || slices.ContainsFunc(exact[string(l.name)], has) {
			list = append(list, l.symbol())
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b Symbol) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// A matcher is a pattern of functions.
type matcher struct {
	module string
	in     bool // a module is given
	glob   string
	fixed  string // with which its names begin, which spares most of the matching
}

func newMatcher(pattern string) (m matcher, err error) {
	m.module, m.glob, m.in = strings.Cut(pattern, ":")
	if !m.in {
		m.module, m.glob = "", pattern
	}
	if _, err := path.Match(m.glob, ""); err != nil || m.glob == "" {
		return m, fmt.Errorf("pattern %q: expected *, ?, [a-z] and letters, with or without a module in front", pattern)
	}
	m.fixed = m.glob[:strings.IndexAny(m.glob+"*", `*?[\`)]
	return m, nil
}

func (m *matcher) has(l *symLine) bool {
	if len(l.name) < len(m.fixed) || string(l.name[:len(m.fixed)]) != m.fixed || !l.probeable() {
		return false
	}
	if m.in && string(l.module) != moduleName(m.module) && (m.module != "vmlinux" || len(l.module) != 0) {
		return false
	}
	ok, _ := path.Match(m.glob, string(l.name))
	return ok
}
