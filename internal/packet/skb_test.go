package packet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
)

// skb is a sk_buff in a made-up kernel: mem is the memory from address base on,
// filled with 0xa5 where no packet bytes are. Offsets are from head.
type skb struct {
	mem           []byte
	head          int // index of skb->head in mem
	data          int // offset of skb->data
	mac, net, tra uint32
	len, dataLen  uint32
	protocol      uint16
}

const (
	base     = 0xffff_8880_0010_0000
	headroom = 192 // offset of the frame
)

// newSKB lays a frame into memory; data is at its beginning, nothing is set.
func newSKB(frame []byte) *skb {
	const guard = 256
	mem := []byte(strings.Repeat("\xa5", guard+headroom+len(frame)+guard))
	copy(mem[guard+headroom:], frame)
	return &skb{mem: mem, head: guard, data: headroom, mac: NotSet, net: 0, tra: NotSet, len: uint32(len(frame))}
}

func (s *skb) pull(n int) *skb { s.data += n; s.len -= uint32(n); return s }

// window is what a probe copies: size bytes from data+start on.
func (s *skb) window(start, size int) *Window {
	w := &Window{
		Head: base + uint64(s.head), Data: base + uint64(s.head+s.data),
		Network: s.net, Transport: s.tra, Mac: s.mac,
		Len: s.len, DataLen: s.dataLen, Protocol: s.protocol, Start: int64(start),
	}
	w.Bytes = make([]byte, size)
	for i := range w.Bytes {
		w.Bytes[i] = 0xa5
		if at := s.head + s.data + start + i; at >= 0 && at < len(s.mem) {
			w.Bytes[i] = s.mem[at]
		}
	}
	return w
}

// received is a frame at netif_receive_skb and after: l2 is the length of the
// link header without what the kernel considers part of the payload.
func received(frame []byte, l2 int, protocol uint16) *skb {
	s := newSKB(frame).pull(l2)
	s.mac, s.net, s.tra = headroom, uint32(headroom+l2), uint32(headroom+l2)
	s.protocol = protocol
	return s
}

// values are the fields that were seen, as text.
func values(p *Packet) map[Field]string {
	m := make(map[Field]string)
	for f := range NumFields {
		if p.Has(f) {
			m[f] = value(p, f)
		}
	}
	return m
}

func value(p *Packet, f Field) string {
	switch f {
	case FieldDmac:
		return string(AppendMAC(nil, p.Dmac))
	case FieldSmac:
		return string(AppendMAC(nil, p.Smac))
	case FieldEtherType:
		return string(AppendEtherType(nil, p.EtherType))
	case FieldVLAN:
		return fmt.Sprintf("%x", p.VLANs[:p.NVLAN])
	case FieldArpOp:
		return fmt.Sprint(p.ArpOp)
	case FieldArpSha:
		return string(AppendMAC(nil, p.ArpSha))
	case FieldArpSip:
		return p.ArpSip.String()
	case FieldArpTha:
		return string(AppendMAC(nil, p.ArpTha))
	case FieldArpTip:
		return p.ArpTip.String()
	case FieldIPVersion:
		return fmt.Sprint(p.IPVersion)
	case FieldTOS:
		return fmt.Sprintf("0x%02x", p.TOS)
	case FieldTotalLen:
		return fmt.Sprint(p.TotalLen)
	case FieldIPID:
		return fmt.Sprint(p.IPID)
	case FieldFragment:
		return fmt.Sprint(p.FragOffset, p.MoreFrags, p.DontFrag)
	case FieldTTL:
		return fmt.Sprint(p.TTL)
	case FieldProto:
		return string(AppendProto(nil, p.Proto))
	case FieldSaddr:
		return p.Saddr.String()
	case FieldDaddr:
		return p.Daddr.String()
	case FieldSport:
		return fmt.Sprint(p.Sport)
	case FieldDport:
		return fmt.Sprint(p.Dport)
	case FieldSeq:
		return fmt.Sprint(p.Seq)
	case FieldAck:
		return fmt.Sprint(p.Ack)
	case FieldDataOff:
		return fmt.Sprint(p.DataOff)
	case FieldFlags:
		return p.Flags.String()
	case FieldWin:
		return fmt.Sprint(p.Win)
	case FieldMSS:
		return fmt.Sprint(p.MSS)
	case FieldUDPLen:
		return fmt.Sprint(p.UDPLen)
	case FieldIcmpType:
		return fmt.Sprint(p.IcmpType)
	case FieldIcmpCode:
		return fmt.Sprint(p.IcmpCode)
	case FieldIcmpID:
		return fmt.Sprint(p.IcmpID)
	case FieldIcmpSeq:
		return fmt.Sprint(p.IcmpSeq)
	case FieldIcmpMTU:
		return fmt.Sprint(p.IcmpMTU)
	case FieldNDTarget:
		return p.NDTarget.String()
	case FieldQuotedSaddr:
		return p.QuotedSaddr.String()
	case FieldQuotedDaddr:
		return p.QuotedDaddr.String()
	case FieldQuotedProto:
		return string(AppendProto(nil, p.QuotedProto))
	case FieldQuotedSport:
		return fmt.Sprint(p.QuotedSport)
	case FieldQuotedDport:
		return fmt.Sprint(p.QuotedDport)
	case FieldTunnel:
		return p.Tunnel.String()
	case FieldTunnelID:
		return fmt.Sprint(p.TunnelID)
	case FieldInnerDmac:
		return string(AppendMAC(nil, p.Inner.Dmac))
	case FieldInnerSmac:
		return string(AppendMAC(nil, p.Inner.Smac))
	case FieldInnerEtherType:
		return string(AppendEtherType(nil, p.Inner.EtherType))
	case FieldInnerProto:
		return string(AppendProto(nil, p.Inner.Proto))
	case FieldInnerSaddr:
		return p.Inner.Saddr.String()
	case FieldInnerDaddr:
		return p.Inner.Daddr.String()
	case FieldInnerSport:
		return fmt.Sprint(p.Inner.Sport)
	case FieldInnerDport:
		return fmt.Sprint(p.Inner.Dport)
	case FieldInnerFlags:
		return p.Inner.Flags.String()
	case FieldPayload:
		// Where it begins; how much of it there is depends on the window.
		return fmt.Sprint(p.PayloadOff)
	case FieldFrame:
		return fmt.Sprint(p.FrameOff, p.FrameSize, p.FrameLink)
	case FieldPayloadSize:
		return fmt.Sprint(p.PayloadSize)
	}
	return "?"
}

