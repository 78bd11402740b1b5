package event

import (
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/internal/packet"
)

// datagramSize is how much of a datagram's packet is read, in one fetch where
// the kernel has arrays.
const datagramSize = windowPart

// DatagramSent4 and DatagramSent6 are a UDP datagram in a struct sk_buff whose
// data begin with the IP header, as when it is sent: saddr, sport, daddr, dport
// and the payload, as far as it was read. Where it is no datagram they are
// absent. Each call returns a kind with buffers of its own.
func DatagramSent4() *Kind {
	// Without IP options, which are rare. The kernel cannot compare where
	// there are some, or where it is no UDP.
	return datagramKind(20, &When{"*(u8 *)$->data", 0x45})
}

// DatagramSent6: see [DatagramSent4].
func DatagramSent6() *Kind { return datagramKind(40, &When{"*((u8 *)$->data + 6)", protoUDP}) }

// DatagramReceived is one whose data are the payload, as when a process takes
// it (since 4.8).
func DatagramReceived() *Kind { return datagramKind(-8, nil) }

const protoUDP = 17

// datagramKind has the UDP header at an offset from skb->data, when a condition
// holds.
func datagramKind(header int, when *When) *Kind {
	d := &packetDecoder{look: packetLook{size: datagramSize}, windows: len(skbReads)}
	k := &Kind{Name: "datagram", Class: Text, Whole: true, Reads: slices.Concat(skbReads, windowReads(datagramSize))}
	for _, p := range packetParts() {
		switch p.Name {
		case "saddr", "sport", "daddr", "dport":
			p.Kind = Addr
			switch p.field {
			case packet.FieldSport:
				p.Kind, p.Expr, p.When = Port, fmt.Sprintf("*(u16 *)((u8 *)$->data %+d)", header), when
			case packet.FieldDport:
				p.Kind, p.Expr, p.When = Port, fmt.Sprintf("*(u16 *)((u8 *)$->data %+d)", header+2), when
			}
			d.parts = append(d.parts, p)
			k.Parts = append(k.Parts, p.Part)
		}
	}
	k.Parts = append(k.Parts, Part{Name: "payload", Help: "bytes after the UDP header, as far as they were read", Kind: Bytes})
	k.Decode.call = func(in [][]byte, out []*Value) {
		if !d.load(in) || !d.packet.Has(packet.FieldUDPLen) {
			absent(out)
			return
		}
		d.setParts(out)
		if v := out[len(d.parts)]; v != nil {
			v.Text = d.packet.Payload(&d.window)
			v.Set = v.Text != nil
		}
	}
	return k
}
