package output

import "github.com/skprobe/skprobe/internal/event"

// appendValue appends a present value as text, unescaped. Numbers of a kind
// with a form of its own (hexadecimal, names) have that form.
func appendValue(dst []byte, kind *event.Kind, v *event.Value) []byte {
	if kind.Append != nil {
		return kind.Append(dst, v)
	}
	switch kind.Class {
	case event.Address:
		return appendAddr(dst, v.Addr)
	case event.Text:
		return append(dst, v.Text...)
	default:
		return appendNumber(dst, kind.Class, v.Num)
	}
}

// appendNumber appends a number or boolean in its plain form.
func appendNumber(dst []byte, class event.Class, n uint64) []byte {
	switch {
	case class == event.Decimal:
		dst = append(appendUint(dst, n/1000), '.', byte('0'+n%1000/100))
		return append(dst, pairs[n%100*2:n%100*2+2]...)
	case class == event.Signed && int64(n) < 0:
		return appendUint(append(dst, '-'), -n)
	case class != event.Bool:
		return appendUint(dst, n)
	case n != 0:
		return append(dst, "true"...)
	default:
		return append(dst, "false"...)
	}
}

// appendFrame appends one line of a stack, unescaped.
func appendFrame(dst []byte, schema *event.Schema, addr uint64) []byte {
	if schema.Symbol != nil {
		return schema.Symbol(dst, addr)
	}
	return appendHex(dst, addr)
}
