package packet

import (
	"maps"
	"testing"
)

// FuzzDecode feeds windows of any content and position: Decode must not panic,
// must not let bytes outside the packet count (decode checks it), and a shorter
// window must not show other fields.
func FuzzDecode(f *testing.F) {
	for _, fc := range append(frames(f), tunnelFrames(f)...) {
		for _, s := range []*skb{
			received(fc.frame, 14, uint16(fc.frame[12])<<8|uint16(fc.frame[13])),
			received(fc.frame, 14, 0),
			{mem: newSKB(fc.frame).mem, head: 256, data: headroom, mac: NotSet, net: headroom + 14, tra: headroom + 34, len: 90, protocol: 0x0800},
			newSKB(fc.frame).pull(20),
		} {
			w := s.window(-64, 160)
			f.Add(w.Bytes, int16(w.Start), uint16(w.Data-w.Head), uint16(w.Network), uint16(w.Transport), uint16(w.Mac), w.Len, w.DataLen, w.Protocol)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, start int16, data, network, transport, mac uint16, length, dataLen uint32, protocol uint16) {
		w := &Window{
			Head: base, Data: base + uint64(data), Network: uint32(network), Transport: uint32(transport), Mac: uint32(mac),
			Len: length, DataLen: dataLen, Protocol: protocol, Start: int64(start), Bytes: b[:min(len(b), 512)],
		}
		p := decode(t, w)
		if text(p) == "?" {
			t.Error("no text")
		}
		checkPrefixes(t, w)
	})
}

// FuzzReference compares with gopacket what gopacket takes for a whole frame.
func FuzzReference(f *testing.F) {
	for _, fc := range append(frames(f), tunnelFrames(f)...) {
		f.Add(fc.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 512 {
			return
		}
		frame = append(make([]byte, 0, len(frame)), frame...)
		if want, ok := reference(frame[:len(frame):len(frame)]); ok {
			// A quote may be cut or broken anywhere: TestQuoteCut. So may what is
			// in a tunnel.
			maps.DeleteFunc(want, func(f Field, _ string) bool { return isWithin(f) })
			compareReceived(t, frame, want, true)
		}
	})
}

// isWithin tells the fields of a packet that another one carries.
func isWithin(f Field) bool { return f >= FieldQuotedSaddr && f <= FieldInnerFlags }