// text is one "name value" line per field that was seen.
func text(p *Packet) string {
	var b strings.Builder
	for f := range NumFields {
		if p.Has(f) {
			fmt.Fprintf(&b, "%s %s\n", f, value(p, f))
		}
	}
	return b.String()
}

// build serializes layers into a frame, with lengths and without checksums.
func build(t testing.TB, layers ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, layers...); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), buf.Bytes()...)
}

// decode decodes and checks what is true of every packet: that bytes outside
// the packet have no influence, and that members are zero unless seen.
func decode(t testing.TB, w *Window) *Packet {
	t.Helper()
	p := new(Packet)
	p.Decode(w)
	noise := *w
	noise.Bytes = append([]byte(nil), w.Bytes...)
	if c, ok := w.cursor(); ok {
		for i := range noise.Bytes {
			if i < c.lo || i >= c.hi {
				noise.Bytes[i] ^= 0xff
			}
		}
	}
	q := new(Packet)
	q.Decode(&noise)
	if *p != *q {
		t.Fatalf("bytes outside the packet change\n%s\nto\n%s", text(p), text(q))
	}
	if c, ok := w.cursor(); ok && p.Has(FieldPayload) {
		if p.PayloadOff < c.lo || p.PayloadLen < 0 || p.PayloadOff+p.PayloadLen > c.hi || len(p.Payload(w)) != p.PayloadLen {
			t.Fatalf("payload %d+%d is outside %d..%d", p.PayloadOff, p.PayloadLen, c.lo, c.hi)
		}
	}
	if c, ok := w.cursor(); p.Has(FieldFrame) && (!ok || p.FrameOff < c.lo || p.FrameLen <= 0 || p.FrameOff+p.FrameLen > c.hi || int(p.FrameSize) < p.FrameLen) {
		t.Fatalf("frame %d+%d of %d is outside %d..%d", p.FrameOff, p.FrameLen, p.FrameSize, c.lo, c.hi)
	}
	return p
}

// checkPrefixes decodes every prefix of the window: a field may be absent, but
// must not be another one.
func checkPrefixes(t testing.TB, w *Window) {
	t.Helper()
	var full, part Packet
	full.Decode(w)
	want := values(&full)
	cut := *w
	for n := range w.Bytes {
		// A slice of its own, so that a read beyond it panics.
		cut.Bytes = w.Bytes[:n:n]
		part.Decode(&cut)
		for f := range NumFields {
			if !part.Has(f) {
				continue
			}
			got := value(&part, f)
			if f == FieldVLAN && full.Has(f) && part.NVLAN <= full.NVLAN && part.VLANs[0] == full.VLANs[0] {
				continue // each tag is seen or not
			}
			if got != want[f] {
				t.Fatalf("%d of %d bytes: %s is %q, in the whole window %q", n, len(w.Bytes), f, got, want[f])
			}
		}
	}
}
