package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An Instance is a tracing instance: rings of its own, with their own size, clock and options, in which events are enabled and
// filtered independently of the rest of the system (Documentation/trace/ftrace.rst, "Instances"; 3.10 and later). Its FS is the folder
// of the instance. It exists until Remove.
type Instance struct {
	*FS
	Name string
	gone bool
}

// maxInstances is how many instances a process may have at a time.
const maxInstances = 16

// NewInstance makes an instance named like the process's group (see [FS.Group]), and owned like it: [FS.Sweep] of another process removes
// it when this one is dead. On a kernel without instances the error wraps fs.ErrNotExist.
//
// Before 6.6 the kernel makes all files of all events for it, which takes some 10 ms and 20 MB.
func (f *FS) NewInstance() (*Instance, error) {
	if _, err := f.Group(); err != nil {
		return nil, err
	}
	self, err := ownerOf("self")
	if err != nil {
		return nil, fmt.Errorf("name of our instance: %w", err)
	}
	for n := 1; ; n++ {
		name := self.instanceName(n)
		err := os.Mkdir(f.path(instancesDir, name), 0o700)
		switch {
		case err == nil:
			return &Instance{FS: New(f.path(instancesDir, name)), Name: name}, nil
		case errors.Is(err, fs.ErrExist) && n < maxInstances:
		default:
			return nil, fmt.Errorf("make a tracing instance: %w", settingError(err))
		}
	}
}

// Remove removes the instance, with all that is enabled and set in it. Its files must be closed. It may be called more than once.
func (i *Instance) Remove() error {
	if i.gone {
		return nil
	}
	if err := removeInstance(i.root); err != nil {
		return fmt.Errorf("remove the tracing instance %s: %w", i.Name, err)
	}
	i.gone = true
	return nil
}

// removeInstance removes an instance. Somebody who reads one of its files, such as a program that looks through all of tracefs, makes
// that impossible for a moment.
func removeInstance(path string) error {
	for try := 0; ; try++ {
		err := unix.Rmdir(path)
		switch {
		case err == nil || err == unix.ENOENT:
			return nil
		case err == unix.EINTR:
		case err == unix.EBUSY && try < 20:
			time.Sleep(10 * time.Millisecond)
		default:
			return err
		}
	}
}

// sweepInstances removes the instances of dead skprobes.
func (f *FS) sweepInstances() ([]SweptInstance, error) {
	entries, err := os.ReadDir(f.path(instancesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var swept []SweptInstance
	for _, e := range entries {
		if o, ours := parseInstance(e.Name()); ours && !f.alive(o) {
			swept = append(swept, SweptInstance{e.Name(), removeInstance(f.path(instancesDir, e.Name()))})
		}
	}
	return swept, nil
}
