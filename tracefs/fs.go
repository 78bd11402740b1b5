package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// FS is a tracing file system: the folder that holds kprobe_events and events/. Its methods may be called by several
// goroutines at a time.
type FS struct {
	root string
	keep *os.File // of a private mount: what keeps it alive

	mu    sync.Mutex
	group string   // our group's name, once it was asked for
	lock  *os.File // says to other skprobes that group has a living owner
	tries int      // names given to trial definitions
}

// New returns the FS in the folder root: a tracefs mounted at an odd place, or a test's folder. It does not look at it.
func New(root string) *FS {
	return &FS{root: root}
}

// Open returns the tracefs that is mounted on this machine ([Find]), or a private mount of it ([MountPrivate]) when there
// is none.
func Open() (*FS, error) {
	f, err := Find()
	if errors.Is(err, fs.ErrNotExist) {
		return MountPrivate()
	}
	return f, err
}

// Root returns the folder. For a private mount it is a path below /proc/self/fd, which means something to this process only,
// and only until Close.
func (f *FS) Root() string { return f.root }

// Private reports whether this is a mount of our own, which vanishes with Close or with the process.
func (f *FS) Private() bool { return f.keep != nil }

// Close gives up the ownership of the group, if [FS.Group] was called, and the private mount, if this is one. It does not
// remove definitions. It may be called more than once.
func (f *FS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	if f.lock != nil {
		errs = append(errs, f.lock.Close())
		f.lock = nil
	}
	f.group = ""
	if f.keep != nil {
		errs = append(errs, f.keep.Close())
		f.keep = nil
		f.root = "/proc/self/fd/closed"
	}
	return errors.Join(errs...)
}

// Has reports whether there is a file or folder of this name below the root, for example "error_log" (5.2 and later) or
// "events/tcp/tcp_probe". An error means that it could not tell.
func (f *FS) Has(name string) (bool, error) {
	_, err := os.Stat(f.path(name))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, err
}

// ID returns the number by which perf_event_open and the first two bytes of a record (common_type) name an event. An event
// that does not exist gives an error that wraps fs.ErrNotExist.
func (f *FS) ID(group, event string) (uint64, error) {
	text, err := os.ReadFile(f.path("events", group, event, "id"))
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("id of event %s:%s: %w", group, event, err)
	}
	return id, nil
}

// Format returns the layout of an event's records. An event that does not exist gives an error that wraps fs.ErrNotExist.
func (f *FS) Format(group, event string) (*Format, error) {
	file, err := os.Open(f.path("events", group, event, "format"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	format, err := ParseFormat(file)
	if err != nil {
		return nil, fmt.Errorf("format of event %s:%s: %w", group, event, err)
	}
	return format, nil
}

func (f *FS) path(elem ...string) string {
	return f.root + string(filepath.Separator) + filepath.Join(elem...)
}
