package dwarfloc

// A Range is the addresses from Low up to, and without, High.
type Range struct{ Low, High uint64 }

// Has tells whether an address is in the range.
func (r Range) Has(pc uint64) bool { return pc >= r.Low && pc < r.High }

// A Lists is the section of a unit's lists, with what they refer to.
type Lists struct {
	Version uint8  // of DWARF: 5 has other lists than those before it
	Section []byte // .debug_ranges or .debug_loc, in version 5 .debug_rnglists or .debug_loclists
	Base    uint64 // the unit's own address, from which those in the lists count
	// Addr is entry i of the unit in .debug_addr.
	Addr func(i uint64) (uint64, error)
}

// A ListEntry is one of a list of locations.
type ListEntry struct {
	Range
	// Default: it is for all addresses that have no other.
	Default bool
	Expr    []byte
}

// Ranges reads the list of ranges at an offset (DWARF 5, section 2.17.3).
func (l Lists) Ranges(off uint64) ([]Range, error) {
	var all []Range
	err := l.read(off, false, func(e ListEntry) { all = append(all, e.Range) })
	return all, err
}

// Locations reads the list of locations at an offset (DWARF 5, section 2.6.2).
func (l Lists) Locations(off uint64) ([]ListEntry, error) {
	var all []ListEntry
	err := l.read(off, true, func(e ListEntry) { all = append(all, e) })
	return all, err
}

func (l Lists) read(off uint64, expr bool, add func(ListEntry)) error {
	r := newReader(l.Section, off)
	if l.Version < 5 {
		return l.readOld(r, expr, add)
	}
	base := l.Base
	addrx := func() uint64 {
		i := r.uleb()
		if l.Addr == nil {
			r.bad = true
			return 0
		}
		n, err := l.Addr(i)
		r.bad = r.bad || err != nil
		return n
	}
	for !r.done() {
		e := ListEntry{}
		// Kinds of entries: DWARF 5, sections 7.7.3 and 7.25. Those of locations
		// have one more, for the default.
		kind := r.uint(1)
		if !expr && kind >= 5 {
			kind++
		}
		switch kind {
		case 0: // end of list
			return nil
		case 1: // base_addressx
			base = addrx()
			continue
		case 2: // startx_endx
			e.Low, e.High = addrx(), addrx()
		case 3: // startx_length
			e.Low = addrx()
			e.High = e.Low + r.uleb()
		case 4: // offset_pair
			e.Low, e.High = base+r.uleb(), base+r.uleb()
		case 5: // default_location
			e.Default = true
		case 6: // base_address
			base = r.uint(8)
			continue
		case 7: // start_end
			e.Low, e.High = r.uint(8), r.uint(8)
		case 8: // start_length
			e.Low = r.uint(8)
			e.High = e.Low + r.uleb()
		case 9: // DW_LLE_GNU_view_pair, two numbers that do not matter here
			r.uleb()
			r.uleb()
			continue
		default:
			return errDamaged
		}
		if expr {
			e.Expr = r.take(r.uleb())
		}
		if r.bad {
			break
		}
		if e.Default || e.Low < e.High {
			add(e)
		}
	}
	return errDamaged
}

// readOld reads a list of DWARF 2 to 4 (DWARF 4, sections 2.17.3 and 2.6.2).
func (l Lists) readOld(r *reader, expr bool, add func(ListEntry)) error {
	base := l.Base
	for !r.done() {
		low, high := r.uint(8), r.uint(8)
		switch {
		case r.bad:
			return errDamaged
		case low == 0 && high == 0:
			return nil
		case low == ^uint64(0):
			base = high
			continue
		}
		e := ListEntry{Range: Range{base + low, base + high}}
		if expr {
			e.Expr = r.take(r.uint(2))
		}
		if r.bad {
			break
		}
		if low < high {
			add(e)
		}
	}
	return errDamaged
}

// At returns the expression that holds at an address, nil for none.
func At(list []ListEntry, pc uint64) []byte {
	var standard []byte
	for _, e := range list {
		switch {
		case e.Default:
			standard = e.Expr
		case e.Has(pc):
			return e.Expr
		}
	}
	return standard
}
