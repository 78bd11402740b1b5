package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// A guest here is emulated, on a machine that does other things too. Its kernel then misses a probe in an interrupt now and then, and a
// processor of it stands still for seconds. So what failed may be run once more, if it is little: both results are printed, and so is what
// passed only then.

// failedTest is the line that ends a test in what a test binary prints.
var failedTest = regexp.MustCompile(`^--- FAIL: (Test\w+) `)

// failures passes on what a test binary prints, and keeps the names of the tests that failed.
type failures struct {
	to    io.Writer
	line  []byte // that has not ended
	tests []string
}

func (f *failures) Write(b []byte) (int, error) {
	for _, part := range bytes.SplitAfter(b, []byte("\n")) {
		f.line = append(f.line, part...)
		if !bytes.HasSuffix(part, []byte("\n")) {
			continue
		}
		if m := failedTest.FindSubmatch(f.line); m != nil && !slices.Contains(f.tests, string(m[1])) {
			f.tests = append(f.tests, string(m[1]))
		}
		f.line = f.line[:0]
	}
	return f.to.Write(b)
}

// again is the run with only the tests that failed, if the binary came to its end and they are no more than limit.
func (r run) again(code int, failed []string, limit int) (run, bool) {
	if code != 1 || len(failed) == 0 || len(failed) > limit { // 2 is a panic
		return run{}, false
	}
	r.Argv = append(slices.Clone(r.Argv), "-test.run=^("+strings.Join(failed, "|")+")$") // the last one counts
	return r, true
}

// withAgain does the run, and what failed of it once more.
func withAgain(r run, limit int, output io.Writer, do func(run, io.Writer) (int, error)) (int, error) {
	f := &failures{to: output}
	code, err := do(r, f)
	if err != nil {
		return 0, err
	}
	second, ok := r.again(code, f.tests, limit)
	if !ok {
		return code, nil
	}
	what := r.Name + ": " + strings.Join(f.tests, ", ")
	fmt.Fprintf(output, "=== once more: %s\n", what)
	if code, err = do(second, output); err == nil && code == 0 {
		fmt.Fprintf(output, "=== passed only when run once more: %s\n", what)
	}
	return code, err
}
