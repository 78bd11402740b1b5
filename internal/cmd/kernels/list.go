package main

import (
	"fmt"
	"strings"
)

// A kernel is one kernel of the matrix.
type kernel struct {
	Key      string // what people call it: 6.1, or 6.1-arm64
	Suite    string // Debian suite that has it
	Arch     string
	Packages []pkg
}

// A pkg is one exact package file.
type pkg struct{ Name, Version, SHA256 string }

const listHead = `# What the tests run on. Rewritten by: go run ./internal/cmd/kernels -update, with -list FILE for another file than kernels.txt
#
# key  suite  architecture  package  version  sha256 of the .deb
# A kernel that comes in several packages has a line for each.
`

func parseList(text string) ([]kernel, error) {
	var kernels []kernel
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) != 6 {
			return nil, fmt.Errorf("line %d: %d fields instead of key, suite, architecture, package, version, sha256", n, len(f))
		}
		p := pkg{f[3], f[4], f[5]}
		if last := len(kernels) - 1; last >= 0 && kernels[last].Key == f[0] {
			kernels[last].Packages = append(kernels[last].Packages, p)
			continue
		}
		kernels = append(kernels, kernel{Key: f[0], Suite: f[1], Arch: f[2], Packages: []pkg{p}})
	}
	return kernels, nil
}

func formatList(kernels []kernel) string {
	var b strings.Builder
	b.WriteString(listHead)
	for _, k := range kernels {
		for _, p := range k.Packages {
			fmt.Fprintln(&b, k.Key, k.Suite, k.Arch, p.Name, p.Version, p.SHA256)
		}
	}
	return b.String()
}

// series is what the version of a kernel with this key starts with: 6.1. for 6.1-arm64, 7. for 7.x.
func series(key string) string {
	key, _, _ = strings.Cut(key, "-")
	return strings.TrimSuffix(key, ".x") + "."
}
