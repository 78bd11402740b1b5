package elfsym

import (
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
)

// debugDir is where distributions install the symbols of programs.
const debugDir = "/usr/lib/debug/.build-id/"

// debugFile opens the installed debug information of a file, by its build id. nil
// where there is none.
func debugFile(e *elf.File) *elf.File {
	note := e.Section(".note.gnu.build-id")
	if note == nil || note.Size > 256 {
		return nil
	}
	b, err := note.Data()
	const header = 16 // name size, description size, type, "GNU\0"
	if err != nil || len(b) < header+2 {
		return nil
	}
	id := b[header:]
	d, err := elf.Open(fmt.Sprintf("%s%x/%x.debug", debugDir, id[:1], id[1:]))
	if err != nil {
		return nil
	}
	return d
}

// readGo takes the functions from the table that Go programs need to run, and
// that no stripping takes away.
func (f *File) readGo(e *elf.File) {
	table, text := e.Section(".gopclntab"), e.Section(".text")
	if table == nil || text == nil {
		return
	}
	data, err := table.Data()
	if err != nil {
		return
	}
	lines := gosym.NewLineTable(data, goText(data, text.Addr))
	symbols, err := gosym.NewTable(nil, lines)
	if err != nil {
		return
	}
	for i := range symbols.Funcs {
		fn := &symbols.Funcs[i]
		if fn.Sym != nil && fn.Entry != 0 {
			f.funcs = append(f.funcs, Func{Name: fn.Name, Addr: fn.Entry, Size: fn.End - fn.Entry})
		}
	}
}

// goText is the address from which the table counts. The header had it from Go
// 1.18 on; later it is that of the section.
func goText(table []byte, section uint64) uint64 {
	const at = 8 + 2*8 // magic and sizes, number of functions, number of files
	if len(table) < at+8 {
		return section
	}
	if text := binary.LittleEndian.Uint64(table[at:]); text != 0 {
		return text
	}
	return section
}
