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
	hex          []byte // the address as it is printed
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

// parseSymbol splits a line. Of the address it looks at the first digit only:
// few symbols of a hundred thousand have one that matters.
func parseSymbol(b []byte) (l symLine, ok bool) {
	i := 16 // the digits of a 64-bit address
	if len(b) <= i || b[i] != ' ' || b[0] == ' ' {
		text := bytes.TrimLeft(b, " ")
		n := bytes.IndexByte(text, ' ')
		if n <= 0 || len(text) != len(b) && !bytes.HasPrefix(text, nullAddr) {
			return l, false
		}
		i = len(b) - len(text) + n
		l.hex = text[:n]
	} else {
		l.hex = b[:i]
	}
	if _, ok := hexDigit(l.hex[0]); !ok && !bytes.Equal(l.hex, nullAddr) || i+4 > len(b) || b[i+2] != ' ' {
		return l, false
	}
	l.kind = b[i+1]
	end := len(b)
	for end > i+3 && (b[end-1] == '\n' || b[end-1] == '\r') {
		end--
	}
	l.name = b[i+3 : end]
	if n := len(l.name); n > 0 && l.name[n-1] == ']' {
		if t := bytes.IndexByte(l.name, '\t'); t >= 0 {
			l.module = bytes.Trim(l.name[t+1:], "[] ")
			l.name = l.name[:t]
		}
	}
	return l, len(l.name) > 0
}

// addr is the address, 0 where it is hidden.
func (l symLine) addr() uint64 {
	var a uint64
	for _, c := range l.hex {
		d, ok := hexDigit(c)
		if !ok {
			return 0
		}
		a = a<<4 | uint64(d)
	}
	return a
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
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
		if f := found[string(l.name)]; f != nil && suffix != nil && !generated(l.module) {
			f.Exact = append(f.Exact, l.symbol()) // a copy that was asked for by its own name
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
	return Symbol{string(l.name), l.addr(), l.kind, string(l.module)}
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
