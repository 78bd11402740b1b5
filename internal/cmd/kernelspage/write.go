package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// shown are the ways that have a table, in order.
var shown = []struct {
	way   way
	title string
}{
	{"", "Layouts from BTF, records through perf"},
	{"SKPROBE_BACKEND=tracefs", "Layouts from BTF, records through tracefs"},
	{"SKPROBE_LAYOUT=calibrate", "Measured layouts, records through perf"},
	{"SKPROBE_LAYOUT=calibrate SKPROBE_BACKEND=tracefs", "Measured layouts, records through tracefs"},
	{"SKPROBE_DIALECT=3.10", "As a kernel of 3.10 would have it: its language, its functions"},
	{"SKPROBE_DIALECT=3.10 SKPROBE_LAYOUT=calibrate", "The same with measured layouts"},
	{"SKPROBE_DIALECT=4.4", "As a kernel of 4.4 would have it"},
	{"SKPROBE_DIALECT=4.4 SKPROBE_LAYOUT=calibrate", "The same with measured layouts"},
}

const head = `# What works on which kernel

Made by ` + "`make kernels-page`" + ` from the results of ` + "`make test-all`" + `, or of some of its guests: what did not run is not here. Do not edit.

A tool works where all its tests ran and passed, with real traffic. Where it goes without columns, what it shows is right all the same, and
one line says so when it starts. On a processor of its own, measuring layouts takes 1 s (` + "`make bench`" + `). Layouts from a profile and from debug information (DWARF) are those of BTF: tests compare
them, the first on every kernel, the second on 6.1 (` + "`make test-dwarf`" + `).
`

// A page is under way: its notes are numbered.
type page struct {
	strings.Builder
	notes []string
}

// note returns the mark of a note, the same for the same text.
func (p *page) note(text string) string {
	i := slices.Index(p.notes, text)
	if i < 0 {
		i = len(p.notes)
		p.notes = append(p.notes, text)
	}
	return fmt.Sprintf(" (%d)", i+1)
}

func write(w io.Writer, all []*result) error {
	p := &page{}
	p.WriteString(head)
	p.row("kernel", all, func(r *result) string { return r.release })
	p.row("time to measure its layouts, in guests that share processors", all, func(r *result) string { return r.calibration })
	p.row("layouts from a profile are those of BTF", all, func(r *result) string { return r.profile })
	for _, s := range shown {
		p.table(s.title, s.way, all)
	}
	if len(p.notes) > 0 {
		p.WriteString("\n")
	}
	for i, n := range p.notes {
		fmt.Fprintf(p, "%d. %s\n", i+1, n)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// row is a table of one line: its head are the kernels.
func (p *page) row(name string, all []*result, value func(*result) string) {
	if name == "kernel" {
		p.WriteString("\n| |")
		for _, r := range all {
			fmt.Fprintf(p, " %s |", title(r.key))
		}
		p.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
	}
	fmt.Fprintf(p, "| %s |", name)
	for _, r := range all {
		fmt.Fprintf(p, " %s |", value(r))
	}
	p.WriteString("\n")
}

// title is a kernel with its architecture.
func title(key string) string {
	version, arch, ok := strings.Cut(key, "-")
	if !ok {
		arch = "amd64"
	}
	return version + " " + arch
}

// table has a line for each tool, for the kernels that were tested in this way.
func (p *page) table(heading string, how way, all []*result) {
	all = slices.DeleteFunc(slices.Clone(all), func(r *result) bool { return r.ways[how] == nil })
	if len(all) == 0 {
		return
	}
	var tools []string
	for _, r := range all {
		for _, t := range r.ways[how].tools {
			if !slices.Contains(tools, t.Tool) {
				tools = append(tools, t.Tool)
			}
		}
	}
	slices.Sort(tools)
	fmt.Fprintf(p, "\n## %s\n\n| |", heading)
	for _, r := range all {
		fmt.Fprintf(p, " %s |", title(r.key))
	}
	p.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, tool := range tools {
		fmt.Fprintf(p, "| %s |", tool)
		for _, r := range all {
			fmt.Fprintf(p, " %s |", p.cell(tool, r.ways[how]))
		}
		p.WriteString("\n")
	}
}

// cell is what is known of a tool.
func (p *page) cell(tool string, t *tested) string {
	i := slices.IndexFunc(t.tools, func(r report) bool { return r.Tool == tool })
	if i < 0 {
		return ""
	}
	r, v := t.tools[i], t.tests[tool]
	switch {
	case r.Answer == "no":
		return "refused" + p.note(r.Why)
	case v.failed > 0:
		return "FAILS"
	case v.passed == 0:
		return "not tested"
	}
	var lacks []string
	if len(r.Without) > 0 {
		lacks = append(lacks, "without the columns "+strings.Join(r.Without, ", "))
	}
	if len(r.WithoutEvents) > 0 {
		lacks = append(lacks, "without the events "+strings.Join(r.WithoutEvents, ", "))
	}
	if lacks == nil {
		return "works"
	}
	return "works" + p.note(strings.Join(lacks, "; "))
}
