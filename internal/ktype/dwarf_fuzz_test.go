package ktype

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

// FuzzDWARF must neither panic nor hang, whatever the sections have: nothing
// here guards against it but checks of each read.
func FuzzDWARF(f *testing.F) {
	// A unit of DWARF 4 with a struct that contains itself and an int.
	abbrevs := []byte{1, 0x11, 1, 0, 0, 2, 0x13, 1, 0x03, 0x08, 0x0b, 0x0b, 0, 0, 3, 0x0d, 0, 0x03, 0x08, 0x49, 0x13, 0x38, 0x0b, 0, 0, 0}
	info := []byte{0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1, 2, 's', 0, 4, 3, 'm', 0, 12, 0, 0, 0, 0, 0, 0}
	info[0] = byte(len(info) - 4)
	f.Add(info, abbrevs, []byte("\x00odd\x00"))
	for _, flags := range [][]string{{"-gdwarf-2"}, {"-gdwarf-4"}, {"-gdwarf-5"}} {
		file := compileSeed(f, flags)
		if file == nil {
			continue
		}
		var data [3][]byte
		for i, name := range []string{".debug_info", ".debug_abbrev", ".debug_str"} {
			data[i], _ = file.Section(name).Data()
		}
		f.Add(data[0], data[1], data[2])
	}
	f.Fuzz(func(t *testing.T, info, abbrev, str []byte) {
		file := &dwarfFile{
			file: "fuzz", abbrev: abbrev, str: str, lineStr: str, strOffsets: str, info: section{bytes.NewReader(info), int64(len(info))},
			units: map[int]*dwarfUnit{}, memo: map[uint32]*fetchargs.Type{}, busy: map[uint32]bool{},
		}
		if file.unitHeads() == nil {
			readAll(file)
		}
	})
}

// FuzzOpenDWARF is about the frame: ELF, compression, relocations, symbols.
func FuzzOpenDWARF(f *testing.F) {
	for _, flags := range [][]string{{"-gdwarf-4"}, {"-gdwarf-5", "-r"}, {"-gdwarf-5", "-gz=zlib"}} {
		if compileSeed(f, flags) != nil {
			data, err := os.ReadFile(compile(f, flags...))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := OpenDWARF(path); err == nil {
			readAll(d.vmlinux)
			for _, p := range []Place{{Func: "only_inlined"}, {Func: "only_inlined", HasLine: true, Line: 1}, {Func: "only_inlined", Label: "out"}, {File: "odd.c", Line: 1}} {
				d.Spots(p)
			}
			d.vmlinux.close()
		}
	})
}

// compileSeed returns nil where there is no compiler.
func compileSeed(f *testing.F, flags []string) *elf.File {
	if _, err := os.Stat("/usr/bin/gcc"); err != nil {
		return nil
	}
	file, err := elf.Open(compile(f, flags...))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	return file
}

// readAll converts whatever the index has, and some of what it leads to.
func readAll(f *dwarfFile) {
	names, err := f.index()
	if err != nil {
		return
	}
	for _, off := range names.at {
		d, err := f.entryAt(off, nil)
		if err != nil {
			continue
		}
		t, err := d.convert(0)
		if err != nil {
			continue
		}
		_ = t.String()
		for _, m := range t.Members {
			_ = m.Type.String()
			m.Type.Elem()
		}
	}
	f.find("odd", 1<<kindStruct)
	f.funcNamed("caller")
}
