package ktype

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
)

// Calibration is where layouts come from that were measured.
const Calibration = "calibration"

// OpenCalibrated returns layouts that were measured on this kernel, and nothing
// else: those that an earlier run kept, or what measure finds.
func OpenCalibrated(o Options, measure func() (*Profile, error)) (*Layout, error) {
	if o.Kernel.BuildID == "" {
		o.Kernel.BuildID = versionID(procDir)
	}
	p := readCalibrated(o)
	if p == nil {
		var err error
		if p, err = measure(); err != nil {
			return nil, err
		}
		// The next run measures again if this fails.
		_ = KeepCalibrated(o, p)
	}
	c := &chain{opts: o, saved: p, alone: true}
	return &Layout{rec: NewRecorder(c), chain: c, opts: o}, nil
}

// KeepCalibrated keeps what was measured for later runs.
func KeepCalibrated(o Options, p *Profile) error {
	if o.Kernel.BuildID == "" {
		o.Kernel.BuildID = versionID(procDir)
	}
	if o.CacheDir == "" || o.Kernel.BuildID == "" {
		return nil
	}
	p.Kernel, p.Program, p.Loaded = o.Kernel, o.Program, inet6(procDir)
	return writeCacheFile(o.CacheDir, calibratedFile(o), p)
}

// calibratedFile is beside the cache of other sources: neither completes the
// other.
func calibratedFile(o Options) string {
	file := cacheFile(o)
	return file[:len(file)-len(filepath.Ext(file))] + "-calibrated.json"
}

func readCalibrated(o Options) *Profile {
	if o.CacheDir == "" || o.Kernel.BuildID == "" {
		return nil
	}
	f, err := openOwned(calibratedFile(o))
	if err != nil {
		return nil
	}
	defer f.Close()
	p, err := LoadProfile(f)
	if err != nil || p.Kernel != o.Kernel || p.Program != o.Program || p.Loaded != inet6(procDir) {
		return nil
	}
	return p
}

const procDir = "/proc"

// inet6 tells whether there was IPv6 to measure: members that only sockets of
// IPv6 use are not found without.
func inet6(proc string) string {
	if _, err := os.Stat(filepath.Join(proc, "net/if_inet6")); err != nil {
		return "no IPv6"
	}
	return "IPv6"
}

// versionID stands for the build of a kernel that has no build id: that of
// release, compiler and time of the build.
func versionID(proc string) string {
	text, err := os.ReadFile(filepath.Join(proc, "version"))
	if err != nil {
		return ""
	}
	h := fnv.New64a()
	h.Write(text)
	return fmt.Sprintf("version-%016x", h.Sum64())
}
