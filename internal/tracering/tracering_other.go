//go:build !linux

package tracering

import (
	"context"
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/internal/perfring"
)

var errOther = fmt.Errorf("tracefs is a part of Linux: %w", errors.ErrUnsupported)

// Rings exists on Linux only.
type Rings struct{}

// Open works on Linux only.
func Open(Config) (*Rings, error) { return nil, errOther }

// Clock works on Linux only.
func (r *Rings) Clock() perfring.Clock { return perfring.ClockPerf }

// Warning works on Linux only.
func (r *Rings) Warning() error { return errOther }

// Enable works on Linux only.
func (r *Rings) Enable() error { return errOther }

// Disable works on Linux only.
func (r *Rings) Disable() error { return errOther }

// Read works on Linux only.
func (r *Rings) Read(context.Context, func(*perfring.Record) error) error { return errOther }

// Drain works on Linux only.
func (r *Rings) Drain(func(*perfring.Record) error) error { return errOther }

// Lost works on Linux only.
func (r *Rings) Lost() uint64 { return 0 }

// Close works on Linux only.
func (r *Rings) Close() error { return nil }
