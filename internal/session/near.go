package session

import "github.com/skprobe/skprobe/internal/kernel"

// Near returns names like the one that does not exist.
func Near(name string, known []string) []string { return kernel.Near(name, known) }
