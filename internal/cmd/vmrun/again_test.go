package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestWithAgain(t *testing.T) {
	const (
		one   = "=== RUN   TestA\n    --- FAIL: TestA/sub (0.1s)\n--- FAIL: TestA (0.1s)\n--- PASS: TestB (1s)\nFAIL\n"
		three = "--- FAIL: TestA (0.1s)\n--- FAIL: TestB (0.1s)\n--- FAIL: TestC (0.1s)\nFAIL\n"
	)
	type result struct {
		out  string
		code int
	}
	for name, c := range map[string]struct {
		runs []result
		limit,
		code int
		again  bool
		passed bool
	}{
		"all passed":       {runs: []result{{"--- PASS: TestA (1s)\nPASS\n", 0}}, limit: 2},
		"passed then":      {runs: []result{{one, 1}, {"--- PASS: TestA (1s)\nPASS\n", 0}}, limit: 2, again: true, passed: true},
		"failed again":     {runs: []result{{one, 1}, {one, 1}}, limit: 2, code: 1, again: true},
		"too many":         {runs: []result{{three, 1}}, limit: 2, code: 1},
		"not wanted":       {runs: []result{{one, 1}}, code: 1},
		"a panic":          {runs: []result{{one + "panic: x\n", 2}}, limit: 2, code: 2},
		"killed":           {runs: []result{{one, 137}}, limit: 2, code: 137},
		"no test named it": {runs: []result{{"FAIL\n", 1}}, limit: 2, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			var asked []run
			code, err := withAgain(run{Name: "pkg", Argv: []string{"x.test", "-test.run="}}, c.limit, &out, func(r run, w io.Writer) (int, error) {
				this := c.runs[len(asked)]
				asked = append(asked, r)
				for _, b := range []byte(this.out) { // lines come in pieces
					w.Write([]byte{b})
				}
				return this.code, nil
			})
			if err != nil || code != c.code || len(asked) != len(c.runs) {
				t.Fatalf("code %d, %d runs, %v", code, len(asked), err)
			}
			if c.again && !slices.Equal(asked[1].Argv, []string{"x.test", "-test.run=", "-test.run=^(TestA)$"}) {
				t.Errorf("run again: %q", asked[1].Argv)
			}
			if strings.Contains(out.String(), "=== passed only when run once more: pkg: TestA\n") != c.passed {
				t.Errorf("printed %q", &out)
			}
		})
	}
}
