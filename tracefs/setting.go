package tracefs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Set writes a setting: a file below the root such as "trace_clock", "options/overwrite" or "events/GROUP/EVENT/enable". A refusal wraps the
// kernel's errno, a file that this kernel does not have gives fs.ErrNotExist.
func (f *FS) Set(name, value string) error {
	// O_TRUNC is what "echo >" does, and what clears lists such as set_event_pid.
	w, err := os.OpenFile(f.path(name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("set %s: %w", name, settingError(err))
	}
	_, err = w.WriteString(value + "\n")
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("set %s to %q: %w", name, value, settingError(err))
	}
	return nil
}

// Get reads a setting, without the newline at its end.
func (f *FS) Get(name string) (string, error) {
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, settingError(err))
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// settingError is the errno of a file error: the path, which may lead through /proc/self/fd, says nothing to a user.
func settingError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
