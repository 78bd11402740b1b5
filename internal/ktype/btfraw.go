package ktype

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"

	"github.com/skprobe/skprobe/fetchargs"
)

// Kinds of BTF types, from include/uapi/linux/btf.h.
const (
	kindInt       = 1
	kindPtr       = 2
	kindArray     = 3
	kindStruct    = 4
	kindUnion     = 5
	kindEnum      = 6
	kindFwd       = 7
	kindTypedef   = 8
	kindVolatile  = 9
	kindConst     = 10
	kindRestrict  = 11
	kindFunc      = 12 // 5.0
	kindFuncProto = 13 // 5.0
	kindVar       = 14 // 5.2
	kindDatasec   = 15 // 5.2
	kindFloat     = 16 // 5.13
	kindDeclTag   = 17 // 5.16
	kindTypeTag   = 18 // 5.17
	kindEnum64    = 19 // 6.0
)

// tail is how long the part of a type after its 12 bytes of header is: fixed
// bytes, and bytes for each of its vlen elements. A file may bring this table
// for kinds that are newer than this program (struct btf_layout, from 7.1).
type tail struct{ fixed, each uint32 }

var knownTails = [...]tail{
	kindInt: {4, 0}, kindPtr: {}, kindArray: {12, 0}, kindStruct: {0, 12}, kindUnion: {0, 12},
	kindEnum: {0, 8}, kindFwd: {}, kindTypedef: {}, kindVolatile: {}, kindConst: {}, kindRestrict: {},
	kindFunc: {}, kindFuncProto: {0, 8}, kindVar: {4, 0}, kindDatasec: {0, 12}, kindFloat: {},
	kindDeclTag: {4, 0}, kindTypeTag: {}, kindEnum64: {0, 12},
}

// namedKinds are those that are found by their name.
const namedKinds = 1<<kindInt | 1<<kindStruct | 1<<kindUnion | 1<<kindEnum | 1<<kindFwd |
	1<<kindTypedef | 1<<kindFunc | 1<<kindFloat | 1<<kindEnum64

const headerSize = 12 // struct btf_type

// rawBTF is one blob of BTF: that of vmlinux, or the part a module adds to it.
// It is checked once when it is indexed, so a type's bytes are known to be
// there; what a type refers to is checked when it is followed.
type rawBTF struct {
	file    string
	base    *rawBTF // nil for vmlinux
	types   []byte
	strs    []byte
	firstID uint32   // the ID of starts[0]
	starts  []uint32 // offset of each type in types
	// An index from names to IDs: heads[hash] and entry.next are 1 + the
	// place of an entry, 0 ends the chain.
	heads   []uint32
	entries []nameEntry
	// signedEnums tells that the file was made by tools that mark enums with
	// negative values (6.0); before, every value may be one.
	signedEnums bool
	// cut says why the types after some place are not readable, or is "".
	cut string

	memo map[uint32]*fetchargs.Type
	busy map[uint32]bool
}

type nameEntry struct{ id, next uint32 }

var le = binary.LittleEndian

// parseBTF checks the frame of raw BTF and indexes it. base is the BTF of
// vmlinux for a module, and nil for vmlinux itself.
func parseBTF(file string, data []byte, base *rawBTF) (*rawBTF, error) {
	bad := func(do, format string, a ...any) (*rawBTF, error) {
		return nil, &FileError{File: file, Msg: fmt.Sprintf(format, a...), Do: do}
	}
	const again = "the file is damaged or truncated: fetch or write it again"
	if len(data) < 24 {
		return bad(again, "%d bytes are no BTF", len(data))
	}
	switch magic := le.Uint16(data); magic {
	case 0xeb9f:
	case 0x9feb:
		return bad("skprobe knows amd64 and arm64", "BTF of a big-endian kernel")
	default:
		return bad(notBTF, "not BTF: starts with %#04x instead of 0xeb9f", magic)
	}
	if v := data[2]; v != 1 {
		return bad("a newer skprobe may know it", "BTF version %d is not known", v)
	}
	hdr := le.Uint32(data[4:])
	if hdr < 24 || uint64(hdr) > uint64(len(data)) {
		return bad(again, "BTF header of %d bytes in a file of %d", hdr, len(data))
	}
	body := data[hdr:]
	part := func(at uint32) ([]byte, bool) {
		off, n := uint64(le.Uint32(data[at:])), uint64(le.Uint32(data[at+4:]))
		if off+n > uint64(len(body)) {
			return nil, false
		}
		return body[off : off+n : off+n], true
	}
	types, ok := part(8)
	if !ok {
		return bad(again, "types end after the file (%d bytes)", len(data))
	}
	strs, ok := part(16)
	if !ok {
		return bad(again, "names end after the file (%d bytes)", len(data))
	}
	if len(strs) > 0 && strs[len(strs)-1] != 0 {
		return bad(again, "the last name is not finished")
	}
	var layout []byte
	if hdr >= 32 {
		if layout, ok = part(24); !ok {
			return bad(again, "layout of kinds ends after the file (%d bytes)", len(data))
		}
	}

	r := &rawBTF{
		file: file, base: base, types: types, strs: strs, firstID: 1,
		memo: map[uint32]*fetchargs.Type{}, busy: map[uint32]bool{},
	}
	if base != nil {
		r.firstID = base.firstID + uint32(len(base.starts))
		r.signedEnums = base.signedEnums
	}
	if err := r.index(layout); err != nil {
		return bad(again, "%v", err)
	}
	if len(r.starts) == 0 && base == nil {
		return bad(notBTF, "BTF without a type")
	}
	return r, nil
}

