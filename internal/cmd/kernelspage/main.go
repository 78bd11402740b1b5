// Kernelspage writes docs/kernels.md from what the tests of `make test-all` printed: which tool works on which kernel, in which way.
//
//	KEEP=build/results ALL=1 V=1 scripts/test    the tests, whose output goes to files there
//	kernelspage build/results >docs/kernels.md
//
// A tool works in some way on a kernel if all tests in its files (internal/tools/TOOL_linux_test.go and TOOL_*_linux_test.go) ran there and
// passed. Which columns it goes without is what skprobe doctor says there, which a test prints.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kernelspage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("give the folder with the results: KEY[,VAR=VALUE…].log for each guest")
	}
	owners, err := testOwners("internal/tools")
	if err != nil {
		return fmt.Errorf("%w (run this in the repository's top folder)", err)
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*.log"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no results in %s", args[0])
	}
	kernels := map[string]*result{}
	for _, file := range files {
		if strings.HasSuffix(file, ",boots.log") {
			continue // of a kernel that was booted in special ways, for which there is no table
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		key, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".log"), ",")
		if kernels[key] == nil {
			kernels[key] = newResult(key)
		}
		if err := kernels[key].parse(bytes.NewReader(text), owners); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	all := slices.Collect(maps.Values(kernels))
	slices.SortFunc(all, func(a, b *result) int { return compareKeys(a.key, b.key) })
	return write(os.Stdout, all)
}
