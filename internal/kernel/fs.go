package kernel

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FS is the file tree that facts about the kernel are read from. The zero
// value is that of this machine.
type FS struct {
	Root string // "" for "/"
}

// path returns where a file of the tree is.
func (fs FS) path(name string) string {
	if fs.Root == "" {
		return "/" + name
	}
	return filepath.Join(fs.Root, name)
}

// line returns a file's content without the white space around it.
func (fs FS) line(name string) (string, error) {
	b, err := os.ReadFile(fs.path(name))
	return strings.TrimSpace(string(b)), err
}

// number reads a file that holds one decimal number, as those of sysctl.
func (fs FS) number(name string) (int, error) {
	s, err := fs.line(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}
