package ktype

import (
	"debug/dwarf"
)

// kindAbstract is the kind of a function of which the file has the prototype
// and no code of its own: DW_AT_inline. The other kinds of the index are those
// of BTF, see btfraw.go.
const kindAbstract = 31

// A nameIndex finds the first definition of a name. It is made by one pass over
// the outermost entries of all units: kernels bring no index of their own
// (.debug_names, .gdb_index), and a kernel has 3.6 million of them, of which
// one in 40 is the first of its name.
type nameIndex struct {
	at     map[uint64]uint32 // offsets of entries by nameKey
	seen   [32]bitSet        // for each kind, offsets in .debug_str that are in at
	split  bool              // a unit has its types in another file
	useful int               // units of C
}

// bitSet is a set of offsets in .debug_str. A name lies there once.
type bitSet []uint64

func (s bitSet) has(i uint32) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s bitSet) add(i uint32)      { s[i/64] |= 1 << (i % 64) }

// nameKey hashes a name of a kind (FNV-1a). That it is the right name is
// checked where it is looked up.
func nameKey(name []byte, kind uint32) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range name {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return (h ^ uint64(kind)) * 0x100000001b3
}

// index makes the index when it is needed for the first time.
func (f *dwarfFile) index() (*nameIndex, error) {
	if f.names != nil || f.indexErr != nil {
		return f.names, f.indexErr
	}
	x := &nameIndex{at: make(map[uint64]uint32, f.info.size/2000)}
	for kind := range x.seen {
		if namedKinds>>kind&1 != 0 || kind == kindAbstract {
			x.seen[kind] = make(bitSet, len(f.str)/64+1)
		}
	}
	u := &dwarfUnit{}
	for _, h := range f.heads {
		if err := f.readUnit(u, h); err != nil {
			f.indexErr = err
			return nil, err
		}
		if err := x.scan(u); err != nil {
			f.indexErr = err
			return nil, err
		}
	}
	x.seen = [32]bitSet{}
	switch {
	case x.useful == 0 && x.split:
		f.indexErr = f.cannot("it was built with CONFIG_DEBUG_INFO_SPLIT, and its types are in .dwo files")
	case x.useful == 0:
		f.indexErr = f.cannot("it has no part that is written in C")
	default:
		f.names = x
	}
	return f.names, f.indexErr
}

// otherLanguage tells units whose names must not be mixed with C's: Rust, and
// assemblers, which write functions without parameters (DWARF 5, section
// 7.12).
func otherLanguage(root die) bool {
	lang, _ := root.number(dwarf.AttrLanguage)
	return lang == 0x1c || lang == 0x8001
}

// scan enters the outermost entries of a unit.
func (x *nameIndex) scan(u *dwarfUnit) error {
	root, err := u.entry(int(u.first))
	if err != nil || root.ab == nil || !root.ab.children {
		return err
	}
	_, split := root.attr(dwarf.AttrDwoName)
	_, old := root.attr(attrGNUDwoName)
	x.split = x.split || split || old || u.kind == unitSkeleton
	if otherLanguage(root) || u.kind == unitType || u.kind == unitSplitType {
		return nil
	}
	x.useful++
	at, err := root.end()
	for err == nil {
		var d die
		if d, err = u.entry(at); err != nil || d.ab == nil {
			break
		}
		if kind := indexKind(d.ab); kind != 0 {
			x.enter(d, kind)
		}
		at, err = d.next()
	}
	return err
}

// next is after without reading more than it must.
func (d die) next() (int, error) {
	end := d.vals + d.ab.fixed
	if d.ab.fixed < 0 || end > len(d.u.data) {
		return d.after()
	}
	if !d.ab.children {
		return end, nil
	}
	if s := d.ab.sibling; s.form == formRef4 && s.off >= 0 {
		if at := uint64(le.Uint32(d.u.data[d.vals+s.off:])); at >= uint64(end) && at < uint64(len(d.u.data)) {
			return int(at), nil
		}
	}
	return d.after()
}

// indexKind returns as what an entry is indexed, or 0.
func indexKind(ab *abbrev) uint32 {
	declared := ab.has&hasDeclaration != 0
	switch ab.tag {
	case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagEnumerationType:
		switch {
		case ab.name.form == 0:
			return 0
		case declared:
			return kindFwd
		case ab.tag == dwarf.TagUnionType:
			return kindUnion
		case ab.tag == dwarf.TagEnumerationType:
			return kindEnum
		}
		return kindStruct
	case dwarf.TagTypedef:
		return kindTypedef
	case dwarf.TagBaseType:
		return kindInt
	case dwarf.TagSubprogram:
		switch {
		case declared || ab.name.form == 0 && ab.link.form == 0:
			return 0
		case ab.has&hasCode != 0:
			return kindFunc
		}
		return kindAbstract
	}
	return 0
}

// enter adds an entry unless there is one of its name and kind.
func (x *nameIndex) enter(d die, kind uint32) {
	p := d.ab.name
	if p.form == formStrp && p.off >= 0 && d.vals+p.off+4 <= len(d.u.data) {
		off := le.Uint32(d.u.data[d.vals+p.off:])
		if int64(off) >= int64(len(d.u.in.str)) || x.seen[kind].has(off) {
			return
		}
		x.seen[kind].add(off)
	}
	var name []byte
	if v, ok := d.attr(dwarf.AttrName); ok {
		name = d.u.text(v)
	} else if origin, err := d.origin(); err == nil {
		if v, ok := origin.attr(dwarf.AttrName); ok {
			name = origin.u.text(v)
		}
	}
	if len(name) == 0 {
		return
	}
	key := nameKey(name, kind)
	if _, ok := x.at[key]; !ok {
		x.at[key] = d.off
	}
}

// find returns the first entry of that name and one of the kinds (a bit for
// each).
func (f *dwarfFile) find(name string, kinds uint32) (die, bool, error) {
	x, err := f.index()
	if err != nil {
		return die{}, false, err
	}
	for kind := range uint32(32) {
		if kinds>>kind&1 == 0 {
			continue
		}
		off, ok := x.at[nameKey([]byte(name), kind)]
		if !ok {
			continue
		}
		d, err := f.entryAt(off, nil)
		if err != nil {
			return die{}, false, err
		}
		named, err := d.origin()
		if err != nil {
			return die{}, false, err
		}
		if named.name() == name {
			return d, true, nil
		}
	}
	return die{}, false, nil
}
