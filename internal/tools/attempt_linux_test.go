package tools_test

import (
	"fmt"
	"strings"
	"testing"
)

// An attempt is a try of a test that the kernel can spoil: it misses a hit of a
// kprobe where softirq comes in the middle of another one, and sends again what
// is not answered in time. Errors make the attempt fail, and not yet the test.
type attempt struct {
	testing.TB
	wrong []string
}

// attempts tries once more where a test does not pass at first.
func attempts(t *testing.T, try func(t *attempt)) {
	t.Helper()
	for n := range 2 {
		a := &attempt{TB: t}
		try(a)
		switch wrong := strings.Join(a.wrong, "\n"); {
		case wrong == "":
			return
		case n == 0:
			t.Logf("once more, after\n%s", wrong)
		default:
			t.Errorf("wrong twice, at last\n%s", wrong)
		}
	}
}

// Errorf makes the attempt fail.
func (a *attempt) Errorf(format string, args ...any) {
	a.wrong = append(a.wrong, fmt.Sprintf(format, args...))
}

// Error makes the attempt fail.
func (a *attempt) Error(args ...any) { a.wrong = append(a.wrong, fmt.Sprint(args...)) }

// Failed tells whether the attempt has.
func (a *attempt) Failed() bool { return len(a.wrong) > 0 || a.TB.Failed() }
