package fetchargs

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A model is a random set of struct types, objects of them in the memory of a
// machine, and a function whose parameters point to them.
type model struct {
	*machine
	rand    *rand.Rand
	structs []*Type
	fn      *Type
	objects map[*Type][]uint64
	next    uint64
	// wild: a pointer looks like one of the kernel and leads nowhere, because
	// a cast made it of parts of others. No program can know that.
	wild bool
}

const (
	userRegion = 0x7f00_0000_1000
	errPtr     = ^uint64(21) // -EINVAL
	slack      = 600         // mapped bytes around an object: what is fetched together may run over it
)

func newModel(r *rand.Rand, d Dialect) *model {
	m := &model{rand: r, objects: map[*Type][]uint64{}, next: 0xffff_8880_0000_0000,
		machine: &machine{dialect: d, memory: map[uint64]byte{}, symbols: map[string]uint64{}, registers: map[string]uint64{}}}
	for i := range 4 {
		m.structs = append(m.structs, &Type{Kind: Struct, Name: fmt.Sprintf("struct s%d", i)})
	}
	for i, s := range m.structs {
		m.fill(s, m.structs[:i], 3+r.IntN(6))
	}
	var params []Member
	for i := range 9 {
		t := m.pointer()
		if r.IntN(4) == 0 {
			t = m.integer()
		}
		params = append(params, Member{Name: fmt.Sprintf("p%d", i), Type: t})
	}
	m.fn = FuncOf("f", params, m.pointer())
	for i := range uint64(2000) {
		m.memory[userRegion+i] = m.byte()
	}
	m.memory[userRegion+2000] = 0
	return m
}

// TypeNamed, FuncNamed and Source make the model a source of types.
func (m *model) TypeNamed(name string) (*Type, error) {
	for _, s := range m.structs {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, ErrNoType
}

func (m *model) FuncNamed(string) (*Type, error) { return m.fn, nil }
func (m *model) Source() string                  { return "a model" }

func (m *model) integer() *Type {
	size := 1 << m.rand.IntN(4)
	name, signed := fmt.Sprintf("u%d", size*8), m.rand.IntN(2) == 0
	if signed {
		name = fmt.Sprintf("s%d", size*8)
	}
	return &Type{Kind: Int, Name: name, Size: size, Signed: signed}
}

func (m *model) pointer() *Type {
	if m.rand.IntN(6) == 0 {
		return charPointer
	}
	s := m.structs[m.rand.IntN(len(m.structs))]
	return PointerTo(func() *Type { return s })
}

// fill gives a struct n members; inside are types that can lie in it.
func (m *model) fill(s *Type, inside []*Type, n int) {
	for i := range n {
		name := fmt.Sprintf("%c%d", 'a'+i, len(s.Members))
		var t *Type
		mem := Member{Name: name, Offset: s.Size}
		switch k := m.rand.IntN(10); {
		case k < 3:
			t = m.integer()
		case k < 6:
			t = m.pointer()
		case k == 6 && len(inside) > 0:
			t = inside[m.rand.IntN(len(inside))]
		case k == 7:
			t = ArrayOf(m.integer(), 1+m.rand.IntN(4))
			if m.rand.IntN(2) == 0 {
				t = ArrayOf(charType, 1+m.rand.IntN(20))
			}
		case k == 8:
			t = m.integer()
			mem.BitSize = 1 + m.rand.IntN(t.Size*8)
			mem.BitOffset = m.rand.IntN(min(8, t.Size*8-mem.BitSize+1))
		default:
			t = &Type{Kind: Union}
			m.fill(t, nil, 0)
			for j := range 2 {
				in := m.integer()
				t.Members = append(t.Members, Member{Name: fmt.Sprintf("%s_u%d", name, j), Type: in})
				t.Size = max(t.Size, in.Size)
			}
			mem.Name = ""
		}
		if m.rand.IntN(3) == 0 {
			mem.Offset += m.rand.IntN(40) // a hole
		}
		mem.Type = t
		s.Members = append(s.Members, mem)
		s.Size = mem.Offset + t.Size
	}
}

func (m *model) byte() byte { return byte(m.rand.IntN(0xf0)) } // eight of these are no kernel address

// object makes an object of type s with random contents.
func (m *model) object(s *Type) uint64 {
	addr := m.next + slack
	m.next += uint64(s.Size + 2*slack + 8)
	for i := addr - slack; i < addr+uint64(s.Size)+slack; i++ {
		m.memory[i] = m.byte()
	}
	m.memory[addr+uint64(s.Size)+slack] = 0
	m.objects[s] = append(m.objects[s], addr)
	return addr
}

// event gives registers, pointers and numbers new values.
func (m *model) event() {
	for _, s := range m.structs {
		for len(m.objects[s]) < 3 {
			m.object(s)
		}
	}
	for _, s := range m.structs {
		for _, addr := range m.objects[s] {
			m.write(addr, s)
		}
	}
	for _, name := range []string{"g", "h"} {
		if m.symbols[name] == 0 {
			m.symbols[name] = m.object(&Type{Size: 8})
		}
		m.put(m.symbols[name], m.address(m.structs[0]), 8)
	}
	m.args = m.args[:0]
	for _, p := range m.fn.Members {
		v := m.rand.Uint64()
		if p.Type.Kind == Pointer {
			v = m.address(p.Type.Elem())
		}
		m.args = append(m.args, v)
	}
	m.retval = m.address(m.fn.Elem().Elem())
	m.stack = make([]uint64, 8)
	for _, regs := range paramRegisters {
		for i, r := range regs {
			m.registers[r] = m.args[i]
		}
	}
}

// call puts the parameters that no register holds on the stack, as arch does.
func (m *model) call(arch Arch) {
	first, word := 6, 1 // the return address lies below them
	if arch == ARM64 {
		first, word = 8, 0
	}
	for i := first; i < len(m.args); i++ {
		m.stack[i-first+word] = m.args[i]
	}
}

// address is a pointer to something of type t, or to nothing.
func (m *model) address(t *Type) uint64 {
	switch m.rand.IntN(10) {
	case 0, 1:
		return 0
	case 2:
		return errPtr
	case 3:
		return userRegion + uint64(m.rand.IntN(100))
	}
	if all := m.objects[t]; len(all) > 0 {
		return all[m.rand.IntN(len(all))]
	}
	s := m.structs[m.rand.IntN(len(m.structs))]
	return m.objects[s][m.rand.IntN(len(m.objects[s]))]
}

func (m *model) write(addr uint64, t *Type) {
	switch t.Kind {
	case Struct, Union:
		for _, mem := range t.Members {
			m.write(addr+uint64(mem.Offset), mem.Type)
		}
	case Pointer:
		m.put(addr, m.address(t.Elem()), 8)
	case Array:
		for i := range t.Len {
			m.write(addr+uint64(i*t.Elem().Size), t.Elem())
		}
	default:
		for i := range t.Size {
			m.memory[addr+uint64(i)] = m.byte()
		}
	}
}

func (m *model) put(addr, v uint64, size int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	for i := range size {
		m.memory[addr+uint64(i)] = b[i]
	}
}
