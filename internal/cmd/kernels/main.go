// Kernels keeps the Debian kernels of the test matrix in a cache outside the repository.
//
//	kernels KEY…        fetch what is not there yet, print each kernel's folder on standard output
//	kernels -keys       print the keys of kernels.txt, one a line
//	kernels -update     rewrite kernels.txt with the newest version of each
//
// -list FILE names another list than kernels.txt: programs.txt has the programs for guests of another architecture.
//
// The packages come from the Debian mirror that this machine's apt uses (SKPROBE_MIRROR and
// SKPROBE_SECURITY_MIRROR override it), through an apt configuration of our own: nothing of the machine's is changed, no rights
// are needed, and apt verifies the signatures. The cache is SKPROBE_CACHE, or skprobe in the user's cache folder.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	keys := flag.Bool("keys", false, "print the keys of the list")
	arch := flag.String("arch", "", "with -keys: only those for this architecture")
	update := flag.Bool("update", false, "rewrite the list with the newest versions")
	list := flag.String("list", "internal/cmd/kernels/kernels.txt", "the list's `file`")
	flag.Parse()
	if err := run(*list, *keys, *arch, *update, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run(file string, keys bool, arch string, update bool, wanted []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w (run this in the repository's top folder, or give -list)", err)
	}
	kernels, err := parseList(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if keys {
		for _, k := range kernels {
			if arch == "" || k.Arch == arch {
				fmt.Println(k.Key)
			}
		}
		return nil
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	if update {
		return updateList(file, cache, kernels)
	}
	if len(wanted) == 0 {
		return errors.New("which kernel? Give keys; -keys prints them")
	}
	for _, key := range wanted {
		i := slices.IndexFunc(kernels, func(k kernel) bool { return k.Key == key })
		if i < 0 {
			var all []string
			for _, k := range kernels {
				all = append(all, k.Key)
			}
			return fmt.Errorf("no kernel %q in %s; it has %s", key, file, strings.Join(all, ", "))
		}
		dir, err := fetch(cache, kernels[i])
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		fmt.Println(dir)
	}
	return nil
}

func updateList(file, cache string, kernels []kernel) error {
	for i, k := range kernels {
		packages, err := newest(cache, k)
		if err != nil {
			return fmt.Errorf("%s: %w", k.Key, err)
		}
		kernels[i].Packages = packages
	}
	return os.WriteFile(file, []byte(formatList(kernels)), 0o644)
}

func cacheDir() (string, error) {
	if dir := os.Getenv("SKPROBE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: set SKPROBE_CACHE", err)
	}
	return filepath.Join(dir, "skprobe"), nil
}
