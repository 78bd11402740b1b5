package kernel

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Glob lists the functions that match a pattern of *, ? and [a-z], sorted by
// name. With a module in front, "nf_conntrack:*_confirm", only its functions
// are listed; "vmlinux:" stands for the kernel itself. Functions of one name
// stand next to each other.
func Glob(r io.Reader, pattern string) ([]Symbol, error) {
	module, glob, in := strings.Cut(pattern, ":")
	if !in {
		module, glob = "", pattern
	}
	if _, err := path.Match(glob, ""); err != nil || glob == "" {
		return nil, fmt.Errorf("pattern %q: expected *, ?, [a-z] and letters, with or without a module in front", pattern)
	}
	// What must be at the start spares most of the matching.
	fixed := glob[:strings.IndexAny(glob+"*", `*?[\`)]
	var list []Symbol
	err := scanSymbols(r, func(l symLine) bool {
		if len(l.name) < len(fixed) || string(l.name[:len(fixed)]) != fixed || !l.probeable() {
			return true
		}
		if in && string(l.module) != moduleName(module) && (module != "vmlinux" || len(l.module) != 0) {
			return true
		}
		if ok, _ := path.Match(glob, string(l.name)); ok {
			list = append(list, l.symbol())
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b Symbol) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}
