package kernel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Symbol is a line of /proc/kallsyms.
type Symbol struct {
	Name   string
	Addr   uint64 // 0 where the kernel hides addresses (kptr_restrict)
	Type   byte   // as nm prints it: T and t are functions
	Module string // "" for the kernel itself
}

// IsFunc tells whether the symbol is in a section of code.
func (s Symbol) IsFunc() bool { return isFunc(s.Type) }

func isFunc(t byte) bool { return t|0x20 == 't' || t|0x20 == 'w' }

// symLine is a Symbol whose names point into a buffer of the reader.
type symLine struct {
	name, module []byte
	addr         uint64
	kind         byte
}

// scanSymbols calls f for each line of kallsyms or System.map until it
// returns false. It allocates nothing per line.
//
// Lines are "address type name" and, for modules, a tab and "[module]"; see
// s_show in kernel/kallsyms.c.
func scanSymbols(r io.Reader, f func(symLine) bool) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		b, err := br.ReadSlice('\n')
		if len(b) == 0 && err == io.EOF {
			return nil
		}
		if err != nil && err != io.EOF {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errors.New("line too long")
			}
			return fmt.Errorf("kallsyms, line %d: %w", n, err)
		}
		l, ok := parseSymbol(b)
		if !ok {
			if len(bytes.TrimSpace(b)) == 0 {
				continue
			}
			return fmt.Errorf("kallsyms, line %d: %q is not \"address type name\"", n, bytes.TrimSpace(b[:min(len(b), 80)]))
		}
		if !f(l) {
			return nil
		}
	}
}

// nullAddr is how kernels before 4.15 print a hidden address.
var nullAddr = []byte("(null)")

func parseSymbol(b []byte) (l symLine, ok bool) {
	i := 0
	if hidden := bytes.TrimLeft(b, " "); bytes.HasPrefix(hidden, nullAddr) {
		i = len(b) - len(hidden) + len(nullAddr)
	}
	for ; i < len(b) && b[i] != ' '; i++ {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return l, false
		}
		l.addr = l.addr<<4 | uint64(c)
	}
	if i == 0 || i+4 > len(b) || b[i+2] != ' ' {
		return l, false
	}
	l.kind = b[i+1]
	l.name = bytes.TrimRight(b[i+3:], "\r\n")
	if t := bytes.IndexByte(l.name, '\t'); t >= 0 {
		l.module = bytes.Trim(l.name[t+1:], "[] ")
		l.name = l.name[:t]
	}
	return l, len(l.name) > 0
}

// generated tells whether a module name stands for code that the kernel made
// at run time (BPF programs, trampolines), which cannot be probed by name.
func generated(module []byte) bool {
	return string(module) == "bpf" || bytes.HasPrefix(module, []byte("__builtin__"))
}

// Kallsyms opens the list of symbols.
func (fs FS) Kallsyms() (*os.File, error) {
	f, err := os.Open(fs.path("proc/kallsyms"))
	if err != nil {
		return nil, fmt.Errorf("list of kernel functions: %w", err)
	}
	return f, nil
}

// Found is what kallsyms has of one function name.
type Found struct {
	Name string
	// Exact are the functions of exactly this name. Several are different
	// functions (static ones of different files), and the kernel refuses or
	// mixes up a probe on them.
	Exact []Symbol
	// Suffixed are copies that the compiler made, such as name.isra.0 or
	// name.constprop.0: their parameters may not be where the prototype has
	// them. Cold parts, which are no functions, are left out.
	Suffixed []Symbol
}

// FindSymbols looks for functions by name, in one pass over kallsyms; the
// kernel needs tens of milliseconds for printing that, so ask once for all
// that is needed. It reads to the end, because a second function of one name
// may be anywhere. Each name has an entry in the result.
func FindSymbols(r io.Reader, names ...string) (map[string]*Found, error) {
	found := make(map[string]*Found, len(names))
	var first [256]bool
	for _, n := range names {
		if n != "" {
			found[n] = &Found{Name: n}
			first[n[0]] = true
		}
	}
	err := scanSymbols(r, func(l symLine) bool {
		if !first[l.name[0]] || !isFunc(l.kind) {
			return true
		}
		base, suffix := l.name, []byte(nil)
		if dot := bytes.IndexByte(l.name, '.'); dot > 0 {
			base, suffix = l.name[:dot], l.name[dot:]
		}
		f := found[string(base)]
		if f == nil || generated(l.module) {
			return true
		}
		if suffix == nil {
			f.Exact = append(f.Exact, l.symbol())
		} else if !isCold(suffix) {
			f.Suffixed = append(f.Suffixed, l.symbol())
		}
		return true
	})
	return found, err
}

func (l symLine) symbol() Symbol {
	return Symbol{string(l.name), l.addr, l.kind, string(l.module)}
}

// isCold tells whether a suffix marks the rarely used part of a function that
// the compiler put elsewhere: "foo.cold", "foo.cold.12", "foo.isra.0.cold".
func isCold(suffix []byte) bool {
	return bytes.Contains(suffix, []byte(".cold"))
}

// probeable tells whether a symbol is a function that a probe by name makes
// sense on: not a cold part, not the padding and hashes that compilers emit
// before functions, nor the mapping symbols of arm64.
func (l symLine) probeable() bool {
	if !isFunc(l.kind) || generated(l.module) || l.name[0] == '$' || isCold(l.name) {
		return false
	}
	for _, p := range [...]string{"__pfx_", "__cfi_", "__kstrtab", "__ksymtab", "__crc_"} {
		if bytes.HasPrefix(l.name, []byte(p)) {
			return false
		}
	}
	return true
}

// moduleName is a module as kallsyms spells it: with "_" for "-".
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }
