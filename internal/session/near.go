package session

import (
	"fmt"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
)

// Near returns names like the one that does not exist.
func Near(name string, known []string) []string { return kernel.Near(name, known) }

// suggest adds names that exist to an unknown one.
func suggest(err error, e *fetchargs.ExprError) error {
	near := kernel.Near(e.Name, e.Known)
	if len(near) == 0 {
		near = nearInside(e.Name, e.Inside())
	}
	switch len(near) {
	case 0:
		return err
	case 1:
		return fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return fmt.Errorf("%w; did you mean %q or %q?", err, near[0], near[1])
}

// nearInside are the paths whose last member has the name, or one like it.
func nearInside(name string, paths []string) []string {
	last := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	var lasts []string
	for _, p := range paths {
		lasts = append(lasts, last(p))
	}
	var near []string
	for _, wanted := range append([]string{name}, kernel.Near(name, lasts)...) {
		for _, p := range paths {
			if last(p) == wanted {
				near = append(near, p)
			}
		}
	}
	return near
}
