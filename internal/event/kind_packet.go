package event

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/packet"
)

// A packet's headers are at skb->head + skb->network_header, and fetch-args
// cannot add two fetched values. So what is fetched is the pointers, the
// offsets and a window of bytes around skb->data, and package packet computes
// the rest.
const (
	windowStart = -64
	windowSize  = 160
	// windowPart is how much of a larger window one fetch can have.
	windowPart = fetchargs.MaxArray * 8
)

// The reads of an sk_buff, in the order that packetDecoder expects. Those of the
// tag follow where it is wanted, and then the window in one or several parts.
const (
	skbHead = iota
	skbData
	skbNetwork
	skbTransport
	skbMac
	skbLen
	skbDataLen
	skbProtocol
	skbTag
)

// The reads of the VLAN tag that lies beside the frame, from skbTag on.
const (
	tagProto = iota
	tagTCI
	tagPresent
	tagAll
)

var skbReads = []Read{
	skbHead:      {Expr: "$->head"},
	skbData:      {Expr: "$->data"},
	skbNetwork:   {Expr: "$->network_header"},
	skbTransport: {Expr: "$->transport_header", Optional: true},
	skbMac:       {Expr: "$->mac_header", Optional: true},
	skbLen:       {Expr: "$->len"},
	skbDataLen:   {Expr: "$->data_len"},
	skbProtocol:  {Expr: "$->protocol", Optional: true},
}

var tagReads = []Read{
	tagProto: {Expr: "$->vlan_proto", Optional: true},
	tagTCI:   {Expr: "$->vlan_tci", Optional: true},
	// The byte whose lowest bit is vlan_present, 5.0 to 6.1.
	tagPresent: {Expr: "$->__pkt_vlan_present_offset", Size: 1, Optional: true},
	// Both of the first two, from 6.2 on: not 0 where there is a tag.
	tagAll: {Expr: "$->vlan_all", Optional: true},
}

// windowReads copies size bytes.
func windowReads(size int) []Read {
	all := []Read{{Expr: "*((u8 *)$->data - 64)", Size: min(size, windowPart)}}
	for off := windowPart; off < size; off += windowPart {
		all = append(all, Read{Expr: fmt.Sprintf("*((u8 *)$->data + %d)", windowStart+off), Size: min(size-off, windowPart)})
	}
	return all
}

// packetName is the name of the kind.
const packetName = "packet"

// A packetLook says what of a packet is read, and how.
type packetLook struct {
	size int // of the window
	// whole: the VLAN tag beside the frame is read too, and the bytes can be
	// had.
	whole bool
	// arriving: the network header is at skb->data, whatever network_header
	// says.
	arriving bool
}

// Packet is a struct sk_buff with the headers of the packet in it. Each call
// returns a kind with buffers of its own.
func Packet() *Kind { return packetKind(packetLook{size: windowSize, whole: true}) }

// Received is a Packet whose headers lie before skb->data, as in a datagram that
// a process receives: a smaller window has them.
func Received() *Kind { return packetKind(packetLook{size: -windowStart + 16}) }

// Arriving is a Packet that a device has just handed to the stack: skb->data is
// where the link layer ends, and network_header not set yet, or that of a
// packet that was in this one.
func Arriving() *Kind { return packetKind(packetLook{size: windowSize, whole: true, arriving: true}) }

func packetKind(look packetLook) *Kind {
	parts := packetParts()
	k := &Kind{Name: packetName, Help: "struct sk_buff *: smac, dmac, ethertype, proto, saddr, sport, daddr, dport, len and more",
		Class: Text, Reads: slices.Clone(skbReads), Parts: packetColumns(), Whole: true}
	if look.whole {
		k.Reads = append(k.Reads, tagReads...)
	}
	d := &packetDecoder{look: look, parts: parts, windows: len(k.Reads)}
	k.Reads = append(k.Reads, windowReads(look.size)...)
	k.Decode.call = d.decode
	if !look.whole {
		k.Parts = k.Parts[:len(parts)+1] // without the frame
		return k
	}
	k.Snap = func(n int) *Kind {
		look := look
		look.size = n - windowStart
		return packetKind(look)
	}
	return k
}

// packetColumns are the parts as columns, and two more.
var packetColumns = sync.OnceValue(func() []Part {
	var all []Part
	for _, p := range packetParts() {
		all = append(all, p.Part)
	}
	return append(all, Part{Name: "len", Help: "bytes from skb->data to the end of the packet", Kind: Size, Expr: "$->len"},
		Part{Name: "frame", Help: "bytes of the frame, as far as they were recorded", Kind: Frame, OnRequest: true})
})

