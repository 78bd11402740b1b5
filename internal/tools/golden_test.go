package tools_test

import (
	"embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/tools"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/testdata/kernels"
)

//go:embed testdata/*.golden
var goldenFiles embed.FS // so that they are in the test binary, which also runs in VMs

var update = flag.Bool("update", false, "write the golden files anew")

// TestLines compares the definitions that each tool would write on each recorded
// kernel, alone and with a filter, with a golden file for the tool. After a
// change, go test ./internal/tools -update writes them; git diff shows what
// the change does on all kernels.
func TestLines(t *testing.T) {
	all := spokenKernels(t)
	for _, tool := range tools.All() {
		t.Run(tool.Name, func(t *testing.T) {
			var b strings.Builder
			fmt.Fprintf(&b, "# What %s writes to kprobe_events.\n", tool.Name)
			for _, k := range all {
				fmt.Fprintf(&b, "\n## %s\n%s", k.title, toolLines(t, k, tool))
			}
			golden(t, filepath.Join("testdata", tool.Name+".golden"), b.String())
		})
	}
}

// A spoken kernel is one with its language of fetch-args.
type spoken struct {
	kernels.Kernel
	title   string
	dialect fetchargs.Dialect
	without []string // functions that it is taken not to have
	events  bool     // the recorded static events are used
}

// tracepointLine begins the line of a probe for which nothing is defined.
const tracepointLine = "tracepoint "

// spokenKernels are the recorded ones. Of still older kernels no layouts are
// known: for them stand the oldest that are recorded, in the older language,
// without functions that came in between. Offsets are then not those of the
// old kernel.
func spokenKernels(t *testing.T) (all []spoken) {
	for _, k := range kernels.Recorded(t) {
		all = append(all, spoken{Kernel: k, title: k.ID.Release, dialect: k.Dialect()})
	}
	for _, name := range []string{"4.18-el8-arm64", "4.19-amd64", "4.19-arm64"} {
		k := kernels.Named(t, name)
		for _, old := range []struct {
			language string
			dialect  fetchargs.Dialect
		}{{"3.10", fetchargs.Dialect310}, {"4.4", fetchargs.Dialect44}} {
			title := fmt.Sprintf("%s, if it spoke no more than %s and had no skb_consume_udp", k.ID.Release, old.language)
			all = append(all, spoken{Kernel: k, title: title, dialect: old.dialect, without: []string{"skb_consume_udp"}})
		}
	}
	return all
}

func toolLines(t *testing.T, k spoken, tool *event.Tool) string {
	var b strings.Builder
	b.WriteString(lines(t, k, tool, nil, ""))
	// No probe fetches cgroup, which every tool has.
	if on := slices.DeleteFunc(tool.OnRequest(), func(name string) bool { return name == event.Cgroup }); len(on) > 0 {
		fmt.Fprintf(&b, "\n### with %s\n%s", strings.Join(on, ", "), lines(t, k, tool, on, ""))
	}
	if recorded := k; !k.events {
		recorded.events = true
		text := lines(t, recorded, tool, nil, "")
		if started := "\n" + text; strings.Contains(started, "\n"+tracepointLine) || strings.Contains(started, "\ne:") {
			fmt.Fprintf(&b, "\n### with tracepoints\n%s", text)
		}
	}
	const where = "rport == 53"
	if slices.ContainsFunc(tool.Fields(), func(c event.Column) bool { return c.Name == "rport" }) {
		fmt.Fprintf(&b, "\n### --where '%s'\n%s", where, lines(t, k, tool, nil, where))
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := goldenFiles.ReadFile(filepath.ToSlash(file))
	if err != nil {
		t.Fatalf("%v; go test ./internal/tools -update writes it", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// lines compiles a tool for a kernel and describes its probes.
func lines(t *testing.T, k spoken, tool *event.Tool, columns []string, where string) string {
	t.Helper()
	choose := func(funcs []string) (string, error) {
		funcs = slices.DeleteFunc(slices.Clone(funcs), func(f string) bool { return slices.Contains(k.without, f) })
		for _, f := range funcs {
			if _, err := k.Types.FuncNamed(f); err == nil {
				return f, nil
			}
		}
		choice, err := kernel.Choose(k.Find(t, funcs...), funcs)
		if err != nil {
			return "", err
		}
		return choice.Symbol.Name, nil
	}
	to := event.Kernel{Arch: fetchargs.Arch(k.ID.Arch), Types: k.Types, Dialect: k.dialect, Choose: choose}
	if k.events {
		to.Tracepoint, to.EventProbe = k.Tracepoint, k.EventProbe
	}
	p, err := event.Compile(tool, nil, columns, to)
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	var condition *filter.Filter
	if where != "" {
		if condition, err = filter.Parse(where, &p.Schema); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for _, err := range p.Skipped {
		fmt.Fprintf(&b, "not on this kernel: %v\n", err)
	}
	for n, c := range p.Probes {
		plan := condition.Kernel(c.Event, c)
		if err := c.Build(plan.Kernel); err != nil {
			t.Fatalf("%s: %v", tool.Name, err)
		}
		for _, h := range c.Halves() {
			if c.Tracepoint && !c.EventProbe {
				fmt.Fprintln(&b, tracepointLine+c.Symbol)
				continue
			}
			spec := kprobe.Spec{Group: "g", Event: kprobe.EventName(h.Symbol, n), Symbol: h.Symbol, Offset: h.Offset, Return: c.IsReturn(h), Args: h.Plan.Args}
			if c.EventProbe {
				spec.Symbol, spec.Tracepoint = "", c.Symbol
			}
			if err := spec.Check(); err != nil {
				t.Errorf("%s: %v", tool.Name, err)
			}
			fmt.Fprintln(&b, spec)
			if h.Filter != "" {
				fmt.Fprintf(&b, "  filter: %s\n", h.Filter)
			}
		}
		if plan.Rest != nil {
			fmt.Fprintf(&b, "  and by skprobe: %s\n", plan.Rest)
		}
	}
	return b.String()
}
