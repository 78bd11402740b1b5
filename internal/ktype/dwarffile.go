package ktype

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/skprobe/skprobe/fetchargs"
)

// A dwarfFile is a file with debug information. It stays open, because units
// are read when something of them is needed: the information of a kernel has
// 160 MB and more, what a tool needs of it a few. It is closed when nothing
// refers to it any more.
//
// The entries are read here and not by debug/dwarf, which reads the
// abbreviations of all units before anything else and makes an allocation for
// each attribute: its walk over the outermost entries of Debian's 6.1 takes
// 4.3 s and 140 MB, this one's 0.15 s and 14 MB (BenchmarkOpenDWARF). It is the
// oracle of the tests, and the constants here are its constants.
type dwarfFile struct {
	file string
	r    *os.File
	elf  *elf.File
	size int64
	id   string     // build id, "" when it has none
	base *dwarfFile // vmlinux, for a module

	info       section
	abbrev     []byte
	str        []byte
	lineStr    []byte
	strOffsets []byte

	heads    []unitHead
	units    map[int]*dwarfUnit
	names    *nameIndex
	indexErr error
	symbols  map[uint64]bool // hashes of the names of functions; nil without a symbol table
	code     *codeInfo
	memo     map[uint32]*fetchargs.Type
	busy     map[uint32]bool
}

// A section is read in parts.
type section struct {
	r    io.ReaderAt
	size int64
}

func (s section) read(buf []byte, off, n int64) ([]byte, error) {
	got, err := s.r.ReadAt(buf[:n], off)
	if int64(got) == n {
		err = nil
	}
	return buf[:n], err
}

// maxSection bounds what a compressed section unpacks to and what is read into
// memory at once. The largest seen is a .debug_info of 0.9 GB, of a kernel
// that was built with everything.
const maxSection = 4<<30 - 1

// openDwarfFile opens an ELF file and checks that there is debug information
// for a machine that skprobe knows. Nothing of it is read yet: see load.
func openDwarfFile(file string) (f *dwarfFile, err error) {
	r, err := os.Open(file)
	if err != nil {
		return nil, &FileError{file, cause(err), "", err}
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	st, err := r.Stat()
	if err != nil {
		return nil, &FileError{file, cause(err), "", err}
	}
	if st.IsDir() {
		return nil, &FileError{file, "is a directory", "name a vmlinux with debug information", nil}
	}
	var head [6]byte
	r.ReadAt(head[:], 0) // what is missing is not the magic number either
	if string(head[:4]) != elf.ELFMAG {
		return nil, notELF(file, head[:])
	}
	f = &dwarfFile{
		file: file, r: r, size: st.Size(),
		units: map[int]*dwarfUnit{}, memo: map[uint32]*fetchargs.Type{}, busy: map[uint32]bool{},
	}
	if f.elf, err = elf.NewFile(r); err != nil {
		return nil, &FileError{file, "damaged ELF file: " + err.Error(), damaged, err}
	}
	if m := f.elf.Machine; f.elf.Class != elf.ELFCLASS64 || f.elf.Data != elf.ELFDATA2LSB || m != elf.EM_X86_64 && m != elf.EM_AARCH64 {
		return nil, &FileError{file, fmt.Sprintf("made for another machine (%s, %s)", f.elf.Machine, f.elf.Data), "skprobe knows amd64 and arm64", nil}
	}
	f.id = f.buildID()
	return f, f.checkSections()
}

func notELF(file string, head []byte) error {
	e := &FileError{file, "not an ELF file", "name a vmlinux with debug information; a boot image (vmlinuz, bzImage) has none", nil}
	for _, c := range [...]struct{ magic, unpack string }{
		{"\xfd7zXZ", "unxz"}, {"\x1f\x8b", "gunzip"}, {"\x28\xb5\x2f\xfd", "unzstd"},
	} {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			e.Msg, e.Do = "a compressed file", "unpack it with "+c.unpack+" and name the result"
		}
	}
	return e
}

// errNoDebugInfo is the cause of errors about files without debug information.
var errNoDebugInfo = errors.New("no debug information")

