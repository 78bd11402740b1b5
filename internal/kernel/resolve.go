package kernel

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
)

// maxSymbol bounds how far after its start an address belongs to a symbol, in
// bytes: kallsyms has no sizes, and after the last symbol of a module comes
// memory of something else.
const maxSymbol = 1 << 20

// A Symbolizer names addresses. It reads kallsyms when the first address is
// asked for, or before with Load, and keeps about 20 bytes for each symbol.
type Symbolizer struct {
	FS FS

	once  sync.Once
	table *symTable
	err   error
}

// Resolve returns the symbol that an address lies in and how many bytes after
// its start; ok is false where none does or the kernel hides addresses, for
// which Err has the reason. It is safe for use by several goroutines.
func (s *Symbolizer) Resolve(addr uint64) (name, module string, offset uint64, ok bool) {
	s.once.Do(s.load)
	if s.table == nil {
		return "", "", 0, false
	}
	return s.table.resolve(addr)
}

// Load reads kallsyms if that was not done yet. It takes longer than rings of
// records may have space for: do it before there are any.
func (s *Symbolizer) Load() { s.once.Do(s.load) }

// Err says why addresses are not resolved, or returns nil.
func (s *Symbolizer) Err() error {
	s.once.Do(s.load)
	return s.err
}

func (s *Symbolizer) load() {
	f, err := s.FS.Kallsyms()
	if err != nil {
		s.err = err
		return
	}
	defer f.Close()
	if s.table, s.err = readTable(f); s.err == nil && len(s.table.syms) == 0 {
		s.err = fmt.Errorf("the kernel hides addresses in /proc/kallsyms: run as root with kernel.kptr_restrict 0 or 1")
	}
}

// symTable is the symbols in order of their addresses.
type symTable struct {
	syms    []tableSym
	names   []byte // each ended by a 0
	modules []string
}

type tableSym struct {
	addr   uint64
	name   uint32 // place in names
	module uint16 // place in modules
	rank   uint8  // of several at one address the lowest is shown
}

func readTable(r io.Reader) (*symTable, error) {
	t := &symTable{modules: []string{""}}
	index := map[string]uint16{"": 0}
	err := scanSymbols(r, func(l symLine) bool {
		addr := l.addr()
		if addr == 0 || l.kind|0x20 == 'a' || l.name[0] == '$' || isCold(l.name) && !isFunc(l.kind) {
			return true
		}
		m, ok := index[string(l.module)]
		if !ok && len(t.modules) < 1<<16-1 {
			m = uint16(len(t.modules))
			t.modules = append(t.modules, string(l.module))
			index[string(l.module)] = m
		}
		t.syms = append(t.syms, tableSym{addr, uint32(len(t.names)), m, rank(l)})
		t.names = append(append(t.names, l.name...), 0)
		return true
	})
	slices.SortFunc(t.syms, func(a, b tableSym) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	t.syms = slices.CompactFunc(t.syms, func(a, b tableSym) bool { return a.addr == b.addr })
	return t, err
}

// rank orders symbols of one address: functions that are seen elsewhere first,
// then static ones, then data and what the compiler made up.
func rank(l symLine) uint8 {
	switch {
	case bytes.HasPrefix(l.name, []byte("__pfx_")), bytes.HasPrefix(l.name, []byte("__cfi_")):
		return 4
	case l.kind == 'T':
		return 0
	case isFunc(l.kind):
		return 1
	case l.kind < 'a':
		return 2
	}
	return 3
}

func (t *symTable) resolve(addr uint64) (name, module string, offset uint64, ok bool) {
	i, exact := slices.BinarySearchFunc(t.syms, addr, func(s tableSym, a uint64) int { return cmp.Compare(s.addr, a) })
	if !exact {
		i--
	}
	if i < 0 || addr-t.syms[i].addr >= maxSymbol {
		return "", "", 0, false
	}
	s := t.syms[i]
	b := t.names[s.name:]
	return string(b[:bytes.IndexByte(b, 0)]), t.modules[s.module], addr - s.addr, true
}
