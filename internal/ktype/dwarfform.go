package ktype

import (
	"bytes"
	"errors"
)

// Forms of attributes: DWARF 5, section 7.5.6, table 7.6.
const (
	formAddr        = 0x01
	formBlock2      = 0x03
	formBlock4      = 0x04
	formData2       = 0x05
	formData4       = 0x06
	formData8       = 0x07
	formString      = 0x08
	formBlock       = 0x09
	formBlock1      = 0x0a
	formData1       = 0x0b
	formFlag        = 0x0c
	formSdata       = 0x0d
	formStrp        = 0x0e
	formUdata       = 0x0f
	formRefAddr     = 0x10
	formRef1        = 0x11
	formRef2        = 0x12
	formRef4        = 0x13
	formRef8        = 0x14
	formRefUdata    = 0x15
	formIndirect    = 0x16
	formSecOffset   = 0x17
	formExprloc     = 0x18
	formFlagPresent = 0x19
	formStrx        = 0x1a
	formAddrx       = 0x1b
	formRefSup4     = 0x1c
	formStrpSup     = 0x1d
	formData16      = 0x1e
	formLineStrp    = 0x1f
	formRefSig8     = 0x20
	formImplicit    = 0x21
	formLoclistx    = 0x22
	formRnglistx    = 0x23
	formRefSup8     = 0x24
	formStrx1       = 0x25
	formStrx2       = 0x26
	formStrx3       = 0x27
	formStrx4       = 0x28
	formAddrx1      = 0x29
	formAddrx2      = 0x2a
	formAddrx3      = 0x2b
	formAddrx4      = 0x2c
	formGNURefAlt   = 0x1f20 // dwz -m
	formGNUStrpAlt  = 0x1f21
)

// formSizes has 1 + the bytes that a form takes, for forms that always take
// the same; those that depend on the unit are in fixedSize.
var formSizes = [formAddrx4 + 1]uint8{
	formData1: 2, formData2: 3, formData4: 5, formData8: 9, formData16: 17, formFlag: 2, formFlagPresent: 1, formImplicit: 1,
	formStrp: 5, formLineStrp: 5, formSecOffset: 5, formRef1: 2, formRef2: 3, formRef4: 5, formRef8: 9, formRefSig8: 9,
	formRefSup4: 5, formRefSup8: 9, formStrpSup: 5, formStrx1: 2, formStrx2: 3, formStrx3: 4, formStrx4: 5,
	formAddrx1: 2, formAddrx2: 3, formAddrx3: 4, formAddrx4: 5,
}

// fixedSize returns the bytes that a form takes in a unit of the 32-bit
// format, or -1 where the value itself tells.
func fixedSize(form uint16, version, addrSize uint8) int {
	switch form {
	case formAddr:
		return int(addrSize)
	case formRefAddr:
		if version < 3 { // DWARF 2 gave it the size of an address
			return int(addrSize)
		}
		return 4
	case formGNURefAlt, formGNUStrpAlt:
		return 4
	}
	if int(form) < len(formSizes) {
		return int(formSizes[form]) - 1
	}
	return -1
}

// A cursor reads numbers from bytes. A read after the end gives 0 and sets bad.
type cursor struct {
	data []byte
	off  int
	bad  bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || c.bad || n > len(c.data)-c.off {
		c.bad = true
		return nil
	}
	c.off += n
	return c.data[c.off-n : c.off : c.off]
}

func (c *cursor) skip(n int) { c.take(n) }

// uint reads a little-endian number of n bytes, at most 8.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, b := range c.take(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// uleb reads a number of variable length (DWARF 5, section 7.6).
func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		if c.bad || c.off >= len(c.data) {
			c.bad = true
			return 0
		}
		b := c.data[c.off]
		c.off++
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

func (c *cursor) sleb() int64 {
	start := c.off
	v := c.uleb()
	if c.bad {
		return 0
	}
	if bits := 7 * (c.off - start); bits < 64 && c.data[c.off-1]&0x40 != 0 {
		v |= ^uint64(0) << bits
	}
	return int64(v)
}

// str reads the bytes up to a 0.
func (c *cursor) str() []byte {
	if c.bad {
		return nil
	}
	n := bytes.IndexByte(c.data[c.off:], 0)
	if n < 0 {
		c.bad = true
		return nil
	}
	s := c.take(n)
	c.off++
	return s
}

// skipForm steps over a value.
func (c *cursor) skipForm(form uint16, version, addrSize uint8) error {
	if n := fixedSize(form, version, addrSize); n >= 0 {
		c.skip(n)
		return nil
	}
	switch form {
	case formBlock, formExprloc:
		c.skipLen(c.uleb())
	case formBlock1:
		c.skipLen(c.uint(1))
	case formBlock2:
		c.skipLen(c.uint(2))
	case formBlock4:
		c.skipLen(c.uint(4))
	case formString:
		c.str()
	case formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx:
		c.uleb()
	case formIndirect:
		in := c.uleb()
		if in == formIndirect || in == formImplicit || in > 0xffff {
			return errForm
		}
		return c.skipForm(uint16(in), version, addrSize)
	default:
		return errForm
	}
	return nil
}

func (c *cursor) skipLen(n uint64) {
	if n > uint64(len(c.data)) {
		c.bad = true
		return
	}
	c.skip(int(n))
}

// errForm is a form of attribute that DWARF 5 does not have: what follows
// cannot be found.
var errForm = errors.New("an attribute of a form that DWARF 5 does not have")
