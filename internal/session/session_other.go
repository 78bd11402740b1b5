//go:build !linux

package session

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/calibrate"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/ktype"
)

var errOther = &Error{Status: ExitRefused, Err: fmt.Errorf("skprobe looks into the Linux kernel: %w", errors.ErrUnsupported)}

// SavableLayout can be written to a profile.
type SavableLayout = *ktype.Layout

// MaybeStart has nothing to start outside Linux.
func MaybeStart() {}

// Run works on Linux only.
func Run(context.Context, *Config) (int, error) { return 0, errOther }

// OpenLayout works on Linux only.
func OpenLayout(Layout) (*ktype.Layout, error) { return nil, errOther }

// Calibrate works on Linux only.
func Calibrate(io.Writer) (*calibrate.Result, *ktype.Profile, error) { return nil, nil, errOther }

// Lookup works on Linux only.
func Lookup(fetchargs.Types, string) (*fetchargs.Type, error) { return nil, errOther }

// Tracepoint works on Linux only.
func Tracepoint(fetchargs.Types, string) ([]fetchargs.RecordField, error) { return nil, errOther }

// Spots works on Linux only.
func Spots(fetchargs.Types, string) ([]event.Spot, error) { return nil, errOther }

// Functions works on Linux only.
func Functions(string) ([]string, error) { return nil, errOther }

// CompileOnly works on Linux only.
func CompileOnly(Layout, []*event.Tool) ([]*event.Program, SavableLayout, error) {
	return nil, nil, errOther
}

// Check works on Linux only.
func Check(io.Writer, *Config) error { return errOther }

// KernelName is "" outside Linux.
func KernelName() string { return "" }

// Cleanup works on Linux only.
func Cleanup(io.Writer) error { return errOther }

// Doctor works on Linux only.
func Doctor(Layout, []*event.Tool) *Report { return &Report{Works: "no", Verdict: errOther.Error()} }

// Err says so.
func (*Report) Err() error { return errOther }
