//go:build !linux

package tracefs

import (
	"errors"
	"fmt"
)

var errOther = fmt.Errorf("tracefs is a part of Linux: %w", errors.ErrUnsupported)

// Find works on Linux only.
func Find() (*FS, error) { return nil, errOther }

// MountPrivate works on Linux only.
func MountPrivate() (*FS, error) { return nil, errOther }

// Group works on Linux only.
func (f *FS) Group() (string, error) { return "", errOther }

// Sweep works on Linux only.
func (f *FS) Sweep() (Swept, error) { return Swept{}, errOther }

// An Instance exists on Linux only.
type Instance struct {
	*FS
	Name string
}

// NewInstance works on Linux only.
func (f *FS) NewInstance() (*Instance, error) { return nil, errOther }

// Remove works on Linux only.
func (i *Instance) Remove() error { return errOther }
