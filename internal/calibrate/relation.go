package calibrate

import "encoding/binary"

func u32at(b []byte, off int) uint64 { return uint64(binary.LittleEndian.Uint32(b[off:])) }
func u64at(b []byte, off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }

func le16(n int) []byte      { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func le32(n int) []byte      { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func le64(n uint64) []byte   { return binary.LittleEndian.AppendUint64(nil, n) }
func be16(n uint16) []byte   { return binary.BigEndian.AppendUint16(nil, n) }
func isKernel(p uint64) bool { return p >= 0xff00_0000_0000_0000 && p < 0xffff_ffff_ffff_f000 }

// A linear is a choice of places for what describes the linear part of a
// packet: head and data are pointers, tail an offset from head
// (NET_SKBUFF_DATA_USES_OFFSET in include/linux/skbuff.h, on all 64-bit
// kernels).
type linear struct{ head, data, tail int }

// linears returns the choices for which
//
//	data - head + len - data_len == tail
//
// in all samples, where len and data_len are known.
func linears(samples []sample) []linear {
	var known []sample
	for _, s := range samples {
		if s.want["skb.len"] != nil && s.want["skb.data_len"] != nil {
			known = append(known, s)
		}
	}
	if len(known) == 0 {
		return nil
	}
	var pointers []int
	for off := 0; off+8 <= skbWindow; off += 8 {
		ok := true
		for _, s := range known {
			ok = ok && off+8 <= len(s.mem) && isKernel(u64at(s.mem, off))
		}
		if ok {
			pointers = append(pointers, off)
		}
	}
	var found []linear
	for _, head := range pointers {
		for _, data := range pointers {
			for tail := 0; tail+4 <= skbWindow; tail += 4 {
				if fits(known, linear{head, data, tail}) {
					found = append(found, linear{head, data, tail})
				}
			}
		}
	}
	return found
}

// maxHeadroom bounds what lies before a packet of lo in its buffer.
const maxHeadroom = 4096

func fits(samples []sample, l linear) bool {
	for _, s := range samples {
		head, data := u64at(s.mem, l.head), u64at(s.mem, l.data)
		room := data - head
		if head%8 != 0 || room == 0 || room > maxHeadroom || l.tail+4 > len(s.mem) {
			return false
		}
		n := u32at(s.want["skb.len"], 0) - u32at(s.want["skb.data_len"], 0)
		if u32at(s.mem, l.tail) != room+n {
			return false
		}
	}
	return true
}

// stride tells the width of neighbours that have the same type: 2 or 4 bytes if
// that is how far each is from the next, else 0.
func stride(places ...int) int {
	step := 0
	for i := 1; i < len(places); i++ {
		d := places[i] - places[i-1]
		if d < 0 {
			d = -d
		}
		if step != 0 && d != step {
			return 0
		}
		step = d
	}
	if step != 2 && step != 4 {
		return 0
	}
	return step
}