// index walks over all types once. It fails only where the bytes make no
// sense; a kind that is not known and not described ends it with a note.
func (r *rawBTF) index(layout []byte) error {
	tails := knownTails[:]
	for k := len(tails); k*4+4 <= len(layout) && k < 128; k++ {
		tails = append(tails[:k:k], tail{uint32(layout[k*4]), uint32(layout[k*4+1])})
	}
	// A type takes 25 bytes on average, and half of the types have a name.
	r.starts = make([]uint32, 0, len(r.types)/22)
	r.entries = make([]nameEntry, 0, len(r.types)/50)
	r.heads = make([]uint32, 1<<bits.Len(uint(len(r.types)/100)))
	mask := uint32(len(r.heads) - 1)
	id := r.firstID
	for off := uint64(0); off < uint64(len(r.types)); id++ {
		t := r.types[off:]
		if len(t) < headerSize {
			return fmt.Errorf("type %d ends after the types", id)
		}
		name, info := le.Uint32(t), le.Uint32(t[4:])
		kind := info >> 24 & 0x7f
		if kind == 0 || kind >= uint32(len(tails)) {
			if kind == 0 {
				return fmt.Errorf("type %d has no kind", id)
			}
			r.cut = fmt.Sprintf("kind %d of type %d is newer than this program", kind, id)
			break
		}
		size := headerSize + uint64(tails[kind].fixed)
		if each := tails[kind].each; each != 0 {
			size += uint64(each) * uint64(info&0xffffff)
		}
		if size > uint64(len(t)) {
			return fmt.Errorf("type %d ends after the types", id)
		}
		r.starts = append(r.starts, uint32(off))
		off += size
		if info>>31 != 0 && kind == kindEnum || kind == kindEnum64 {
			r.signedEnums = true
		}
		if name == 0 || kind > kindEnum64 || namedKinds>>kind&1 == 0 {
			continue
		}
		strs, at, ok := r.strAt(name)
		if !ok {
			return fmt.Errorf("the name of type %d is outside of the names", id)
		}
		h := hashName(strs[at:]) & mask
		r.entries = append(r.entries, nameEntry{id, r.heads[h]})
		r.heads[h] = uint32(len(r.entries))
	}
	return nil
}

// strAt returns the table of names and the place in it of a name's offset. The
// offsets of a module go on where those of vmlinux end.
func (r *rawBTF) strAt(off uint32) ([]byte, uint32, bool) {
	if r.base != nil {
		n := uint32(len(r.base.strs))
		if off < n {
			return r.base.strAt(off)
		}
		off -= n
	}
	return r.strs, off, off < uint32(len(r.strs))
}

// str returns the name at an offset, "" for 0 and for a place outside.
func (r *rawBTF) str(off uint32) string {
	if off == 0 {
		return ""
	}
	strs, at, ok := r.strAt(off)
	if !ok {
		return ""
	}
	end := at
	for strs[end] != 0 { // the table ends with a 0
		end++
	}
	return string(strs[at:end])
}

// hashName hashes the bytes up to the first 0, eight at a time.
func hashName(b []byte) uint32 {
	const k = 0x9e3779b97f4a7c15
	var h uint64
	for len(b) >= 8 {
		w := le.Uint64(b)
		if z := (w - 0x0101010101010101) &^ w & 0x8080808080808080; z != 0 {
			w &= 1<<(bits.TrailingZeros64(z)&^7) - 1
			return uint32((h ^ w) * k >> 32)
		}
		h = (h ^ w) * k
		h ^= h >> 29
		b = b[8:]
	}
	var w uint64
	for i, c := range b {
		if c == 0 {
			break
		}
		w |= uint64(c) << (8 * i)
	}
	return uint32((h ^ w) * k >> 32)
}

// named yields the types of that name whose kind is in the set kinds (a bit
// for each kind), the last ID first.
func (r *rawBTF) named(name string, kinds uint32) iter.Seq[rawType] {
	return func(yield func(rawType) bool) {
		h := hashName(append([]byte(name), 0, 0, 0, 0, 0, 0, 0, 0))
		for i := r.heads[h&uint32(len(r.heads)-1)]; i != 0; {
			e := r.entries[i-1]
			t, _ := r.at(e.id)
			if kinds>>t.kind&1 != 0 && r.str(t.name) == name && !yield(t) {
				return
			}
			i = e.next
		}
	}
}

// A rawType is the head of a type; rest are the bytes that follow it.
type rawType struct {
	in      *rawBTF // where the IDs and names of the type are looked up
	id      uint32
	name    uint32
	kind    uint32
	vlen    uint32
	kflag   bool
	sizeRef uint32 // a size in bytes or the ID of another type
	rest    []byte
}

// at returns the type with an ID, which may be one of the base.
func (r *rawBTF) at(id uint32) (rawType, bool) {
	if id < r.firstID {
		if r.base != nil {
			return r.base.at(id)
		}
		return rawType{}, false
	}
	i := id - r.firstID
	if i >= uint32(len(r.starts)) {
		return rawType{}, false
	}
	t := r.types[r.starts[i]:]
	info := le.Uint32(t[4:])
	return rawType{
		in: r, id: id, name: le.Uint32(t), kind: info >> 24 & 0x7f, vlen: info & 0xffffff,
		kflag: info>>31 != 0, sizeRef: le.Uint32(t[8:]), rest: t[headerSize:],
	}, true
}
