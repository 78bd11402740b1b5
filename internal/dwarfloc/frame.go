package dwarfloc

import (
	"slices"
	"sort"
)

// Frames says where the frame of a function is at each of its addresses.
type Frames struct {
	functions []frame
}

// A frame is a frame description entry (DWARF 5, section 6.4.1).
type frame struct {
	Range
	cie    *common
	instrs []byte
}

// A common is a common information entry.
type common struct {
	codeAlign uint64
	dataAlign int64
	encoding  byte // of addresses, in .eh_frame
	augmented bool
	initial   []byte
}

// ReadFrames reads .debug_frame, or, with eh, .eh_frame, whose first byte is at
// an address. Functions that it cannot read are left out.
func ReadFrames(section []byte, eh bool, addr uint64) *Frames {
	f := &Frames{}
	commons := map[uint64]*common{}
	for off := uint64(0); off+4 <= uint64(len(section)); {
		n := uint64(le.Uint32(section[off:]))
		body := off + 4
		if n == 0 && eh || n == 0xffffffff || n > uint64(len(section))-body {
			break // the end, or the 64-bit format, which nobody makes
		}
		off = body + n
		if n < 4 {
			continue
		}
		r := &reader{data: section[:off], off: int(body)}
		id := r.uint(4)
		at := id // of the common entry
		if eh {
			at = body - id
		}
		if eh && id == 0 || !eh && id == 0xffffffff {
			if c := readCommon(r, eh); c != nil {
				commons[body-4] = c
			}
			continue
		}
		c := commons[at]
		if c == nil {
			continue
		}
		fn := frame{cie: c}
		fn.Low = r.address(c.encoding, addr)
		fn.High = fn.Low + r.address(c.encoding&0x0f, 0)
		if c.augmented {
			r.take(r.uleb())
		}
		if !r.bad {
			fn.instrs = r.data[r.off:]
			f.functions = append(f.functions, fn)
		}
	}
	slices.SortStableFunc(f.functions, func(a, b frame) int {
		switch {
		case a.Low < b.Low:
			return -1
		case a.Low > b.Low:
			return 1
		}
		return 0
	})
	return f
}

func readCommon(r *reader, eh bool) *common {
	c := &common{}
	version := r.uint(1)
	augmentation := r.str()
	if version >= 4 && !eh {
		r.take(2) // sizes of addresses and of segments
	}
	c.codeAlign, c.dataAlign = r.uleb(), r.sleb()
	if version == 1 {
		r.uint(1)
	} else {
		r.uleb()
	}
	if augmentation != "" {
		if augmentation[0] != 'z' {
			return nil
		}
		c.augmented = true
		data := &reader{data: r.take(r.uleb())}
		for _, a := range augmentation[1:] {
			switch a {
			case 'R':
				c.encoding = byte(data.uint(1))
			case 'P':
				data.address(byte(data.uint(1)), 0)
			case 'L':
				data.uint(1)
			}
		}
	}
	if r.bad {
		return nil
	}
	c.initial = r.data[r.off:]
	return c
}

// address reads a pointer in an encoding of .eh_frame (Linux Standard Base,
// section 10.5); 0 is an address of 8 bytes.
func (r *reader) address(encoding byte, section uint64) uint64 {
	here := uint64(r.off)
	var v uint64
	switch encoding & 0x0f {
	case 0x00, 0x04, 0x0c:
		v = r.uint(8)
	case 0x01:
		v = r.uleb()
	case 0x09:
		v = uint64(r.sleb())
	case 0x02:
		v = r.uint(2)
	case 0x0a:
		v = uint64(r.int(2))
	case 0x03:
		v = r.uint(4)
	case 0x0b:
		v = uint64(r.int(4))
	default:
		r.bad = true
	}
	if encoding&0x70 == 0x10 { // relative to where it stands
		v += section + here
	}
	return v
}

// CFA returns the canonical frame address at an address of code: the value that
// the stack pointer had before the call.
func (f *Frames) CFA(pc uint64) (Value, error) {
	i := sort.Search(len(f.functions), func(i int) bool { return f.functions[i].Low > pc })
	for i--; i >= 0; i-- {
		if fn := &f.functions[i]; fn.Has(pc) {
			return fn.cfa(pc)
		} else if fn.Low+1<<20 < pc {
			break
		}
	}
	return Value{}, unknown("no information about the frame here")
}

// cfa runs the instructions up to pc (DWARF 5, section 6.4.2), of which only
// those about the CFA matter here.
func (f *frame) cfa(pc uint64) (Value, error) {
	u := &unwinder{c: f.cie, loc: f.Low, pc: pc}
	u.run(f.cie.initial)
	u.run(f.instrs)
	switch {
	case u.bad:
		return Value{}, errDamaged
	case u.rule.expr != nil:
		v, err := Eval(u.rule.expr, Context{})
		v.Memory = false
		return v, err
	}
	return Value{From: Register, Reg: int(u.rule.reg), Add: u.rule.off, Bits: 64}, nil
}

type cfaRule struct {
	reg  uint64
	off  int64
	expr []byte
}

type unwinder struct {
	c       *common
	loc, pc uint64
	rule    cfaRule
	saved   []cfaRule
	bad     bool
}

func (u *unwinder) run(instrs []byte) {
	r := &reader{data: instrs}
	for !r.done() && u.loc <= u.pc {
		op := byte(r.uint(1))
		low := uint64(op & 0x3f)
		switch op & 0xc0 {
		case 0x40: // advance_loc
			u.loc += low * u.c.codeAlign
			continue
		case 0x80: // offset
			r.uleb()
			continue
		case 0xc0: // restore
			continue
		}
		switch op {
		case 0x00, 0x0a, 0x0b, 0x2d: // nop, remember and restore below, GNU_window_save
			switch {
			case op == 0x0a:
				u.saved = append(u.saved, u.rule)
			case op == 0x0b && len(u.saved) > 0:
				u.rule, u.saved = u.saved[len(u.saved)-1], u.saved[:len(u.saved)-1]
			}
		case 0x01: // set_loc
			u.loc = r.address(u.c.encoding&0x0f, 0)
		case 0x02, 0x03, 0x04: // advance_loc1, 2, 4
			u.loc += r.uint(1<<(op-2)) * u.c.codeAlign
		case 0x05, 0x09, 0x14, 0x2f: // offset_extended, register, val_offset, GNU_negative_offset_extended
			r.uleb()
			r.uleb()
		case 0x11, 0x15: // offset_extended_sf, val_offset_sf
			r.uleb()
			r.sleb()
		case 0x06, 0x07, 0x08, 0x2e: // restore_extended, undefined, same_value, GNU_args_size
			r.uleb()
		case 0x0c: // def_cfa
			u.rule = cfaRule{reg: r.uleb(), off: int64(r.uleb())}
		case 0x12: // def_cfa_sf
			u.rule = cfaRule{reg: r.uleb(), off: r.sleb() * u.c.dataAlign}
		case 0x0d: // def_cfa_register
			u.rule.reg = r.uleb()
		case 0x0e: // def_cfa_offset
			u.rule.off = int64(r.uleb())
		case 0x13: // def_cfa_offset_sf
			u.rule.off = r.sleb() * u.c.dataAlign
		case 0x0f: // def_cfa_expression
			u.rule = cfaRule{expr: r.take(r.uleb())}
		case 0x10, 0x16: // expression, val_expression
			r.uleb()
			r.take(r.uleb())
		default:
			u.bad = true
			return
		}
	}
	u.bad = u.bad || r.bad
}
