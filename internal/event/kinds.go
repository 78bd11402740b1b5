package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/skprobe/skprobe/internal/packet"
)

// value1 is the read of a simple kind: the expression itself, with the size of
// its C type.
var value1 = []Read{{Expr: "$"}}

func appendUnsigned(dst []byte, v *Value) []byte { return strconv.AppendUint(dst, v.Num, 10) }
func appendSigned(dst []byte, v *Value) []byte   { return strconv.AppendInt(dst, int64(v.Num), 10) }
func appendHex(dst []byte, v *Value) []byte {
	return strconv.AppendUint(append(dst, "0x"...), v.Num, 16)
}

// The simple kinds.
var (
	Uint = &Kind{Name: "uint", Help: "unsigned integer", Class: Unsigned, Width: 8, Right: true,
		Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber}
	Int = &Kind{Name: "int", Help: "signed integer", Class: Signed, Width: 8, Right: true,
		Reads: value1, Decode: decodeSigned, Compare: CompareNumber}
	Size = &Kind{Name: "size", Help: "length in bytes", Class: Unsigned, Width: 7, Right: true,
		Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber}
	Hex = &Kind{Name: "hex", Help: "unsigned integer in hexadecimal (JSON: a number)", Class: Unsigned, Width: 10, Right: true,
		Reads: value1, Decode: decodeUnsigned, Append: appendHex, Compare: CompareNumber}
	BoolKind = &Kind{Name: "bool", Help: "true or false", Class: Bool, Width: 5,
		Reads: value1, Decode: decodeBool, Compare: CompareNumber}
	Pointer = &Kind{Name: "pointer", Help: "address", Class: Text, Width: 18,
		Reads: value1, Decode: decodeUnsigned, Append: appendHex, Compare: CompareNumber, Lookup: lookupUnsigned}
	Errno = &Kind{Name: "errno", Help: "result, with the names of errors (JSON: a number)", Class: Signed, Width: 14, Right: true,
		Reads: value1, Decode: decodeSigned, Append: appendErrno, Compare: CompareNumber}
	Duration = &Kind{Name: "duration", Help: "nanoseconds, with a unit in tables", Class: Unsigned, Width: 9, Right: true,
		Reads: value1, Decode: decodeUnsigned, Append: appendDuration, Compare: CompareNumber}

	Micros = &Kind{Name: "us", Help: "microseconds, with three decimals", Class: Decimal, Width: 11, Right: true}
	Millis = &Kind{Name: "ms", Help: "milliseconds, with three decimals", Class: Decimal, Width: 10, Right: true}

	Port = &Kind{Name: "port", Help: "port, big-endian in the kernel", Class: Unsigned, Width: 5, Right: true,
		Reads: []Read{{Expr: "$", Size: 2, Follow: true}}, Decode: decodeBE16, Compare: CompareBE16}
	EtherType = &Kind{Name: "ethertype", Help: "EtherType, big-endian in the kernel", Class: Text, Width: 9,
		Reads: []Read{{Expr: "$", Size: 2, Follow: true}}, Decode: decodeBE16, Append: appendEtherType, Compare: CompareBE16, Lookup: lookupHex}
	IPv4 = &Kind{Name: "ipv4", Help: "IPv4 address in network order", Class: Address, Width: 15,
		Reads: []Read{{Expr: "$", Size: 4, Follow: true}}, Decode: decodeIPv4, Compare: CompareIPv4}
	IPv6 = &Kind{Name: "ipv6", Help: "IPv6 address; IPv4-mapped is shown as IPv4", Class: Address, Width: 25,
		Reads: []Read{{Expr: "$", Size: 16, Follow: true}}, Decode: decodeIPv6}
	MAC = &Kind{Name: "mac", Help: "Ethernet address", Class: Text, Width: 17,
		Reads: []Read{{Expr: "$", Size: 6, Follow: true}}, Decode: decodeText, Append: appendMAC, Normalize: normalizeMAC}
	Char = &Kind{Name: "char", Help: "text in an array of char", Class: Text, Width: 16,
		Reads: value1, Decode: decodeChars}
	String = &Kind{Name: "string", Help: "text in kernel memory, up to its NUL", Class: Text, Width: 16,
		Reads: []Read{{Expr: "$", String: true}}, Decode: decodeText}
	UString = &Kind{Name: "ustring", Help: "text in user memory, up to its NUL", Class: Text, Width: 16,
		Reads: []Read{{Expr: "$", String: true, User: true}}, Decode: decodeText}
	Bytes = &Kind{Name: "bytes", Help: "bytes in hexadecimal", Class: Text, Width: 16,
		Reads: value1, Decode: decodeText, Append: appendBytes}
)

func appendMAC(dst []byte, v *Value) []byte {
	if len(v.Text) != 6 {
		return dst
	}
	return packet.AppendMAC(dst, [6]byte(v.Text))
}

// normalizeMAC takes what is written in capitals, or with - between the bytes.
func normalizeMAC(s string) (string, bool) {
	s = strings.ReplaceAll(strings.ToLower(s), "-", ":")
	ok := len(s) == 17
	for i := 0; ok && i < len(s); i++ {
		if i%3 == 2 {
			ok = s[i] == ':'
		} else {
			ok = strings.IndexByte("0123456789abcdef", s[i]) >= 0
		}
	}
	return s, ok
}

func appendEtherType(dst []byte, v *Value) []byte {
	return packet.AppendEtherType(dst, uint16(v.Num))
}

func appendBytes(dst []byte, v *Value) []byte {
	const digits = "0123456789abcdef"
	for _, c := range v.Text {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

func appendDuration(dst []byte, v *Value) []byte {
	return append(dst, time.Duration(v.Num).String()...)
}

// lookupUnsigned reads a number: "17", "0xffff888003c0ffee".
func lookupUnsigned(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 0, 64)
	return n, err == nil
}

// lookupHex reads "0x0800".
func lookupHex(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 0, 16)
	return n, err == nil
}
