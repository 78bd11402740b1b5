package dwarfloc

import (
	"encoding/binary"
	"errors"
)

var le = binary.LittleEndian

// errDamaged is for sections that end too early.
var errDamaged = errors.New("the debug information is damaged")

// A reader reads numbers from bytes. A read after the end gives 0 and sets bad.
type reader struct {
	data []byte
	off  int
	bad  bool
}

func newReader(data []byte, off uint64) *reader {
	if off > uint64(len(data)) {
		return &reader{bad: true}
	}
	return &reader{data: data, off: int(off)}
}

func (r *reader) done() bool { return r.bad || r.off >= len(r.data) }

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.data)-r.off) {
		r.bad = true
		return nil
	}
	r.off += int(n)
	return r.data[r.off-int(n) : r.off : r.off]
}

// uint reads a little-endian number of n bytes, at most 8.
func (r *reader) uint(n int) uint64 {
	var v uint64
	for i, b := range r.take(uint64(n)) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// int is uint with a sign.
func (r *reader) int(n int) int64 {
	shift := 64 - 8*n
	return int64(r.uint(n)<<shift) >> shift
}

// uleb and sleb read numbers of variable length (DWARF 5, section 7.6).
func (r *reader) uleb() uint64 {
	v, _, _ := r.leb()
	return v
}

func (r *reader) sleb() int64 {
	v, bits, negative := r.leb()
	if negative && bits < 64 {
		v |= ^uint64(0) << bits
	}
	return int64(v)
}

func (r *reader) leb() (v uint64, bits int, negative bool) {
	for {
		b := r.uint(1)
		if r.bad {
			return 0, 0, false
		}
		if bits < 64 {
			v |= b & 0x7f << bits
		}
		bits += 7
		if b < 0x80 {
			return v, bits, b&0x40 != 0
		}
	}
}

// str reads the bytes up to a 0.
func (r *reader) str() string {
	start := r.off
	for r.uint(1) != 0 {
	}
	if r.bad {
		return ""
	}
	return string(r.data[start : r.off-1])
}
