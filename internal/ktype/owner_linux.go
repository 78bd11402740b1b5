package ktype

import (
	"io/fs"
	"os"
	"syscall"
)

// owned tells whether a file belongs to the user that this process acts as.
func owned(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
