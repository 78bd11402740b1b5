package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// An archive writes a cpio archive in the kernel's "newc" format, as Documentation/driver-api/early-userspace/buffer-format.rst
// describes it: the only thing that a kernel needs to have a root file system. Directories that a name needs are made
// before it. A name that is there already is left alone, so what matters most is added first. The first error
// stays and is returned by Close.
type archive struct {
	w     *bufio.Writer
	n     int64
	inode int
	seen  map[string]bool
	err   error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), seen: map[string]bool{"": true}}
}

// Dir adds a directory.
func (a *archive) Dir(name string) {
	if name, ok := a.claim(name); ok {
		a.header(name, 0o040755, 0)
	}
}

// Symlink adds a symbolic link to target.
func (a *archive) Symlink(name, target string) {
	if name, ok := a.claim(name); ok {
		a.header(name, 0o120777, int64(len(target)))
		a.write(strings.NewReader(target), int64(len(target)))
	}
}

// Bytes adds a regular file with these contents.
func (a *archive) Bytes(name string, perm uint32, contents []byte) {
	if name, ok := a.claim(name); ok {
		a.header(name, 0o100000|perm, int64(len(contents)))
		a.write(strings.NewReader(string(contents)), int64(len(contents)))
	}
}

// File adds a regular file with the contents and permissions of the host's file.
func (a *archive) File(name, host string) {
	name, ok := a.claim(name)
	if !ok {
		return
	}
	f, err := os.Open(host)
	if err != nil {
		a.fail(err)
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		a.fail(err)
		return
	}
	if !fi.Mode().IsRegular() {
		a.fail(fmt.Errorf("%s is not a regular file and cannot be taken into the guest", host))
		return
	}
	a.header(name, 0o100000|uint32(fi.Mode().Perm()), fi.Size())
	a.write(f, fi.Size())
}

// Close ends the archive and returns the first error of all that was done with it.
func (a *archive) Close() error {
	a.header("TRAILER!!!", 0, 0)
	if err := a.w.Flush(); a.err == nil {
		a.err = err
	}
	return a.err
}

// claim cleans the name and makes its parents; false when there is nothing to add, or no use in adding.
func (a *archive) claim(name string) (string, bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if a.err != nil || a.seen[name] {
		return name, false
	}
	a.seen[name] = true
	if parent := path.Dir(name); parent != "." {
		a.Dir(parent)
	}
	return name, a.err == nil
}

func (a *archive) header(name string, mode uint32, size int64) {
	if size >= 1<<32 {
		a.fail(fmt.Errorf("%s: %d bytes do not fit in a newc archive", name, size))
		return
	}
	a.inode++
	h := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	a.write(strings.NewReader(h), int64(len(h)))
}

// write copies exactly size bytes, since the header has announced them, and pads to four.
func (a *archive) write(r io.Reader, size int64) {
	if a.err != nil {
		return
	}
	n, err := io.CopyN(a.w, r, size)
	a.n += n
	if err != nil {
		a.fail(fmt.Errorf("a file changed while it was packed: %w", err))
		return
	}
	for ; a.n%4 != 0; a.n++ {
		a.w.WriteByte(0) // bufio keeps the error for Flush
	}
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// addJSON adds a value as a JSON file.
func (a *archive) addJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	a.Bytes(name, 0o644, b)
	return nil
}
