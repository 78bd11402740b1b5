package dwarfloc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
)

func words(n ...uint64) (b []byte) {
	for _, w := range n {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func TestRanges(t *testing.T) {
	addr := func(i uint64) (uint64, error) {
		if i > 2 {
			return 0, errDamaged
		}
		return 0x100 * i, nil
	}
	old := words(4, 8, 0x20, 0x20, ^uint64(0), 0x5000, 1, 2, 0, 0)
	v5 := bytes.Join([][]byte{
		{4, 4, 8},                           // offset_pair
		append([]byte{5}, words(0x5000)...), // base_address
		{4, 1, 2},
		append([]byte{6}, words(0x10, 0x20)...), // start_end
		append(append([]byte{7}, words(0x30)...), 0x80, 1), // start_length
		{1, 2, 4, 0, 1}, // base_addressx
		{2, 1, 2},       // startx_endx
		{3, 1, 5, 0},    // startx_length, end
	}, nil)
	for _, c := range []struct {
		version uint8
		section []byte
		want    []Range
	}{
		{4, old, []Range{{0x1004, 0x1008}, {0x5001, 0x5002}}},
		{5, v5, []Range{{0x1004, 0x1008}, {0x5001, 0x5002}, {0x10, 0x20}, {0x30, 0xb0}, {0x200, 0x201}, {0x100, 0x200}, {0x100, 0x105}}},
	} {
		l := Lists{Version: c.version, Section: append([]byte("xx"), c.section...), Base: 0x1000, Addr: addr}
		got, err := l.Ranges(2)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("version %d: %x, %v; want %x", c.version, got, err, c.want)
		}
		for n := range c.section {
			l.Section = c.section[:n]
			if _, err := l.Ranges(0); !errors.Is(err, errDamaged) {
				t.Errorf("version %d: %d bytes of it: %v", c.version, n, err)
			}
		}
	}
	if _, err := (Lists{Version: 5, Section: []byte{3, 9, 1, 0}, Addr: addr}).Ranges(0); err == nil {
		t.Error("an address that does not exist")
	}
}

func TestLocations(t *testing.T) {
	old := bytes.Join([][]byte{words(4, 8), {1, 0, 0x50}, words(8, 9), {2, 0, 0x91, 0}, words(0, 0)}, nil)
	v5 := []byte{9, 1, 2, 4, 4, 8, 1, 0x50, 4, 8, 9, 2, 0x91, 0, 5, 1, 0x51, 0}
	for version, section := range map[uint8][]byte{4: old, 5: v5} {
		list, err := Lists{Version: version, Section: section, Base: 0x1000}.Locations(0)
		if err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		for pc, want := range map[uint64][]byte{0x1004: {0x50}, 0x1007: {0x50}, 0x1008: {0x91, 0}, 0x1009: nil} {
			if want == nil && version == 5 {
				want = []byte{0x51} // the default
			}
			if got := At(list, pc); !bytes.Equal(got, want) {
				t.Errorf("version %d, at %#x: % x, want % x", version, pc, got, want)
			}
		}
	}
}

// A frame of DWARF 4 for amd64: the CFA is rsp+8, after a push rsp+16, then rbp+16,
// and at the end rsp+8 again.
var debugFrame = func() []byte {
	cie := append(words(0)[:4], 4)                                     // CIE_id comes below; version
	cie = append(cie, 0, 8, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1, 0, 0) // no augmentation; CFA is r7+8
	binary.LittleEndian.PutUint32(cie, 0xffffffff)
	fde := append(words(0)[:4], words(0x1000, 0x20)...)
	fde = append(fde, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x0a, 0x02, 9, 0x0c, 7, 8, 0x41, 0x0b, 0, 0)
	var b []byte
	for _, e := range [][]byte{cie, fde} {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return b
}()

func TestCFA(t *testing.T) {
	f := ReadFrames(debugFrame, false, 0)
	for pc, want := range map[uint64]Value{
		0x1000: reg(7, 8), 0x1001: reg(7, 16), 0x1003: reg(7, 16), 0x1004: reg(6, 16), 0x100c: reg(6, 16), 0x100d: reg(7, 8), 0x100e: reg(6, 16), 0x101f: reg(6, 16),
	} {
		if got, err := f.CFA(pc); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("at %#x: %+v, %v; want %+v", pc, got, err, want)
		}
	}
	for _, pc := range []uint64{0xfff, 0x1020, 1 << 40} {
		if v, err := f.CFA(pc); err == nil {
			t.Errorf("at %#x: %+v", pc, v)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(debugFrame, false)
	f.Fuzz(func(t *testing.T, section []byte, eh bool) {
		frames := ReadFrames(section, eh, 0x1000)
		for _, fn := range frames.functions {
			frames.CFA(fn.Low)
			frames.CFA(fn.High - 1)
		}
	})
}

func FuzzLists(f *testing.F) {
	f.Add([]byte{4, 4, 8, 1, 0x50, 0}, uint8(5))
	f.Add(words(4, 8, 0, 0), uint8(4))
	f.Fuzz(func(t *testing.T, section []byte, version uint8) {
		l := Lists{Version: version, Section: section}
		l.Ranges(0)
		l.Locations(0)
	})
}

func TestIsFile(t *testing.T) {
	for _, c := range []struct {
		file, meant string
		want        bool
	}{
		{"net/ipv4/tcp_input.c", "tcp_input.c", true},
		{"/build/linux/net/ipv4/tcp_input.c", "net/ipv4/tcp_input.c", true},
		{"./include/net/sock.h", "include/net/sock.h", true},
		{"net/ipv4/nf_tcp_input.c", "tcp_input.c", false},
		{"net/ipv6/udp.c", "ipv4/udp.c", false},
	} {
		if IsFile(c.file, c.meant) != c.want {
			t.Errorf("%s for %s: %t", c.file, c.meant, !c.want)
		}
	}
}
