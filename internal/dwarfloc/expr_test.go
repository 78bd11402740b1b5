package dwarfloc

import (
	"errors"
	"reflect"
	"testing"
)

func reg(n int, add int64, loads ...int64) Value {
	return Value{From: Register, Reg: n, Add: add, Loads: loads, Bits: 64}
}

func memory(v Value) Value {
	v.Memory = true
	return v
}

var inFrame = Context{
	CFA:       func() (Value, error) { return reg(7, 16), nil },
	FrameBase: func() (Value, error) { return reg(7, 16), nil },
	Addr:      func(i uint64) (uint64, error) { return 0x1000 * i, nil },
	TypeSize:  func(off uint64) int { return int(off) },
}

func TestEval(t *testing.T) {
	for _, c := range []struct {
		what string
		expr []byte
		want Value
	}{
		{"a register", []byte{0x55}, reg(5, 0)},
		{"a register with a number", []byte{0x90, 0x1f}, reg(31, 0)},
		{"memory at a register", []byte{0x73, 0x10}, memory(reg(3, 16))},
		{"in the frame", []byte{0x91, 0x68}, memory(reg(7, -8))},
		{"its address", []byte{0x91, 0x68, 0x9f}, reg(7, -8)},
		{"the CFA", []byte{0x9c}, memory(reg(7, 16))},
		{"memory at what lies in the frame", []byte{0x91, 0x68, 0x06, 0x23, 4}, memory(reg(7, 4, -8))},
		{"what memory has", []byte{0x73, 0x10, 0x06, 0x9f}, reg(3, 0, 16)},
		{"a constant", []byte{0x34, 0x9f}, Value{Add: 4, Bits: 64}},
		{"a negative constant", []byte{0x09, 0xff, 0x9f}, Value{Add: -1, Bits: 64}},
		{"arithmetic on constants", []byte{0x08, 3, 0x34, 0x24, 0x33, 0x1c, 0x9f}, Value{Add: 3<<4 - 3, Bits: 64}},
		{"bytes", []byte{0x9e, 2, 0x34, 0x12}, Value{Add: 0x1234, Bits: 64}},
		{"an address", []byte{0x03, 0, 0x10, 0, 0, 0, 0, 0, 0}, Value{From: Address, Add: 0x1000, Memory: true, Bits: 64}},
		{"an address by its index", []byte{0xa1, 2}, Value{From: Address, Add: 0x2000, Memory: true, Bits: 64}},
		{"a register at the entry", []byte{0xa3, 1, 0x55, 0x9f}, Value{From: AtEntry, Reg: 5, Bits: 64}},
		{"the same of GNU", []byte{0xf3, 1, 0x55, 0x23, 8, 0x9f}, Value{From: AtEntry, Reg: 5, Add: 8, Bits: 64}},
		{"32 bits with their sign", []byte{0x70, 0, 0x08, 32, 0x24, 0x08, 32, 0x26, 0x9f}, Value{From: Register, Bits: 32}},
		{"16 bits", []byte{0x70, 0, 0x0a, 0xff, 0xff, 0x1a, 0x9f}, Value{From: Register, Bits: 16}},
		{"converted to 4 bytes", []byte{0x70, 0, 0xa8, 4, 0xa8, 8, 0x9f}, Value{From: Register, Bits: 32}},
		{"a word of 2 bytes", []byte{0x70, 8, 0x94, 2, 0x9f}, Value{From: Register, Loads: []int64{8}, Bits: 16}},
		{"the operands in the other order", []byte{0x38, 0x70, 0, 0x22, 0x9f}, reg(0, 8)},
		{"a copy that is dropped", []byte{0x70, 1, 0x12, 0x13, 0x9f}, reg(0, 1)},
	} {
		got, err := Eval(c.expr, inFrame)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.what, got, err, c.want)
		}
	}
}

func TestEvalUnknown(t *testing.T) {
	for _, c := range []struct {
		what, want string
		expr       []byte
	}{
		{"nothing", "optimised out here", nil},
		{"two registers added", "computed from several values", []byte{0x70, 0, 0x71, 0, 0x22, 0x9f}},
		{"a product", "computed", []byte{0x70, 0, 0x34, 0x1e, 0x9f}},
		{"shifted", "computed", []byte{0x70, 0, 0x34, 0x24, 0x9f}},
		{"in two registers", "in several places at once", []byte{0x50, 0x93, 8, 0x51, 0x93, 8}},
		{"a pointer to nothing", "optimised out: a pointer to what has no address", []byte{0xa0, 0, 0, 0, 0, 0}},
		{"an address of 32 bits", "computed: an address of 32 bits", []byte{0x70, 0, 0xa8, 4}},
		{"an operation of nobody", "computed", []byte{0xff}},
	} {
		_, err := Eval(c.expr, inFrame)
		var why *UnknownError
		if !errors.As(err, &why) || why.Msg != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, damaged := range [][]byte{{0x06}, {0x03, 1}, {0x30, 0x30}, {0x9f}, {0x22}, {0x9e, 8, 1}} {
		if v, err := Eval(damaged, inFrame); err == nil {
			t.Errorf("% x: %+v", damaged, v)
		}
	}
}

func FuzzEval(f *testing.F) {
	f.Add([]byte{0x91, 0x68, 0x06, 0x23, 4})
	f.Add([]byte{0xa3, 1, 0x55, 0x9f})
	f.Fuzz(func(t *testing.T, expr []byte) {
		if v, err := Eval(expr, inFrame); err == nil && v.From == Constant && v.Memory {
			t.Errorf("% x: memory at a number: %+v", expr, v)
		}
	})
}
