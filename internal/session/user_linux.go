package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/skprobe/skprobe/internal/elfsym"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/tracefs"
)

// userFuncs finds functions of programs and libraries.
type userFuncs struct {
	tfs   *tracefs.FS
	pids  []int // processes to which the run is limited
	files map[string]*userFile
}

// A userFile is a program or library that was opened.
type userFile struct {
	*elfsym.File
	path string   // as the kernel is to find it
	keep *os.File // which path leads to; nil for a path that the kernel takes
}

// close closes what was opened for the kernel to find it.
func (u *userFuncs) close() {
	if u == nil {
		return
	}
	for _, f := range u.files {
		if f.keep != nil {
			f.keep.Close()
			f.keep = nil
		}
	}
}

// has tells whether a place that looks like a pattern is the name of a function:
// Go's have brackets and stars in them.
func (u *userFuncs) has(p *event.Probe) bool {
	if p.File == "" {
		return false
	}
	f, err := u.open(p.File)
	if err != nil {
		return false
	}
	_, err = f.Find(p.Funcs[0])
	return err == nil
}

// find finds a function, for the compiler.
func (u *userFuncs) find(file, function string) (event.UserFunc, error) {
	f, err := u.open(file)
	if err != nil {
		return event.UserFunc{}, err
	}
	fn, err := f.Find(function)
	if err != nil {
		return event.UserFunc{}, nearFunction(err)
	}
	off, ok := f.Offset(fn.Addr)
	if !ok {
		return event.UserFunc{}, &Error{Status: ExitRefused, Err: fmt.Errorf("%s: %s is not in a part of the file that is run", file, function)}
	}
	if name, distance, ok := f.Resolve(off); ok && distance == 0 && strings.HasPrefix(function, "0x") {
		fn.Name = name
	}
	return event.UserFunc{Path: f.path, Name: fn.Name, Offset: off, Go: f.Go}, nil
}

// nearFunction adds functions with a name like the one that does not exist.
func nearFunction(err error) error {
	var none *elfsym.NotFoundError
	if errors.As(err, &none) {
		if near := kernel.Near(none.Name, none.Known); len(near) > 0 && strings.HasPrefix(none.Why, "there is no") {
			err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
		}
	}
	return &Error{Status: ExitRefused, Err: err}
}

func (u *userFuncs) open(file string) (*userFile, error) {
	if f := u.files[file]; f != nil {
		return f, nil
	}
	if ok, err := u.tfs.Has("uprobe_events"); err == nil && !ok {
		return nil, &Error{Status: ExitRefused, Err: errors.New("this kernel has no uprobe events"), Do: "it needs CONFIG_UPROBE_EVENTS"}
	}
	path, err := u.locate(file)
	if err != nil {
		return nil, err
	}
	e, err := elfsym.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, &Error{Status: ExitFailed, Err: err}
	case err != nil:
		return nil, &Error{Status: ExitUsage, Err: err}
	}
	f := &userFile{File: e, path: path}
	if strings.ContainsAny(path, " \t\n#:") { // which the kernel takes for something else
		if f.keep, err = os.Open(path); err != nil {
			return nil, &Error{Status: ExitFailed, Err: err}
		}
		f.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.keep.Fd())
	}
	if u.files == nil {
		u.files = map[string]*userFile{}
	}
	u.files[file] = f
	return f, nil
}

// locate finds the file: by its path, as the process sees it to which the run is
// limited, which may be in a container; or by the name of a program or library.
func (u *userFuncs) locate(file string) (string, error) {
	root := u.root()
	if strings.ContainsRune(file, '/') {
		if filepath.IsAbs(file) {
			return root + file, nil
		}
		return filepath.Abs(file)
	}
	if path, err := exec.LookPath(file); err == nil && root == "" {
		return filepath.Abs(path)
	}
	for _, dir := range libraryDirs {
		for _, name := range []string{file, file + ".so", file + ".so.[0-9]*"} {
			if found, _ := filepath.Glob(root + dir + "/" + name); len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return "", &Error{Status: ExitUsage, Err: fmt.Errorf("there is no program or library %s; give its path", file)}
}

// libraryDirs are where distributions have libraries.
var libraryDirs = []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}

// triplet is what Debian calls this architecture.
var triplet = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[string(arch)]

// root is where the files of the process are to which the run is limited, ""
// where they are those of this process.
func (u *userFuncs) root() string {
	if len(u.pids) == 0 {
		return ""
	}
	root := fmt.Sprintf("/proc/%d/root", u.pids[0])
	theirs, err := os.Stat(root + "/")
	ours, oerr := os.Stat("/")
	if err != nil || oerr != nil || os.SameFile(theirs, ours) {
		return ""
	}
	return root
}

// userFunctions are the functions of a program or library that match.
func (p *pattern) userFunctions(src event.Source, users *userFuncs) (sources []event.Source, err error) {
	probe := &src.Probes[0]
	f, err := users.open(probe.File)
	if err != nil {
		return nil, err
	}
	all, err := f.Match(probe.Funcs[0])
	if err != nil {
		return nil, usage("%v", err)
	}
	p.matched = len(all)
	for _, fn := range all {
		if fn.Indirect {
			p.refuse("are chosen when a program starts")
			continue
		}
		at := fmt.Sprintf("0x%x", fn.Addr) // static functions may have one name
		one := p.one(src, "u:"+probe.File+":"+fn.Name, func(probe *event.Probe) { probe.Funcs = []string{at} })
		sources = append(sources, one)
	}
	return sources, nil
}
