package session

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/skprobe/skprobe/internal/calibrate"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
)

// OpenLayout opens the source of layouts that was asked for.
func OpenLayout(l Layout) (*ktype.Layout, error) {
	o, err := layoutOptions(l)
	if err != nil {
		return nil, err
	}
	if l.Source == "calibrate" {
		return openCalibrated(o)
	}
	layout, err := ktype.Open(o)
	if errors.Is(err, fs.ErrNotExist) && (l == Layout{Source: "auto"} || l == Layout{}) {
		// Neither BTF nor debug information: measure.
		if measured, merr := openCalibrated(o); merr == nil {
			return measured, nil
		}
	}
	if err != nil {
		return nil, refused("", err)
	}
	return layout, nil
}

// Calibrate measures this kernel's layouts, whatever other sources of them
// there are, and keeps them for later runs.
func Calibrate(w io.Writer) (*calibrate.Result, *ktype.Profile, error) {
	o, err := layoutOptions(Layout{})
	if err != nil {
		return nil, nil, err
	}
	result, profile, err := measure(o.Kernel, w)
	if err != nil {
		return nil, nil, err
	}
	if err := ktype.KeepCalibrated(o, profile); err != nil {
		fmt.Fprintln(w, "skprobe: warning: not kept for later runs:", err)
	}
	return result, profile, nil
}

func measure(k ktype.Kernel, w io.Writer) (*calibrate.Result, *ktype.Profile, error) {
	tfs, err := openTracefs()
	if err != nil {
		return nil, nil, err
	}
	defer tfs.Close()
	sweep(tfs, w)
	if ok, err := tfs.Has("kprobe_events"); err == nil && !ok {
		return nil, nil, refused("it needs CONFIG_KPROBE_EVENTS; see skprobe doctor", errors.New("calibration: this kernel has no kprobe events"))
	}
	old, _ := forced()
	result, err := calibrate.Run(calibrate.Options{FS: tfs, Arch: arch, Dialect: dialect(tfs), Functions: old.functions})
	if err != nil {
		return nil, nil, explain(fmt.Errorf("calibration: %w", err))
	}
	return result, result.Profile(k), nil
}

// openCalibrated is the last source of layouts: this kernel itself.
func openCalibrated(o ktype.Options) (*ktype.Layout, error) {
	layout, err := ktype.OpenCalibrated(o, func() (*ktype.Profile, error) {
		_, profile, err := measure(o.Kernel, io.Discard)
		return profile, err
	})
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil, err
		}
		return nil, refused("", err)
	}
	return layout, nil
}

// layoutOptions are the options of package ktype for this kernel.
func layoutOptions(l Layout) (ktype.Options, error) {
	id, err := kernel.FS{}.Identity()
	if err != nil {
		return ktype.Options{}, err
	}
	o := ktype.Options{Kernel: ktype.Kernel{Release: id.Release, BuildID: id.BuildID, Arch: id.Arch},
		BTF: l.BTF, DWARF: l.Vmlinux, OnlyDWARF: l.Source == "dwarf", Profile: l.Profile, Force: l.Force, Program: Version()}
	if old := os.Getenv("SKPROBE_DIALECT"); old != "" {
		o.Program += " as " + old // which measures other functions
	}
	if l.Source != "btf" {
		o.CacheDir = ktype.CacheDir()
	}
	return o, nil
}
