// Package tools holds one file for each tool, and this list of them. A tool is
// a declaration: see package event.
package tools

import (
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

var all []*event.Tool

// add registers a tool. It is called from the tool's own file only.
func add(t event.Tool) *event.Tool {
	all = append(all, &t)
	return &t
}

// All returns the tools in the order of their names.
func All() []*event.Tool {
	return slices.SortedFunc(slices.Values(all), func(a, b *event.Tool) int { return strings.Compare(a.Name, b.Name) })
}
