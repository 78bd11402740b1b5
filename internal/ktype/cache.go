package ktype

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// CacheDir is the folder in which layouts are kept between runs: that of
// $SKPROBE_CACHE, or skprobe/layouts in the user's cache folder. Root without a
// home of its own, as under sudo, has /var/cache/skprobe: files of root do
// not belong into the home of another. It returns "" when there is none.
func CacheDir() string {
	if dir := os.Getenv("SKPROBE_CACHE"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if os.Geteuid() == 0 && (err != nil || !ownFolder(home)) {
		return "/var/cache/skprobe"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "skprobe", "layouts")
}

func ownFolder(dir string) bool {
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && owned(st)
}

// cacheFile is the file for one kernel. What was taken from DWARF where that was
// asked for is apart from what BTF or DWARF gave.
func cacheFile(o Options) string {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_+", r) {
			return r
		}
		return '_'
	}
	name := o.Kernel.Release + "-" + o.Kernel.BuildID[:min(16, len(o.Kernel.BuildID))]
	if o.OnlyDWARF {
		name += ".dwarf"
	}
	name += ".json"
	return filepath.Join(o.CacheDir, strings.Map(plain, name))
}

// readCache returns what an earlier run kept of this kernel, or nil: when
// there is nothing, it is damaged, of another kernel or program, may have been
// written by another user, or a module whose types are in it has changed.
func readCache(o Options, sys string) *Profile {
	f, err := openOwned(cacheFile(o))
	if err != nil {
		return nil
	}
	defer f.Close()
	p, err := LoadProfile(f)
	if err != nil || p.Kernel != o.Kernel || p.Program != o.Program {
		return nil
	}
	for m, id := range p.Modules {
		if id == "" || moduleID(sys, m) != id {
			return nil
		}
	}
	if p.Loaded != loadedModules(sys) {
		clear(p.absent)
	}
	return p
}

// errNotOurs refuses a file that someone else may have written: what is in it
// decides which memory of the kernel is read.
var errNotOurs = errors.New("not a file that only this user can write")

// openOwned opens a regular file that belongs to this user and that nobody
// else may write, and does not follow a symbolic link to it.
func openOwned(file string) (*os.File, error) {
	if st, err := os.Lstat(file); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(errNotOurs, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	// What was opened counts, not what was there a moment ago.
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Mode().Perm()&0o022 != 0 || !owned(st) {
		f.Close()
		return nil, errors.Join(fmt.Errorf("%s: %w", file, errNotOurs), err)
	}
	return f, nil
}

// writeCache puts the profile in place of what is there, at once: a run at the
// same time sees the old one or the new one.
func writeCache(o Options, p io.WriterTo) error { return writeCacheFile(o.CacheDir, cacheFile(o), p) }

func writeCacheFile(dir, file string, p io.WriterTo) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cache of layouts: %w", err)
	}
	f, err := os.CreateTemp(dir, ".layout-*") // 0600
	if err != nil {
		return fmt.Errorf("cache of layouts: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("cache of layouts: %w", err)
		}
	}()
	if _, err := p.WriteTo(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
