package packet

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// checkFrame compares what is said of the frame with the frame: whole with its
// link layer, from the IP header on, or nothing.
func checkFrame(t testing.TB, p *Packet, w *Window, frame []byte, link, ip bool) {
	t.Helper()
	got := p.AppendFrame(nil, w)
	switch {
	case link:
	case ip:
		for frame[12] == 0x81 {
			frame = frame[vlanLen:]
		}
		frame = frame[14:]
	default:
		if p.Has(FieldFrame) || got != nil {
			t.Errorf("there is a frame: %x", got)
		}
		return
	}
	if !p.Has(FieldFrame) || p.FrameLink != link || int(p.FrameSize) != len(frame) || !bytes.Equal(got, frame) {
		t.Errorf("the frame is %t, link %t, %d bytes: %x, want %d: %x", p.Has(FieldFrame), p.FrameLink, p.FrameSize, got, len(frame), frame)
	}
}

// TestTagBeside is a frame whose outer tag the kernel has taken out.
func TestTagBeside(t *testing.T) {
	data := gopacket.Payload("some payload")
	for _, fc := range []frameCase{
		{"[{8100 b02a}]", build(t, eth(layers.EthernetTypeDot1Q), tag(42, type4), ip4(layers.IPProtocolUDP), testUDP, data)},
		{"[{88a8 b02a} {8100 b007}]", build(t, eth(layers.EthernetTypeQinQ), tag(42, layers.EthernetTypeDot1Q), tag(7, type4), ip4(layers.IPProtocolUDP), testUDP, data)},
		{"[{8100 b02a}]", build(t, eth(layers.EthernetTypeDot1Q), tag(42, layers.EthernetTypeARP), data)},
	} {
		t.Run(fc.name, func(t *testing.T) {
			left := append(bytes.Clone(fc.frame[:12]), fc.frame[16:]...)
			w := received(left, 14, uint16(left[12])<<8|uint16(left[13])).window(-64, 160)
			without := values(decode(t, w))
			w.Tagged = true
			w.Tag = VLAN{TPID: uint16(fc.frame[12])<<8 | uint16(fc.frame[13]), TCI: uint16(fc.frame[14])<<8 | uint16(fc.frame[15])}
			p := decode(t, w)
			checkPrefixes(t, w)
			checkFrame(t, p, w, fc.frame, true, true)
			got := values(p)
			if got[FieldVLAN] != fc.name {
				t.Errorf("tags %s", got[FieldVLAN])
			}
			for f, v := range without {
				if f != FieldVLAN && f != FieldFrame && got[f] != v {
					t.Errorf("%s is %q with a tag beside the frame, and %q without", f, got[f], v)
				}
			}
			// Cut in the addresses, there is no place for the tag.
			w.Bytes = w.Bytes[:64-14+8]
			if got := decode(t, w).AppendFrame(nil, w); got != nil && !bytes.Equal(got, fc.frame[:8]) {
				t.Errorf("cut: %x", got)
			}
		})
	}
}

// TestTagBesideAlone is a tag of which alone is known: there are no bytes.
func TestTagBesideAlone(t *testing.T) {
	p := decode(t, &Window{Tagged: true, Tag: VLAN{0x8100, 5}, Protocol: 0x0800})
	if got := text(p); got != "ethertype 0x0800\nvlan [{8100 5}]\n" {
		t.Error(got)
	}
}

// TestFrameCut is a frame of which the window has only a part.
func TestFrameCut(t *testing.T) {
	frame := build(t, eth(type4), ip4(layers.IPProtocolUDP), testUDP, gopacket.Payload(make([]byte, 1000)))
	s := received(frame, 14, 0x0800)
	for _, tt := range []struct {
		start, size int
		want        []byte
		of          string
	}{
		{-64, 160, frame[:110], fmt.Sprint(len(frame), true)},
		{-14, 20, frame[:20], fmt.Sprint(len(frame), true)},
		{-13, 100, frame[14:101], fmt.Sprint(len(frame)-14, false)},
		{0, 30, frame[14:44], fmt.Sprint(len(frame)-14, false)},
		{1, 30, nil, "0 false"},
		{-64, 50, nil, "0 false"},
	} {
		w := s.window(tt.start, tt.size)
		p := decode(t, w)
		if got := p.AppendFrame(nil, w); !bytes.Equal(got, tt.want) || fmt.Sprint(p.FrameSize, p.FrameLink) != tt.of {
			t.Errorf("%d+%d: %d bytes of %d, link %t: %x", tt.start, tt.size, len(got), p.FrameSize, p.FrameLink, got)
		}
	}
}
