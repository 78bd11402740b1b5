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
	for _, e := range t.Values {
		if m := mask(e); bits.OnesCount64(m) == 1 {
			flags = append(flags, flag{m, e.Name})
		}
	}
	if len(flags) == 0 {
		return nil, fmt.Errorf("%s has no names of single bits", t)
	}
	k := flagKind(kind, flags)
	k.of = enumID(t)
	return k, nil
}

func flagKind(kind string, flags []flag) *Kind {
	k := &Kind{Name: kind, Class: Text, Width: 24, Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber,
		Append: func(dst []byte, v *Value) []byte { return appendFlags(dst, flags, v.Num) },
		Lookup: func(s string) (uint64, bool) { return lookupFlags(s, flags) },
	}
	for _, f := range flags {
		k.Names = append(k.Names, f.name)
	}
	return k
}

// MsgFlags are the flags of send and recv without the MSG_ before their names:
// include/linux/socket.h.
var MsgFlags = flagKind("msgflags", []flag{
	{0x1, "OOB"}, {0x2, "PEEK"}, {0x4, "DONTROUTE"}, {0x8, "CTRUNC"}, {0x10, "PROBE"}, {0x20, "TRUNC"}, {0x40, "DONTWAIT"},
	{0x80, "EOR"}, {0x100, "WAITALL"}, {0x200, "FIN"}, {0x400, "SYN"}, {0x800, "CONFIRM"}, {0x1000, "RST"}, {0x2000, "ERRQUEUE"},
	{0x4000, "NOSIGNAL"}, {0x8000, "MORE"}, {0x10000, "WAITFORONE"}, {0x20000, "SENDPAGE_NOTLAST"}, {0x40000, "BATCH"},
	{0x4000000, "ZEROCOPY"}, {0x8000000, "SPLICE_PAGES"}, {0x20000000, "FASTOPEN"}, {0x40000000, "CMSG_CLOEXEC"}, {0x80000000, "CMSG_COMPAT"},
})

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

// RecvFlags are the flags of a function that receives. Before 5.19 they do not
// have DONTWAIT, which is a parameter of its own.
var RecvFlags = &Kind{Name: "recvflags", Class: Text,
	Reads:  []Read{{Expr: "$"}, {Expr: "nonblock", Optional: true}, {Expr: "noblock", Optional: true}},
	Parts:  []Part{{Name: "flags", Help: "flags of the call: MSG_PEEK is PEEK", Kind: MsgFlags}},
	Decode: Decoder{call: recvFlags}}

func recvFlags(in [][]byte, out []*Value) {
	var n uint64
	for _, b := range in {
		if b != nil {
			n |= number(b)
		}
	}
	out[0].setNum(n)
}
