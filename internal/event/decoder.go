package event

import (
	"encoding/binary"
	"net/netip"
)

// A Decoder turns the bytes that were read for a kind into values.
type Decoder struct {
	form form
	// call does what is no form: in is parallel to the kind's Reads, nil where
	// a read is absent, which that of a simple kind never is. out is parallel
	// to its Parts, nil where a part is not wanted; each that is wanted must
	// be set, or made absent. The values depend on in alone, and it keeps
	// nothing of it but texts.
	call func(in [][]byte, out []*Value)
}

// A form is a decoder of one value that is so frequent that it is done in
// place, without a call.
type form uint8

const (
	noForm form = iota
	formNumber
	formBE16
	formIPv4
)

// decode does it, whatever the decoder.
func (d *Decoder) decode(in [][]byte, out []*Value) {
	switch d.form {
	case formNumber:
		out[0].setNum(number(in[0]))
	case formBE16:
		out[0].setNum(uint64(binary.BigEndian.Uint16(in[0])))
	case formIPv4:
		out[0].setAddr(netip.AddrFrom4([4]byte(in[0])))
	default:
		d.call(in, out)
	}
}

// The decoders of simple kinds.
var (
	decodeUnsigned = Decoder{form: formNumber}
	decodeBE16     = Decoder{form: formBE16}
	decodeIPv4     = Decoder{form: formIPv4}
	decodeSigned   = Decoder{call: signed}
	decodeBool     = Decoder{call: boolean}
	decodeIPv6     = Decoder{call: ipv6}
	decodeText     = Decoder{call: text}
	decodeChars    = Decoder{call: chars}
)

func signed(in [][]byte, out []*Value) {
	shift := 64 - 8*uint(min(8, len(in[0])))
	out[0].setNum(uint64(int64(number(in[0])<<shift) >> shift))
}

func boolean(in [][]byte, out []*Value) {
	n := number(in[0])
	if n != 0 {
		n = 1
	}
	out[0].setNum(n)
}

func ipv6(in [][]byte, out []*Value) {
	out[0].setAddr(netip.AddrFrom16([16]byte(in[0])).Unmap())
}

func text(in [][]byte, out []*Value) {
	out[0].setText(in[0])
}

// chars ends a text at the first NUL.
func chars(in [][]byte, out []*Value) {
	b := in[0]
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	out[0].setText(b)
}

// number is a little-endian number of 1 to 8 bytes.
func number(b []byte) uint64 {
	switch len(b) {
	case 8:
		return binary.LittleEndian.Uint64(b)
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 1:
		return uint64(b[0])
	}
	var n uint64
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// absent makes values absent.
func absent(out []*Value) {
	for _, v := range out {
		if v != nil {
			v.Set = false
		}
	}
}

// setNum, setAddr and setText set a value, unless it is not wanted.
func (v *Value) setNum(n uint64) {
	if v != nil {
		v.Set, v.Num = true, n
	}
}

func (v *Value) setAddr(a netip.Addr) {
	if v != nil {
		v.Set, v.Addr = true, a
	}
}

func (v *Value) setText(b []byte) {
	if v != nil {
		v.Set, v.Text = true, b
	}
}
