package fetchargs

import (
	"strconv"
	"strings"
)

// A BaseKind says what a fetch starts from.
type BaseKind uint8

// What a fetch can start from. The comments give the spelling.
const (
	Register   BaseKind = iota + 1 // %di
	Symbol                         // @jiffies, @jiffies+8: memory at a symbol
	Memory                         // @0xffffffff81000000: memory at an address
	StackAddr                      // $stack: the stack pointer
	StackWord                      // $stack3: the fourth word of the stack
	Retval                         // $retval
	ArgNum                         // $arg2: the second parameter (4.20)
	Comm                           // $comm: the name of the current task (4.8)
	Immediate                      // \42 (5.4)
	Recorded                       // a static tracepoint's own field, which is not fetched
	EventField                     // $skbaddr: a field of the event that an event probe is attached to (5.15)
	Current                        // $current: the current task (7.3)
	Caller                         // $caller of expressions: where the function returns to, which is another base on each architecture
	Typed                          // $skb of expressions: a parameter by its type
)

// A Base is the start of a fetch.
type Base struct {
	Kind BaseKind
	Name string // of a register, symbol or field
	// Num is the offset from a symbol, the address, the word of the stack,
	// the number of the parameter (from 1) or the immediate value.
	Num int64
}

func (b Base) append(dst []byte) []byte {
	switch b.Kind {
	case Register:
		return append(append(dst, '%'), b.Name...)
	case Symbol:
		dst = append(append(dst, '@'), b.Name...)
		if b.Num != 0 {
			dst = appendOffset(dst, b.Num)
		}
	case Memory:
		dst = append(dst, "@0x"...)
		dst = strconv.AppendUint(dst, uint64(b.Num), 16)
	case StackAddr:
		dst = append(dst, "$stack"...)
	case StackWord:
		dst = strconv.AppendInt(append(dst, "$stack"...), b.Num, 10)
	case Retval:
		dst = append(dst, "$retval"...)
	case ArgNum:
		dst = strconv.AppendInt(append(dst, "$arg"...), b.Num, 10)
	case Comm:
		dst = append(dst, "$comm"...)
	case Recorded:
		dst = append(dst, b.Name...)
	case EventField, Typed:
		dst = append(append(dst, '$'), b.Name...)
	case Current:
		dst = append(dst, "$current"...)
	case Caller:
		dst = append(dst, "$caller"...)
	case Immediate:
		dst = strconv.AppendInt(append(dst, '\\'), b.Num, 10)
	}
	return dst
}

// A Load reads memory at what has been reached so far plus Offset.
type Load struct {
	Offset int64
	User   bool // +uOFF(): from the memory of the current process (5.3)
}

// An ArgType is the type suffix of a fetch-arg.
type ArgType struct {
	// Name is u8…u64, s8…s64, x8…x64, char, string, ustring, symbol, symstr
	// or, for a bit field, b<width>@<offset>/<container bits>. Empty: the
	// kernel's default, an unsigned long in hex.
	Name string
	// Count is the length of an array, 0 where it is none.
	Count int
}

// Size returns the bytes of the value in the fixed part of a record. For
// strings that is the word which says where the text lies.
func (t ArgType) Size() int {
	n := max(1, t.Count)
	switch {
	case t.Name == "":
		return 8 * n
	case t.IsString():
		return 4 * n
	case t.Name == "char":
		return n
	case t.Name == "symbol":
		return 8 * n
	}
	s := t.Name[1:]
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s = s[i+1:]
	}
	bits, _ := strconv.Atoi(s)
	return bits / 8 * n
}

// IsString reports whether the value is text of variable length.
func (t ArgType) IsString() bool {
	return t.Name == "string" || t.Name == "ustring" || t.Name == "symstr"
}

// An Arg is one fetch-arg: NAME=FETCHARG:TYPE.
type Arg struct {
	Name  string
	Base  Base
	Loads []Load // outermost last: +8(+0(%si)) is {0}, {8}
	Type  ArgType
}

// Fetch returns the part after the name: "+8(+0(%si)):x64[4]".
func (a Arg) Fetch() string {
	var b []byte
	for i := len(a.Loads) - 1; i >= 0; i-- {
		off, user := a.Loads[i].Offset, a.Loads[i].User
		if off < 0 {
			b = append(b, '-')
		} else {
			b = append(b, '+')
		}
		if user {
			b = append(b, 'u')
		}
		b = append(strconv.AppendUint(b, magnitude(off), 10), '(')
	}
	b = a.Base.append(b)
	for range a.Loads {
		b = append(b, ')')
	}
	if a.Type.Name != "" {
		b = append(append(b, ':'), a.Type.Name...)
		if a.Type.Count > 0 {
			b = append(strconv.AppendInt(append(b, '['), int64(a.Type.Count), 10), ']')
		}
	}
	return string(b)
}

// Size returns the bytes of the argument in the fixed part of a record.
func (a Arg) Size() int {
	if a.Base.Kind == Comm && a.Type.Name == "" {
		return 4 // the kernel makes it a string
	}
	return a.Type.Size()
}

// String returns the argument as it stands in a definition.
func (a Arg) String() string {
	if a.Name == "" {
		return a.Fetch()
	}
	return a.Name + "=" + a.Fetch()
}

func appendOffset(dst []byte, n int64) []byte {
	if n < 0 {
		dst = append(dst, '-')
	} else {
		dst = append(dst, '+')
	}
	return strconv.AppendUint(dst, magnitude(n), 10)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
