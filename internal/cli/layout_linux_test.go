package cli_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
)

// A profile has all that the tools take from BTF: every field of every tool is
// fetched in the same way.
func TestProfileIsBTF(t *testing.T) {
	needs(t)
	t.Setenv("SKPROBE_CACHE", t.TempDir())
	t.Setenv("SKPROBE_LAYOUT", "")
	file := filepath.Join(t.TempDir(), "profile.json")
	clitest.Do(t, "offsets", "--layout", "btf", "--save", file).OK()
	fetched := func(l session.Layout) []string {
		programs, _, err := session.CompileOnly(l, tools.All())
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, p := range programs {
			for _, c := range p.Probes {
				for _, h := range c.Halves() {
					all = append(all, fmt.Sprint(p.Schema.Tool, " ", h.Symbol, " ", h.Plan.Args))
				}
			}
			for _, c := range p.Schema.Columns {
				all = append(all, p.Schema.Tool+" column "+c.Name)
			}
		}
		return all
	}
	btf := fetched(session.Layout{Source: "btf"})
	if diff := cmp.Diff(btf, fetched(session.Layout{Source: "profile", Profile: file})); diff != "" || len(btf) < 100 {
		t.Errorf("(-BTF +profile)\n%s", diff)
	}
}
