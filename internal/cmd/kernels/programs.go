package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A list may have programs instead of a kernel, with the libraries that they need, unpacked into one folder. Their key begins with this. Where
// an architecture follows they are for guests that this machine's programs are not made for: those that scripts/setup installs here. Otherwise
// the list itself says which they are.
const programsKey = "programs-"

// isPrograms tells whether an entry is programs.
func (k *kernel) isPrograms() bool { return strings.HasPrefix(k.Key, programsKey) }

// hostOnly are packages that a guest has no use for: they pack and boot it.
var hostOnly = []string{"qemu-system-x86", "qemu-system-arm", "kmod", "xz-utils", "zstd", "debian-archive-keyring"}

// alsoNeeded are packages of programs that every Debian has.
var alsoNeeded = []string{"coreutils", "dash", "libc-bin", "mount", "perl-base", "procps"}

// setupPackages are the packages that the script scripts/setup installs: its lines "program package".
func setupPackages(script string) (packages []string, err error) {
	text, err := os.ReadFile(script)
	if err != nil {
		return nil, err
	}
	_, table, ok := strings.Cut(string(text), "needed='\n")
	table, _, ok2 := strings.Cut(table, "'\n")
	if !ok || !ok2 {
		return nil, fmt.Errorf("%s has no table of programs", script)
	}
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 2 && !slices.Contains(packages, f[1]) {
			packages = append(packages, f[1])
		}
	}
	return packages, nil
}

// programs are the packages of an entry without those of their libraries.
func (k *kernel) programs() (names []string, err error) {
	if k.Key != programsKey+k.Arch {
		for _, p := range k.Packages {
			if !isLibrary(p.Name) {
				names = append(names, p.Name)
			}
		}
		return names, nil
	}
	if names, err = setupPackages("scripts/setup"); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(append(names, alsoNeeded...), func(n string) bool { return slices.Contains(hostOnly, n) }), nil
}

// newestPrograms finds the newest versions of the programs' packages and of those that have their libraries.
func newestPrograms(cache string, k kernel) ([]pkg, error) {
	a, err := aptFor(cache, k)
	if err != nil {
		return nil, err
	}
	names, err := k.programs()
	if err != nil {
		return nil, err
	}
	var packages []pkg
	for i := 0; i < len(names); i++ {
		if err := a.load(names[i:]...); err != nil {
			return nil, err
		}
		s, err := a.Show(names[i], "")
		if errors.Is(err, errNotOffered) && isLibrary(names[i]) {
			continue // the name of what several packages provide
		}
		if err != nil {
			return nil, err
		}
		packages = append(packages, s.pkg())
		for _, d := range s.depends() {
			if isLibrary(d) && !slices.Contains(names, d) {
				names = append(names, d)
			}
		}
	}
	slices.SortFunc(packages, func(a, b pkg) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

// isLibrary tells packages of shared libraries by their names.
func isLibrary(name string) bool {
	return strings.HasPrefix(name, "lib") || strings.HasSuffix(name, "-libs") || name == "zlib1g"
}

// programsDir is where programs are unpacked; its name tells the versions.
func programsDir(cache string, k kernel) string {
	return filepath.Join(cache, "programs", k.Key+"_"+digest(formatList([]kernel{k})))
}
