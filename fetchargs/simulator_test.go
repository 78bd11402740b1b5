package fetchargs

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A machine is a kernel at the moment at which a probe fires: what is in its
// registers and memory. It fetches arguments as kernel/trace/trace_probe_tmpl.h
// does, for the tests of what the compiler makes of expressions.
type machine struct {
	dialect   Dialect
	registers map[string]uint64
	stack     []uint64
	args      []uint64
	retval    uint64
	symbols   map[string]uint64
	memory    map[uint64]byte // what is not here faults
}

// record writes the arguments behind the header into the buffer, which has the
// bytes of the event before, and returns the record with its texts.
func (m *machine) record(buffer []byte, args []Arg, places []ArgPlace) []byte {
	size := 16
	for _, p := range places {
		size = max(size, p.Offset+p.Size)
	}
	rec := buffer[:size]
	for i, a := range args {
		at := rec[places[i].Offset : places[i].Offset+places[i].Size]
		if a.Type.IsString() {
			text, ok := m.text(a)
			binary.LittleEndian.PutUint32(at, uint32(len(rec)))
			if ok {
				binary.LittleEndian.PutUint32(at, uint32(len(rec)|len(text)<<16))
				rec = append(rec, text...)
			}
			continue
		}
		m.fetch(a, at)
	}
	return rec
}

// fetch puts the value of a into slot. What it does where memory cannot be
// read is the point of the exercise: up to 4.19 the value is 0, later the slot
// keeps what it has.
func (m *machine) fetch(a Arg, slot []byte) {
	addr, inMemory, ok := m.address(a)
	size := a.Type.Size() / max(1, a.Type.Count)
	for n := range max(1, a.Type.Count) {
		element := slot[n*size : (n+1)*size]
		var v [8]byte
		switch {
		case ok && inMemory:
			ok = m.read(addr+uint64(n*size), v[:size], false)
		case ok:
			binary.LittleEndian.PutUint64(v[:], addr)
		}
		if !ok {
			if !m.dialect.Arrays {
				clear(slot)
			}
			return
		}
		if strings.HasPrefix(a.Type.Name, "b") {
			bits(a.Type.Name, v[:size])
		}
		copy(element, v[:size])
	}
}

// address follows the loads of a but for the last: the value is at the address,
// or, where inMemory is false, it is the "address".
func (m *machine) address(a Arg) (addr uint64, inMemory, ok bool) {
	loads := a.Loads
	switch a.Base.Kind {
	case Register:
		addr, ok = m.registers[a.Base.Name]
		if !ok {
			panic("no register " + a.Base.Name)
		}
	case StackWord:
		addr = m.stack[a.Base.Num]
	case ArgNum:
		addr = m.args[a.Base.Num-1]
	case Retval:
		addr = m.retval
	case Symbol:
		addr = m.symbols[a.Base.Name]
		loads = append([]Load{{Offset: a.Base.Num}}, loads...)
	case Memory:
		addr = uint64(a.Base.Num)
		loads = append([]Load{{}}, loads...)
	default:
		panic(fmt.Sprintf("base %v", a.Base))
	}
	for i, l := range loads {
		if !m.dialect.Arrays && addr == 0 {
			return 0, false, false
		}
		addr += uint64(l.Offset)
		if i == len(loads)-1 {
			return addr, true, true
		}
		var v [8]byte
		if !m.read(addr, v[:], false) {
			return 0, true, false
		}
		addr = binary.LittleEndian.Uint64(v[:])
	}
	return addr, false, true
}

func (m *machine) read(addr uint64, to []byte, user bool) bool {
	if addr < 1<<47 && m.dialect.UserMemory && !user {
		return false // copy_from_kernel_nofault, but not string, refuses these
	}
	for i := range to {
		b, ok := m.memory[addr+uint64(i)]
		if !ok {
			return false
		}
		to[i] = b
	}
	return true
}

func (m *machine) text(a Arg) ([]byte, bool) {
	addr, inMemory, ok := m.address(a)
	if !ok || !inMemory {
		return nil, false
	}
	var text []byte
	for {
		var c [1]byte
		if !m.read(addr+uint64(len(text)), c[:], true) {
			return nil, false
		}
		if text = append(text, c[0]); c[0] == 0 {
			return text, true
		}
	}
}

// bits replaces a container by the bits that the type bWIDTH@OFFSET/SIZE takes.
func bits(name string, v []byte) {
	width, rest, _ := strings.Cut(name[1:], "@")
	offset, _, _ := strings.Cut(rest, "/")
	w, _ := strconv.Atoi(width)
	o, _ := strconv.Atoi(offset)
	var b [8]byte
	copy(b[:], v)
	n := binary.LittleEndian.Uint64(b[:]) >> o
	if w < 64 {
		n &= 1<<w - 1
	}
	binary.LittleEndian.PutUint64(b[:], n)
	copy(v, b[:])
}
