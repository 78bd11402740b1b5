package tracefs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Find returns the tracefs that is mounted on this machine: at /sys/kernel/tracing, at /sys/kernel/debug/tracing, or where
// /proc/self/mounts says. Where there is none (containers, small systems) the error wraps fs.ErrNotExist; where it is mounted
// but may not be entered (it is root's), fs.ErrPermission.
func Find() (*FS, error) {
	candidates := []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}
	if file, err := os.Open("/proc/self/mounts"); err == nil {
		candidates = append(candidates, parseMounts(file)...)
		file.Close()
	}
	var denied error
	for _, root := range candidates {
		switch ok, err := isTracing(root); {
		case ok:
			return New(root), nil
		case errors.Is(err, fs.ErrPermission) && denied == nil:
			denied = err
		}
	}
	if denied != nil {
		return nil, fmt.Errorf("tracefs is for root: %w", denied)
	}
	return nil, fmt.Errorf("tracefs is not mounted: %w", fs.ErrNotExist)
}

// isTracing tells whether a folder is the root of a tracefs, or debugfs' folder "tracing" (the only one before 4.1).
func isTracing(root string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(root, &s); err != nil {
		return false, err
	}
	if uint32(s.Type) != unix.TRACEFS_MAGIC && uint32(s.Type) != unix.DEBUGFS_MAGIC {
		return false, nil
	}
	if s.Flags&unix.ST_RDONLY != 0 {
		return false, unix.EROFS // a container's
	}
	// The folder events is below both, and not readable for others than root.
	if _, err := os.Stat(root + "/events"); err != nil {
		return false, err
	}
	return true, nil
}

// parseMounts returns the roots of tracefs in the text of /proc/PID/mounts, tracefs mounts before debugfs ones.
func parseMounts(r io.Reader) []string {
	var tracefs, debugfs []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 3 {
			continue
		}
		switch dir := unescapeMount(words[1]); words[2] {
		case "tracefs":
			tracefs = append(tracefs, dir)
		case "debugfs":
			debugfs = append(debugfs, strings.TrimSuffix(dir, "/")+"/tracing")
		}
	}
	return append(tracefs, debugfs...)
}

// unescapeMount undoes the \040 of /proc/mounts (mangle_path in fs/seq_file.c).
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
