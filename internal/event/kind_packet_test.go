package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skprobe/skprobe/internal/packet"
)

// The ways in which kernels say that there is a tag beside the frame.
func TestTag(t *testing.T) {
	proto, tci := []byte{0x88, 0xa8}, le(2, 0x302a)
	for _, c := range []struct {
		name string
		in   [][]byte
		want packet.VLAN
		ok   bool
	}{
		{"3.10: a bit of vlan_tci", [][]byte{proto, tci, nil, nil}, packet.VLAN{TPID: 0x88a8, TCI: 0x202a}, true},
		{"3.10: none, but left over", [][]byte{proto, le(2, 0x202a), nil, nil}, packet.VLAN{}, false},
		{"before vlan_proto", [][]byte{nil, tci, nil, nil}, packet.VLAN{TPID: 0x8100, TCI: 0x202a}, true},
		{"5.0: vlan_present", [][]byte{proto, tci, {0xf1}, nil}, packet.VLAN{TPID: 0x88a8, TCI: 0x302a}, true},
		{"5.0: none, but left over", [][]byte{proto, tci, {0xf0}, nil}, packet.VLAN{}, false},
		{"6.2: vlan_all", [][]byte{proto, tci, nil, le(4, 1)}, packet.VLAN{TPID: 0x88a8, TCI: 0x302a}, true},
		{"6.2: none", [][]byte{{0, 0}, {0, 0}, nil, le(4, 0)}, packet.VLAN{}, false},
		{"no such member", [][]byte{nil, nil, nil, nil}, packet.VLAN{}, false},
	} {
		got, ok := tag(c.in)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %x %t, want %x %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

// An skb as a probe at netif_receive_skb reads it, with a window of any size.
func readArriving(k *Kind, frame []byte, size int) [][]byte {
	const head, data = 0xffff888000000000, 0xffff888000000000 + 200
	memory := make([]byte, 4096)
	copy(memory[200-14:], frame)
	in := [][]byte{le(8, head), le(8, data), le(2, 70), {0xff, 0xff}, le(2, 186), le(4, uint64(len(frame)-14)), le(4, 0), frame[12:14],
		{0x81, 0x00}, le(2, 0x2005), nil, le(4, 1)}
	for off := 0; off < size; off += 512 {
		in = append(in, memory[200-64+off:][:min(512, size-off)])
	}
	if len(in) != len(k.Reads) {
		panic(fmt.Sprint(len(in), " of ", len(k.Reads), " reads"))
	}
	return in
}

// TestArriving holds that a frame that arrives is decoded by where skb->data
// is, whatever network_header says, and that its bytes are those on the wire,
// however large the window is.
func TestArriving(t *testing.T) {
	frame := make([]byte, 14+20+8+1300)
	copy(frame, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00\x05\x38\x00\x01\x00\x00\x40\x11\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x35\x14\xe9")
	binary.BigEndian.PutUint16(frame[38:], 1308)
	for i := 42; i < len(frame); i++ {
		frame[i] = byte(i)
	}
	wire := append(append(bytes.Clone(frame[:12]), 0x81, 0, 0x20, 5), frame[12:]...)
	for _, snap := range []int{0, 96, 97, 448, 449, 1200, 1500} {
		k := Arriving()
		size := windowSize
		if snap > 0 {
			k, size = k.Snap(snap), snap+64
		}
		out := make([]*Value, len(k.Parts))
		got := map[string]*Value{}
		for i, p := range k.Parts {
			out[i] = new(Value)
			got[p.Name] = out[i]
		}
		k.Decode.call(readArriving(k, frame, size), out)
		if got["saddr"].Addr.String() != "192.0.2.1" || got["dport"].Num != 5353 || got["vlan"].Num != 5 || got["vlan2"].Set ||
			got["frame_len"].Num != uint64(len(wire)) || got["len"].Num != uint64(len(frame)-14) {
			t.Errorf("%d bytes: %+v", snap, got)
		}
		b, length, link := got["frame"].Frame()
		want := wire[:min(len(wire), size-64+14+4)]
		if !bytes.Equal(b, want) || int(length) != len(wire) || !link {
			t.Errorf("%d bytes: %d of %d, link %t:\n%x", snap, len(b), length, link, b)
		}
	}
}
