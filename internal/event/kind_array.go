package event

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// maxArray is how many bytes an array may have that is read at once.
const maxArray = fetchargs.MaxArray * 8

// Escaped is text with anything in it.
var Escaped = &Kind{Name: "text", Help: "bytes as text, what does not print as \\x1b", Class: Text, Width: 16,
	Reads: value1, Decode: decodeText, Append: appendEscaped}

// appendEscaped writes bytes as a C string would.
func appendEscaped(dst []byte, v *Value) []byte {
	const digits = "0123456789abcdef"
	for _, c := range v.Text {
		switch {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < ' ' || c >= 0x7f:
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// splitCount takes the number of elements off the name of a kind: "bytes[16]".
func splitCount(kind string) (name string, n int, err error) {
	name, count, ok := strings.Cut(kind, "[")
	if !ok {
		return kind, 0, nil
	}
	count, ok = strings.CutSuffix(count, "]")
	n, aerr := strconv.Atoi(count)
	if !ok || aerr != nil || n < 1 || n > maxArray {
		return "", 0, fmt.Errorf("%q: a number of elements is 1 to %d, in brackets", kind, maxArray)
	}
	return name, n, nil
}

// arrayKinds are the kinds that can have a number of elements.
var arrayKinds = map[string]func(dst []byte, v *Value) []byte{
	"bytes": nil, "text": nil, "uint": appendUnsigned, "int": appendSigned, "hex": appendHex,
}

// arrayKind is the kind of n elements that begin where an expression of type t
// is, or where it points.
func arrayKind(name string, n int, t *fetchargs.Type) (*Kind, error) {
	one, ok := arrayKinds[name]
	if !ok {
		return nil, fmt.Errorf("only bytes, text, uint, int and hex can have a number of elements, and not %s", name)
	}
	k := &Kind{Name: fmt.Sprintf("%s[%d]", name, n), Class: Text, Width: 16, Decode: decodeText, Append: appendBytes,
		Reads: []Read{{Expr: "$", Size: n, Follow: true, Word: true}}}
	switch {
	case name == "text":
		k.Append = appendEscaped
	case name != "bytes":
		size := elementSize(t)
		if size == 0 {
			return nil, fmt.Errorf("%s has no elements that are numbers; cast it: (u32 *)…", t)
		}
		k.Append = appendElements(size, name == "int", one)
		k.Reads[0].Size = n * size
	}
	if k.Reads[0].Size > maxArray {
		return nil, fmt.Errorf("%d elements have %d bytes, at most %d", n, k.Reads[0].Size, maxArray)
	}
	return k, nil
}

// elementSize is that of what a pointer or array of numbers has; 0 for others.
func elementSize(t *fetchargs.Type) int {
	if t.Kind != fetchargs.Pointer && t.Kind != fetchargs.Array {
		return 8 // a word that is an address: of words
	}
	switch e := t.Elem(); e.Kind {
	case fetchargs.Int, fetchargs.Bool, fetchargs.Enum:
		return e.Size
	case fetchargs.Pointer, fetchargs.Void:
		return 8
	}
	return 0
}

// appendElements writes "1,2,3".
func appendElements(size int, signed bool, one func([]byte, *Value) []byte) func([]byte, *Value) []byte {
	return func(dst []byte, v *Value) []byte {
		for b := v.Text; len(b) >= size; b = b[size:] {
			if len(b) < len(v.Text) {
				dst = append(dst, ',')
			}
			n := number(b[:size])
			if shift := 64 - 8*size; signed {
				n = uint64(int64(n<<shift) >> shift)
			}
			dst = one(dst, &Value{Set: true, Num: n})
		}
		return dst
	}
}

// kindOfArray is the kind of an array that names none; nil where it has none.
func kindOfArray(t *fetchargs.Type) *Kind {
	e := t.Elem()
	switch {
	case e.Kind != fetchargs.Int || t.Len < 1:
	case e.Name == "char":
		return Char
	case e.Size == 1:
		return Bytes
	default:
		name := "uint"
		if e.Signed {
			name = "int"
		}
		if k, err := arrayKind(name, min(t.Len, maxArray/e.Size), t); err == nil {
			return k
		}
	}
	return nil
}
