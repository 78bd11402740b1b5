package tools_test

import (
	"testing"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// needsKprobes is what all tools need that are not by tracepoints.
func needsKprobes(t testing.TB) {
	t.Helper()
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF)
}
