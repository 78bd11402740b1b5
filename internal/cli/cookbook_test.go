package cli_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/docs"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// The cookbook, docs/cookbook.md, is read by the tests: TestCookbook runs all of
// it in the VM. An entry is
//
//	## C4 Processes by name                    the row, and what it is about
//
//	The script: `execname() == "ping"`, …      what the old one showed, in a line
//
//	```
//	$ ip link add br0 type bridge              prepared before, by sh; kept until the end of the entry
//	$ nc -lk 8080 &                            runs until the end of the entry
//	$ skprobe probe 'ip_output' --count 4      the command, alone on its line
//	other$ ping -c 1 10.9.0.2                  done elsewhere once the probes are armed, and again until all is there
//	TIME                PID COMM
//	…                                          real output
//	```
//
//	Test: `TestProbePackets`                   where the values are held
//	Since: 5.11                                if an older kernel cannot do it
//	Not on: arm64                              if another architecture cannot
//	Needs: debug information                   then TestLinesCookbook runs it, in `make test-dwarf`
//
// There may be several blocks, each with one skprobe. All of it is run in a network
// namespace with the stage of the page's first block, which is prepared once: put
// there only what most entries need. A program or a module that is not in the VM
// yet must be named in what TestCookbook needs. See cookbook_linux_test.go for what is compared.
//
// To write an entry, put a header line of the table below the command and run
//
//	RUN=TestCookbook/C4 V=1 scripts/vm 6.1 ./internal/cli
//
// which prints what there is.
type recipe struct {
	id, title, script string
	tests             []string
	since, notOn      string
	debuginfo         bool
	blocks            []block
}

// A block is a skprobe command with what is around it.
type block struct {
	prepare []string
	command string
	other   []string
	output  []string
}

var (
	recipeTitle = regexp.MustCompile(`^## (\w+) (.*)$`)
	testName    = regexp.MustCompile("`(Test\\w+)`")
)

// cookbook takes the page apart: the stage, and the entries.
func cookbook() (stage []string, all []*recipe) {
	var r *recipe
	var b *block
	for line := range strings.Lines(docs.Cookbook) {
		line = strings.TrimRight(line, "\n")
		title := recipeTitle.FindStringSubmatch(line)
		switch {
		case line == "```" && b == nil:
			b = &block{}
		case line == "```" && r == nil:
			stage, b = b.prepare, nil
		case line == "```":
			r.blocks, b = append(r.blocks, *b), nil
		case b != nil:
			b.line(line)
		case title != nil:
			r = &recipe{id: title[1], title: title[2]}
			all = append(all, r)
		case r == nil:
		case strings.HasPrefix(line, "The script:"):
			r.script = line
		case strings.HasPrefix(line, "Test:"):
			for _, m := range testName.FindAllStringSubmatch(line, -1) {
				r.tests = append(r.tests, m[1])
			}
		case strings.HasPrefix(line, "Since: "):
			r.since = strings.TrimPrefix(line, "Since: ")
		case strings.HasPrefix(line, "Needs: debug information"):
			r.debuginfo = true
		case strings.HasPrefix(line, "Not on: "):
			r.notOn, _, _ = strings.Cut(strings.TrimPrefix(line, "Not on: "), ",")
		}
	}
	return stage, all
}

func (b *block) line(line string) {
	command, isCommand := strings.CutPrefix(line, "$ ")
	other, isOther := strings.CutPrefix(line, "other$ ")
	switch {
	case isCommand && (command == "skprobe" || strings.HasPrefix(command, "skprobe ")):
		b.command = command
	case isCommand:
		b.prepare = append(b.prepare, command)
	case isOther:
		b.other = append(b.other, other)
	default:
		b.output = append(b.output, line)
	}
}

// TestCookbookEntries finds in each entry all that belongs there, and the test
// that it names.
func TestCookbookEntries(t *testing.T) {
	testkernel.Outside(t)
	tests := allTests(t)
	stage, all := cookbook()
	if len(stage) == 0 || len(all) == 0 {
		t.Fatal("no stage, or no entries")
	}
	if !slices.IsSortedFunc(all, func(a, b *recipe) int {
		return cmp.Or(cmp.Compare(a.id[0], b.id[0]), cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
	}) {
		t.Error("the entries are not in order")
	}
	for _, r := range all {
		if r.script == "" || len(r.tests) == 0 || len(r.blocks) == 0 {
			t.Errorf("%s: no script, no test, or no command", r.id)
		}
		for _, name := range r.tests {
			if !tests[name] {
				t.Errorf("%s: there is no %s", r.id, name)
			}
		}
		for _, b := range r.blocks {
			if b.command == "" || len(b.output) == 0 {
				t.Errorf("%s: a block without skprobe, or without output", r.id)
			}
		}
	}
}

// allTests are the names of all tests of the module.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	return tests
}
