package output

import (
	"net/netip"
	"strconv"
)

// pairs holds "00" to "99".
const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

// appendUint appends a number. Those below 100,000 (ports, sizes, processors,
// most process ids) are done here, in a third of the instructions that
// strconv takes.
func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 10:
		return append(dst, byte('0'+v))
	case v < 100:
		p := pairs[v*2:]
		return append(dst, p[0], p[1])
	case v < 1000:
		p := pairs[v%100*2:]
		return append(dst, byte('0'+v/100), p[0], p[1])
	case v < 10_000:
		p, q := pairs[v/100*2:], pairs[v%100*2:]
		return append(dst, p[0], p[1], q[0], q[1])
	case v < 100_000:
		p, q := pairs[v/100%100*2:], pairs[v%100*2:]
		return append(dst, byte('0'+v/10_000), p[0], p[1], q[0], q[1])
	}
	return strconv.AppendUint(dst, v, 10)
}

// putUint writes a number that has just as many digits as there is place. It
// reports whether it does.
func putUint(place []byte, v uint64) bool {
	for i := len(place) - 1; i >= 0; i-- {
		if v == 0 && i < len(place)-1 {
			return false
		}
		place[i] = byte('0' + v%10)
		v /= 10
	}
	return v == 0
}

// appendNano appends a number below 1e9 as nine digits.
func appendNano(dst []byte, v uint32) []byte {
	dst = append(dst, "000000000"...)
	putNano((*[9]byte)(dst[len(dst)-9:]), v)
	return dst
}

// putNano writes a number below 1e9 as nine digits.
func putNano(dst *[9]byte, v uint32) {
	high, low := v/10_000, v%10_000
	top, mid := high/10_000, high%10_000
	dst[0] = byte('0' + top)
	copy(dst[1:3], pairs[mid/100*2:][:2])
	copy(dst[3:5], pairs[mid%100*2:][:2])
	copy(dst[5:7], pairs[low/100*2:][:2])
	copy(dst[7:9], pairs[low%100*2:][:2])
}

// appendHex appends an address as 0xffffffff81000000.
func appendHex(dst []byte, v uint64) []byte {
	return strconv.AppendUint(append(dst, "0x"...), v, 16)
}

// appendAddr appends an address as netip does.
func appendAddr(dst []byte, a netip.Addr) []byte {
	if !a.Is4() {
		return a.AppendTo(dst)
	}
	b := a.As4()
	dst = appendOctet(dst, b[0])
	dst = appendOctet(append(dst, '.'), b[1])
	dst = appendOctet(append(dst, '.'), b[2])
	return appendOctet(append(dst, '.'), b[3])
}

func appendOctet(dst []byte, b byte) []byte {
	if b < 10 {
		return append(dst, '0'+b)
	}
	if b < 100 {
		p := pairs[int(b)*2:]
		return append(dst, p[0], p[1])
	}
	p := pairs[int(b%100)*2:]
	return append(dst, '0'+b/100, p[0], p[1])
}