// A packetDecoder makes the parts of a packet kind of its reads.
type packetDecoder struct {
	look    packetLook
	parts   []packetPart
	texts   [][]byte // parallel to parts
	windows int      // index of the first read of the window
	window  packet.Window
	packet  packet.Packet
	joined  []byte // the window, where it was read in parts
	frame   []byte
}

func (d *packetDecoder) decode(in [][]byte, out []*Value) {
	if !d.load(in) {
		absent(out)
		return
	}
	w, pkt := &d.window, &d.packet
	d.setParts(out)
	out[len(d.parts)].setNum(uint64(w.Len))
	if !d.look.whole || out[len(d.parts)+1] == nil {
		return
	}
	v := out[len(d.parts)+1]
	if v.Set = pkt.Has(packet.FieldFrame); v.Set {
		d.frame = pkt.AppendFrame(d.frame[:0], w)
		v.SetFrame(d.frame, pkt.FrameSize, pkt.FrameLink)
	}
}

// setParts sets the values of the parts.
func (d *packetDecoder) setParts(out []*Value) {
	if d.texts == nil {
		d.texts = make([][]byte, len(d.parts))
	}
	for i := range d.parts {
		v := out[i]
		if v == nil {
			continue
		}
		if v.Set = d.packet.Has(d.parts[i].field); v.Set {
			d.parts[i].get(&d.packet, v, &d.texts[i])
		}
	}
}

// load decodes what was read of a packet. It reports false where nothing was.
func (d *packetDecoder) load(in [][]byte) bool {
	if in[skbHead] == nil {
		return false
	}
	w := &d.window
	*w = packet.Window{
		Head: number(in[skbHead]), Data: number(in[skbData]),
		Network: headerOffset(in[skbNetwork]), Transport: headerOffset(in[skbTransport]), Mac: headerOffset(in[skbMac]),
		Len: uint32(number(in[skbLen])), DataLen: uint32(number(in[skbDataLen])),
		Start: windowStart, Bytes: in[d.windows],
	}
	if d.look.arriving {
		w.Network = uint32(w.Data - w.Head)
	}
	if in[skbProtocol] != nil {
		w.Protocol = binary.BigEndian.Uint16(in[skbProtocol])
	}
	if d.look.whole {
		w.Tag, w.Tagged = tag(in[skbTag:d.windows])
	}
	if d.windows+1 < len(in) {
		d.joined = d.joined[:0]
		for _, b := range in[d.windows:] {
			d.joined = append(d.joined, b...)
		}
		w.Bytes = d.joined
	}
	d.packet.Decode(w)
	return true
}

// tag is the VLAN tag that the kernel keeps beside the frame, and whether there
// is one: see skb_vlan_tag_present in include/linux/if_vlan.h. Up to 4.20 a bit
// of vlan_tci says so, which then does not count; it has no DEI.
func tag(in [][]byte) (packet.VLAN, bool) {
	if in[tagTCI] == nil {
		return packet.VLAN{}, false
	}
	t := packet.VLAN{TPID: 0x8100, TCI: binary.LittleEndian.Uint16(in[tagTCI])}
	if in[tagProto] != nil {
		t.TPID = binary.BigEndian.Uint16(in[tagProto])
	}
	switch {
	case in[tagPresent] != nil:
		return t, in[tagPresent][0]&1 != 0
	case in[tagAll] != nil:
		return t, number(in[tagAll]) != 0
	}
	const present = 0x1000
	ok := t.TCI&present != 0
	t.TCI &^= present
	return t, ok
}

// headerOffset reads a header's offset from head: sk_buff_data_t has 32 bits on
// 3.10 and 16 since 3.11.
func headerOffset(b []byte) uint32 {
	if b == nil || len(b) == 2 && b[0] == 0xff && b[1] == 0xff {
		return packet.NotSet
	}
	return uint32(number(b))
}

// Frame are the bytes of a frame: see [Value.SetFrame].
var Frame = &Kind{Name: "frame", Class: Text, Width: 16, Append: appendBytes}

// frameLink is set in the Num of a frame that begins with the link layer. Below
// it is the length on the wire; Text are the bytes.
const frameLink = 1 << 32

// SetFrame makes v the value of a column "frame": bytes, which it keeps, of a
// packet that has size bytes on the wire. link: they begin with an Ethernet
// header, otherwise with that of IP.
func (v *Value) SetFrame(b []byte, size uint32, link bool) {
	*v = Value{Set: true, Num: uint64(size), Text: b}
	if link {
		v.Num |= frameLink
	}
}

// Frame returns what SetFrame set.
func (v *Value) Frame() (b []byte, size uint32, link bool) {
	return v.Text, uint32(v.Num), v.Num&frameLink != 0
}
