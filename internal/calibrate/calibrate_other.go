//go:build !linux

package calibrate

import (
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/tracefs"
)

// Options are how this kernel is to be probed.
type Options struct {
	FS      *tracefs.FS
	Arch    fetchargs.Arch
	Dialect fetchargs.Dialect
}

// Run calibrates.
func Run(Options) (*Result, error) {
	return nil, fmt.Errorf("calibration: %w", errors.ErrUnsupported)
}
