package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/tools"
)

// source is what offsets tells of where layouts come from, which may differ.
var source = regexp.MustCompile(`layouts from .*|\b(BTF|profile)\b`)

// A profile has all that the tools take from BTF: every field of every tool is
// fetched in the same way.
func TestProfileIsBTF(t *testing.T) {
	needs(t)
	t.Setenv("SKPROBE_CACHE", t.TempDir())
	t.Setenv("SKPROBE_LAYOUT", "")
	file := filepath.Join(t.TempDir(), "profile.json")
	clitest.Do(t, "offsets", "--layout", "btf", "--save", file).OK()
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools.All() {
		lines := func(flags ...string) []string {
			r := clitest.Do(t, append([]string{"offsets", tool.Name}, flags...)...).OK()
			var all []string
			for line := range strings.Lines(source.ReplaceAllString(r.Stdout, "")) {
				all = append(all, strings.Join(strings.Fields(line), " "))
			}
			return all
		}
		if diff := cmp.Diff(lines("--layout", "btf"), lines("--profile", file)); diff != "" {
			t.Errorf("%s (-BTF +profile)\n%s", tool.Name, diff)
		}
	}
}
