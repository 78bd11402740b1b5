//go:build !linux

package kprobe

import (
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/tracefs"
)

// A Probe is a Spec in the kernel. There are none outside Linux.
type Probe struct{ Spec Spec }

// Open returns an error that wraps [errors.ErrUnsupported].
func Open(*tracefs.FS, Spec) (*Probe, error) {
	return nil, fmt.Errorf("kprobe: %w: probes exist on Linux only", errors.ErrUnsupported)
}
