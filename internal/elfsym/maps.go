package elfsym

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Mapping is a part of a file that is mapped to run in a process.
type Mapping struct {
	Start, End uint64 // addresses in the process
	Off        uint64 // of Start in the file, in bytes
	Inode      uint64 // of the file, 0 for memory without one
	Device     string // on which it is, "fd:01"
	// Path of the file as the process sees it, or "[vdso]". Deleted: it is
	// not there any more.
	Path    string
	Deleted bool
}

// ReadMaps reads the mappings of code from /proc/PID/maps, in the order of their
// addresses (proc_pid_maps(5)).
func ReadMaps(r io.Reader) ([]Mapping, error) {
	var all []Mapping
	s := bufio.NewScanner(r)
	for s.Scan() {
		m, code, err := parseMapping(s.Text())
		if err != nil {
			return nil, err
		}
		if code {
			all = append(all, m)
		}
	}
	return all, s.Err()
}

// parseMapping reads a line:
//
//	7f3c1a600000-7f3c1a755000 r-xp 00026000 fd:01 1234                       /usr/lib/libc.so.6
func parseMapping(line string) (m Mapping, code bool, err error) {
	rest := line
	field := func() (word string) {
		word, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		return word
	}
	from, to, ok := strings.Cut(field(), "-")
	mode, off := field(), field()
	m.Device = field()
	inode := field()
	var errs [4]error
	m.Start, errs[0] = strconv.ParseUint(from, 16, 64)
	m.End, errs[1] = strconv.ParseUint(to, 16, 64)
	m.Off, errs[2] = strconv.ParseUint(off, 16, 64)
	m.Inode, errs[3] = strconv.ParseUint(inode, 10, 64)
	for _, err := range errs {
		ok = ok && err == nil
	}
	if !ok || len(mode) < 4 || m.End < m.Start {
		return m, false, fmt.Errorf("maps: %q is no mapping", line)
	}
	m.Path = strings.ReplaceAll(strings.TrimLeft(rest, " "), `\012`, "\n")
	m.Path, m.Deleted = strings.CutSuffix(m.Path, " (deleted)")
	return m, mode[2] == 'x', nil
}
