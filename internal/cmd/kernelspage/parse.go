package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A way is in what way skprobe ran: the variables that the tests had, "" for none.
type way string

// A result is what the tests on one kernel said.
type result struct {
	key, release string
	calibration  string // how long it took
	profile      string // whether layouts from a profile are those of BTF
	ways         map[way]*tested
}

// A tested is what they said in one way.
type tested struct {
	tools []report           // as doctor has them
	tests map[string]verdict // by tool
}

// A verdict adds up the tests of a tool.
type verdict struct{ passed, failed, skipped int }

// A report is doctor's of a tool.
type report struct {
	Tool, Answer, Why string
	Without           []string
	WithoutEvents     []string `json:"without_events"`
}

// doctor is what the test TestDoctor of package tools prints.
type doctor struct {
	Kernel string
	Tools  []report
}

var (
	testLine   = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (Test\w+) `)
	doctorLine = regexp.MustCompile(`doctor: (\{.*\})$`)
	endLine    = regexp.MustCompile(`^(?:ok  |FAIL)\t\S+/(internal/\S+)(?: \(([^)]*)\))?\t`)
	foundLine  = regexp.MustCompile(`\d+ members found(?:, \d+ not)? in (\S+): `)
)

func newResult(key string) *result { return &result{key: key, ways: map[way]*tested{}} }

// parse reads the output of the tests in a guest. What a package's tests say comes before the line that ends it.
func (res *result) parse(r io.Reader, owners map[string]string) error {
	tests, reports := map[string]verdict{}, []report(nil)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := testLine.FindStringSubmatch(line); m != nil {
			tool := owners[m[2]]
			v := tests[tool]
			switch m[1] {
			case "PASS":
				v.passed++
			case "FAIL":
				v.failed++
			case "SKIP":
				v.skipped++
			}
			tests[tool] = v
			if m[2] == "TestProfileIsBTF" {
				res.profile = map[string]string{"PASS": "yes", "FAIL": "NO", "SKIP": "not tested"}[m[1]]
			}
		}
		if m := doctorLine.FindStringSubmatch(line); m != nil {
			var d doctor
			if err := json.Unmarshal([]byte(m[1]), &d); err != nil {
				return fmt.Errorf("doctor's JSON: %w", err)
			}
			res.release, reports = d.Kernel, d.Tools
		}
		if m := foundLine.FindStringSubmatch(line); m != nil && res.calibration == "" {
			res.calibration = m[1]
		}
		if m := endLine.FindStringSubmatch(line); m != nil {
			if m[1] == "internal/tools" {
				res.ways[way(m[2])] = &tested{reports, tests}
			}
			tests, reports = map[string]verdict{}, nil
		}
	}
	return lines.Err()
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// testOwners finds which tool each test of a folder is about: that with whose name its own begins, or its file's.
func testOwners(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_linux_test.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no tests in %s", dir)
	}
	owners := map[string]string{}
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	tool := func(test string) (name string) {
		for _, file := range sources {
			t := strings.TrimSuffix(filepath.Base(file), ".go")
			if len(t) > len(name) && strings.HasPrefix(strings.ToLower(test), "test"+t) {
				name = t
			}
		}
		return name
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		fileTool, _, _ := strings.Cut(filepath.Base(file), "_")
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			owners[m[1]] = cmp.Or(tool(m[1]), fileTool)
		}
	}
	return owners, nil
}

// compareKeys orders kernels: by architecture, then by version.
func compareKeys(a, b string) int {
	rank := func(key string) []int {
		version, arch, _ := strings.Cut(key, "-")
		r := []int{0}
		if arch != "" {
			r[0] = 1
		}
		for n := range strings.SplitSeq(version, ".") {
			i, err := strconv.Atoi(n)
			if err != nil { // the x of 7.x
				i = 1 << 10
			}
			r = append(r, i)
		}
		return r
	}
	return slices.Compare(rank(a), rank(b))
}