// checkSections finds .debug_info and .debug_abbrev inside of the file.
func (f *dwarfFile) checkSections() error {
	for _, name := range [...]string{".debug_info", ".debug_abbrev"} {
		s := f.elf.Section(name)
		if s == nil && f.elf.Section(".z"+name[1:]) != nil {
			return f.cannot("its sections are compressed in the old way of GNU (unpack them with objcopy --decompress-debug-sections)")
		}
		if s == nil || s.Type == elf.SHT_NOBITS || s.Size == 0 {
			return &FileError{f.file, "has no debug information", debugPackage, errNoDebugInfo}
		}
		if s.Offset > uint64(f.size) || s.FileSize > uint64(f.size)-s.Offset {
			return f.corrupt("%s ends after the file, which has %d bytes", name, f.size)
		}
	}
	return nil
}

const debugPackage = "install the debug package of this very kernel: linux-image-…-dbg on Debian, linux-image-…-dbgsym on Ubuntu, kernel-debuginfo on Fedora, RHEL and SUSE"

// load reads everything but the entries, once.
func (f *dwarfFile) load() (err error) {
	if f.heads != nil || f.indexErr != nil {
		return f.indexErr
	}
	defer func() { f.indexErr = err }()
	for name, to := range map[string]*[]byte{
		".debug_abbrev": &f.abbrev, ".debug_str": &f.str, ".debug_line_str": &f.lineStr, ".debug_str_offsets": &f.strOffsets,
	} {
		if *to, err = f.sectionData(name); err != nil {
			return err
		}
	}
	s := f.elf.Section(".debug_info")
	f.info = section{s, int64(s.Size)}
	if s.Flags&elf.SHF_COMPRESSED != 0 || f.elf.Type == elf.ET_REL {
		data, err := f.sectionData(".debug_info")
		if err != nil {
			return err
		}
		f.info = section{bytes.NewReader(data), int64(len(data))}
	}
	if f.info.size > maxSection {
		return f.cannot(".debug_info has %d MB", f.info.size>>20)
	}
	if err := f.unitHeads(); err != nil {
		return err
	}
	if len(f.heads) == 0 {
		return &FileError{f.file, "has no debug information", debugPackage, errNoDebugInfo}
	}
	return f.readSymbols()
}

// sectionData returns a whole section, unpacked and relocated; nil when there
// is none.
func (f *dwarfFile) sectionData(name string) ([]byte, error) {
	s := f.elf.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, nil
	}
	if s.Size > maxSection {
		return nil, f.cannot("%s has %d MB", name, s.Size>>20)
	}
	data, err := s.Data()
	if err != nil {
		return nil, f.unreadable(name, err)
	}
	if f.elf.Type == elf.ET_REL {
		return data, f.relocate(s, data)
	}
	return data, nil
}

// buildID returns that of the linker, in hex. A vmlinux has it among other
// notes, in a section .notes.
func (f *dwarfFile) buildID() string {
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_NOTE || s.Size > 1<<20 {
			continue
		}
		if data, err := s.Data(); err == nil {
			if id := noteBuildID(data); id != "" {
				return id
			}
		}
	}
	return ""
}

// noteBuildID finds the build id among ELF notes: type NT_GNU_BUILD_ID (3) of
// the owner GNU.
func noteBuildID(notes []byte) string {
	c := cursor{data: notes}
	for {
		name, desc, kind := c.uint(4), c.uint(4), c.uint(4)
		if c.bad || name > uint64(len(notes)) || desc > uint64(len(notes)) {
			return ""
		}
		owner := c.take(int(name+3) &^ 3)
		id := c.take(int(desc))
		if c.bad {
			return ""
		}
		if kind == 3 && name == 4 && string(owner) == "GNU\x00" {
			return fmt.Sprintf("%x", id)
		}
		c.skip(-int(desc) & 3)
	}
}

func (f *dwarfFile) corrupt(format string, a ...any) error {
	return &FileError{File: f.file, Msg: "DWARF: " + fmt.Sprintf(format, a...), Do: damaged}
}

// cannot is for files that are sound and not readable here.
func (f *dwarfFile) cannot(format string, a ...any) error {
	return &FileError{File: f.file, Msg: "its debug information cannot be used: " + fmt.Sprintf(format, a...)}
}

func (f *dwarfFile) unreadable(section string, err error) error {
	return &FileError{f.file, "section " + section + ": " + cause(err), damaged, err}
}

func (f *dwarfFile) close() {
	f.r.Close()
}
