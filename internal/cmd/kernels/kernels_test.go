package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestList holds the list to its own format, so that -update changes only what has changed.
func TestList(t *testing.T) {
	for _, file := range []string{"kernels.txt", "programs.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kernels, err := parseList(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), formatList(kernels)); diff != "" {
			t.Error(diff)
		}
		for _, k := range kernels {
			for _, p := range k.Packages {
				if len(p.SHA256) != 64 {
					t.Errorf("%s: sha256 %q", p.Name, p.SHA256)
				}
				if !k.isPrograms() && !strings.HasPrefix(p.Version, series(k.Key)) {
					t.Errorf("%s is listed with version %s", k.Key, p.Version)
				}
			}
		}
	}
}

// What this machine's programs are is listed for the other architectures too.
func TestPrograms(t *testing.T) {
	packages, err := setupPackages("../../../scripts/setup")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("programs.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(packages, alsoNeeded...) {
		if !slices.Contains(hostOnly, p) && !strings.Contains(string(text), " "+p+" ") {
			t.Errorf("%s is not in programs.txt: go run ./internal/cmd/kernels -list internal/cmd/kernels/programs.txt -update", p)
		}
	}
}

func TestParseListErrors(t *testing.T) {
	if _, err := parseList("# a comment\n\n6.1 bookworm amd64\n"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
}

func TestSeries(t *testing.T) {
	for key, want := range map[string]string{"6.1": "6.1.", "6.1-arm64": "6.1.", "7.x": "7.", "5.10": "5.10."} {
		if got := series(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestParseStanzas(t *testing.T) {
	got := parseStanzas(`Package: linux-image-6.1
Version: 6.1.176-1
Depends: kmod, initramfs-tools (>= 0.120) | dracut, linux-base (>= 4.3~)
Description: Linux
 with: a colon

Package: linux-image-6.1
Version: 6.1.170-1
`)
	if len(got) != 2 || got[1]["Version"] != "6.1.170-1" || got[0][" with"] != "" {
		t.Fatalf("got %q", got)
	}
	if diff := cmp.Diff([]string{"kmod", "initramfs-tools", "linux-base"}, got[0].depends()); diff != "" {
		t.Error(diff)
	}
}
