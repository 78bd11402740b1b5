package ktype

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maxBTF bounds what is read as BTF, in bytes. The largest seen, a 4.18 build
// for arm64 converted by pahole without deduplication, has 27 MB; vmlinux has
// 3 to 8.
const maxBTF = 128 << 20

// A FileError says which file of type information cannot be used, why, and
// what to do about it, in one line.
type FileError struct {
	File string
	Msg  string
	Do   string // the next step for the user, or ""
	Err  error  // the cause when there is one, for errors.Is
}

func (e *FileError) Error() string {
	s := e.File + ": " + e.Msg
	if e.Do != "" {
		s += " (" + e.Do + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// readBTF returns the raw BTF of a file: the file itself, or the .BTF section
// of an ELF file (a vmlinux or a module).
func readBTF(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		if file == vmlinuxBTF && errors.Is(err, fs.ErrNotExist) {
			return nil, &FileError{file, "this kernel carries no type information (CONFIG_DEBUG_INFO_BTF)",
				"give a BTF file of it, as from BTFHub, with --btf FILE", err}
		}
		return nil, &FileError{file, cause(err), "", err}
	}
	defer f.Close()

	var head [4]byte
	if n, err := f.ReadAt(head[:], 0); n < len(head) {
		if n == 0 && isDir(f) {
			return nil, &FileError{file, "is a directory", "name a file of BTF", err}
		}
		return nil, &FileError{file, fmt.Sprintf("%d bytes are no BTF", n),
			"the file is empty or truncated: fetch or write it again", err}
	}
	if string(head[:]) == elf.ELFMAG {
		return elfBTF(file, f)
	}
	if st, err := f.Stat(); err == nil && st.Size() > maxBTF {
		return nil, &FileError{file, fmt.Sprintf("%d MB are too large for BTF", st.Size()>>20), notBTF, nil}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &FileError{file, cause(err), "", err}
	}
	return data, nil
}

const notBTF = "give raw BTF as in /sys/kernel/btf/vmlinux, or an ELF file with a .BTF section"

// elfBTF reads the section .BTF and nothing else, so a vmlinux with all its
// debug information costs no more than its type information.
func elfBTF(file string, f *os.File) ([]byte, error) {
	ef, err := elf.NewFile(f)
	if err != nil {
		return nil, &FileError{file, "damaged ELF file: " + err.Error(), "fetch or build it again", err}
	}
	s := ef.Section(".BTF")
	if s == nil {
		return nil, &FileError{file, "this ELF file has no .BTF section",
			"it was built without CONFIG_DEBUG_INFO_BTF; pahole -J adds one from DWARF", nil}
	}
	if s.Size > maxBTF {
		return nil, &FileError{file, fmt.Sprintf("a .BTF section of %d MB is too large", s.Size>>20), notBTF, nil}
	}
	data, err := s.Data()
	if err != nil {
		return nil, &FileError{file, "section .BTF: " + err.Error(), "the file is truncated: fetch it again", err}
	}
	return bytes.Clone(data), nil
}

// cause is the reason of a file error without the operation and path, which
// the message has already.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func isDir(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.IsDir()
}
