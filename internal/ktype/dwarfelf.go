package ktype

import (
	"debug/elf"
)

// relocate applies the relocations of a section of a relocatable file, which
// is what a module is: there, offsets of names lie in the relocations and not
// in .debug_info itself (System V ABI, chapter 4; the psABIs of x86-64 and
// AArch64 for the kinds). Addresses become those of [dwarfFile.sectionBases].
func (f *dwarfFile) relocate(s *elf.Section, data []byte) error {
	index := -1
	for i, o := range f.elf.Sections {
		if o == s {
			index = i
		}
	}
	bases := f.sectionBases()
	for _, rel := range f.elf.Sections {
		if rel.Type != elf.SHT_RELA || int(rel.Info) != index {
			continue
		}
		if int(rel.Link) >= len(f.elf.Sections) {
			return f.corrupt("%s belongs to no symbol table", rel.Name)
		}
		symbols, err := f.elf.Sections[rel.Link].Data()
		if err != nil {
			return f.unreadable(f.elf.Sections[rel.Link].Name, err)
		}
		table, err := rel.Data()
		if err != nil {
			return f.unreadable(rel.Name, err)
		}
		for ; len(table) >= 24; table = table[24:] { // Elf64_Rela
			at, info, addend := le.Uint64(table), le.Uint64(table[8:]), le.Uint64(table[16:])
			n := relocationSize(f.elf.Machine, uint32(info))
			if n == 0 {
				continue
			}
			sym := info >> 32 * 24 // Elf64_Sym
			if at > uint64(len(data)) || uint64(n) > uint64(len(data))-at || sym+24 > uint64(len(symbols)) {
				return f.corrupt("%s refers to a place that does not exist", rel.Name)
			}
			value := le.Uint64(symbols[sym+8:]) + addend
			if in := int(le.Uint16(symbols[sym+6:])); in < len(bases) {
				value += bases[in]
			}
			if n == 4 {
				le.PutUint32(data[at:], uint32(value))
			} else {
				le.PutUint64(data[at:], value)
			}
		}
	}
	return nil
}

// sectionBases are addresses that are given to the sections of a relocatable file,
// in which each begins at 0, so that an address tells the section.
func (f *dwarfFile) sectionBases() []uint64 {
	bases := make([]uint64, len(f.elf.Sections))
	if f.elf.Type != elf.ET_REL {
		return bases
	}
	next := uint64(1 << 20)
	for i, s := range f.elf.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Size < 1<<32 {
			bases[i] = next
			next += (s.Size + 1<<20) &^ (1<<16 - 1)
		}
	}
	return bases
}

// relocationSize returns how many bytes an absolute relocation fills, 0 for
// other kinds.
func relocationSize(m elf.Machine, kind uint32) int {
	switch {
	case m == elf.EM_X86_64 && kind == uint32(elf.R_X86_64_64), m == elf.EM_AARCH64 && kind == uint32(elf.R_AARCH64_ABS64):
		return 8
	case m == elf.EM_X86_64 && kind == uint32(elf.R_X86_64_32), m == elf.EM_AARCH64 && kind == uint32(elf.R_AARCH64_ABS32):
		return 4
	}
	return 0
}

// readSymbols hashes the names of the functions in the symbol table: what the
// debug information has may be inlined wherever it is called, or compiled with
// other parameters under a name with a suffix ("udp_x.isra.0").
func (f *dwarfFile) readSymbols() error {
	s := f.elf.Section(".symtab")
	if s == nil || s.Type == elf.SHT_NOBITS || int(s.Link) >= len(f.elf.Sections) || s.Size > maxSection {
		return nil
	}
	table, err := s.Data()
	if err != nil {
		return f.unreadable(".symtab", err)
	}
	names, err := f.elf.Sections[s.Link].Data()
	if err != nil {
		return f.unreadable(f.elf.Sections[s.Link].Name, err)
	}
	f.symbols = make(map[uint64]bool, len(table)/48)
	for ; len(table) >= 24; table = table[24:] {
		off := le.Uint32(table)
		if elf.ST_TYPE(table[4]) != elf.STT_FUNC || uint64(off) >= uint64(len(names)) {
			continue
		}
		c := cursor{data: names, off: int(off)}
		f.symbols[nameKey(c.str(), kindFunc)] = true
	}
	return nil
}
