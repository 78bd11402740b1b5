package testkernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Uninterrupted keeps the signals with which Go's runtime preempts away from the calling thread, to which the caller is locked. A system
// call that waits begins anew after one: it returns what it has, or a probe sees it end with an error and begin again.
func Uninterrupted(t testing.TB, calls func()) {
	t.Helper()
	var urgent, before unix.Sigset_t
	urgent.Val[0] = 1 << (unix.SIGURG - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &urgent, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	calls()
}
