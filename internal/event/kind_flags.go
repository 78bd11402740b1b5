package event

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// flagsKind shows the names of the bits that are set, "A|B"; bits without a name
// as one number behind them, and no bits as 0. The values of t are masks.
func flagsKind(t *fetchargs.Type) (*Kind, error) {
	return bitsOf(t, "flags", func(e fetchargs.Enumerator) uint64 { return uint64(e.Value) })
}

// bitsKind is flagsKind for an enum whose values are the numbers of bits.
func bitsKind(t *fetchargs.Type) (*Kind, error) {
	return bitsOf(t, "bits", func(e fetchargs.Enumerator) uint64 {
		if e.Value < 0 || e.Value > 63 {
			return 0
		}
		return 1 << e.Value
	})
}

// A flag is the name of one bit, or of some that stand together.
type flag struct {
	mask uint64
	name string
}

func bitsOf(t *fetchargs.Type, kind string, mask func(fetchargs.Enumerator) uint64) (*Kind, error) {
	if t.Kind != fetchargs.Enum {
		return nil, fmt.Errorf("%s is no enum, whose names could be shown; cast it: (enum NAME)…", t)
	}
	var flags []flag
	var names []string
	for _, e := range t.Values {
		if m := mask(e); bits.OnesCount64(m) == 1 {
			flags = append(flags, flag{m, e.Name})
			names = append(names, e.Name)
		}
	}
	if len(flags) == 0 {
		return nil, fmt.Errorf("%s has no names of single bits", t)
	}
	return &Kind{Name: kind, of: enumID(t), Class: Text, Width: 24, Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber,
		Append: func(dst []byte, v *Value) []byte { return appendFlags(dst, flags, v.Num) },
		Lookup: func(s string) (uint64, bool) { return lookupFlags(s, flags) },
		Names:  names,
	}, nil
}

func appendFlags(dst []byte, flags []flag, n uint64) []byte {
	start := len(dst)
	for _, f := range flags {
		if n&f.mask == 0 {
			continue
		}
		if n &^= f.mask; len(dst) > start {
			dst = append(dst, '|')
		}
		dst = append(dst, f.name...)
	}
	switch {
	case len(dst) == start:
		return strconv.AppendUint(dst, n, 10)
	case n != 0:
		dst = strconv.AppendUint(append(dst, "|0x"...), n, 16)
	}
	return dst
}

// lookupFlags reads what appendFlags writes.
func lookupFlags(s string, flags []flag) (n uint64, ok bool) {
words:
	for word := range strings.SplitSeq(s, "|") {
		for _, f := range flags {
			if f.name == word {
				n |= f.mask
				continue words
			}
		}
		more, err := strconv.ParseUint(word, 0, 64)
		if err != nil {
			return 0, false
		}
		n |= more
	}
	return n, true
}
