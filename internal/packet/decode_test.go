package packet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

const wireLoopback = "00:00:00:00:00:00"

// TestPositions decodes one datagram at the places of the kernel where a probe
// meets it: what is seen must be the same wherever the bytes are in the window.
func TestPositions(t *testing.T) {
	payload := gopacket.Payload("some payload, 24 bytes  ")
	v4 := build(t, eth(type4), ip4(layers.IPProtocolUDP), testUDP, payload)
	v6 := build(t, eth(type6), ip6(layers.IPProtocolUDP), testUDP, payload)
	tagged := build(t, eth(layers.EthernetTypeDot1Q), tag(42, type4), ip4(layers.IPProtocolUDP), testUDP, payload)
	const (
		none = 1 << iota
		mac
		vlan
		network
		etherType
		unsetLen // total length is not trusted
	)
	all := mac | network | etherType
	off := func(n int) uint32 { return uint32(headroom + n) }
	tests := []struct {
		name  string
		frame []byte
		skb   func(s *skb)
		want  int
	}{
		{"ip_rcv", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.tra, s.protocol = off(0), off(14), off(14), 0x0800 }, all},
		{"ipv6_rcv", v6, func(s *skb) { s.pull(14); s.mac, s.net, s.tra, s.protocol = off(0), off(14), off(14), 0x86dd }, all},
		{"16-bit not set", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.tra, s.protocol = 0xffff, off(14), 0xffff, 0x0800 }, network | etherType},
		{"napi_gro_receive: no network_header yet", v4, func(s *skb) { s.pull(14); s.mac, s.protocol = off(0), 0x0800 }, all},
		{"netif_rx before eth_type_trans", v4, func(s *skb) { s.mac = off(0) }, none},
		{"no network_header, data elsewhere", v4, func(s *skb) { s.pull(30); s.mac, s.protocol = off(0), 0x0800 }, etherType},
		{"netif_receive_skb with tag", tagged, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = off(0), off(14), 0x8100 }, all | vlan},
		{"behind the tag, bridge netfilter", tagged, func(s *skb) { s.pull(18); s.mac, s.net, s.protocol = off(0), off(18), 0x0800 }, all | vlan},
		{"tagged, no link header, at the tag", tagged, func(s *skb) { s.pull(14); s.net, s.protocol = off(14), 0x8100 }, none},
		{"skb_consume_udp", v4, func(s *skb) { s.pull(42); s.mac, s.net, s.tra, s.protocol = off(0), off(14), off(34), 0x0800 }, all},
		{"skb_consume_udp 6", v6, func(s *skb) { s.pull(62); s.mac, s.net, s.tra, s.protocol = off(0), off(14), off(54), 0x86dd }, all},
		{"dev_queue_xmit", v4, func(s *skb) { s.net, s.tra, s.protocol = off(14), off(34), 0x0800 }, all},
		{"dev_queue_xmit 6", v6, func(s *skb) { s.net, s.tra, s.protocol = off(14), off(54), 0x86dd }, all},
		{"dev_queue_xmit, mac_header of the received frame", v4, func(s *skb) { s.mac, s.net, s.protocol = off(6), off(14), 0x0800 }, all},
		{"dev_queue_xmit with tag, mac_header 4 bytes off", tagged, func(s *skb) { s.mac, s.net, s.protocol = off(4), off(18), 0x8100 }, all | vlan},
		{"dev_hard_start_xmit", v4, func(s *skb) { s.mac, s.net, s.tra, s.protocol = off(0), off(14), off(34), 0x0800 }, all},
		{"dev_hard_start_xmit with tag", tagged, func(s *skb) { s.mac, s.net, s.protocol = off(0), off(18), 0x8100 }, all | vlan},
		{"ip_output", v4, func(s *skb) { s.pull(14); s.net, s.tra, s.protocol = off(14), off(34), 0x0800 }, network | etherType},
		{"ip_output, mac_header == network_header", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = off(14), off(14), 0x0800 }, network | etherType},
		{"mac_header behind network_header", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = off(40), off(14), 0x0800 }, network | etherType},
		{"mac_header far below", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = 60, off(14), 0x0800 }, network | etherType},
		{"mac_header 0", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = 0, off(14), 0x0800 }, network | etherType},
		{"mac_header beyond memory", v4, func(s *skb) { s.pull(14); s.mac, s.net, s.protocol = 0xfff0, off(14), 0x0800 }, network | etherType},
		{"ip_local_out: no protocol", v4, func(s *skb) { s.pull(14); s.net, s.tra = off(14), off(34) }, network},
		{"ip6_local_out: no protocol", v6, func(s *skb) { s.pull(14); s.net, s.tra = off(14), off(54) }, network},
		{"no protocol, no transport_header", v4, func(s *skb) { s.pull(14); s.net = off(14) }, network},
		{"no protocol, length not written", v4, func(s *skb) {
			s.pull(14)
			s.net, s.tra = off(14), off(34)
			copy(s.mem[s.head+headroom+16:], []byte{0x00, 0x17})
		}, network | unsetLen},
		{"no protocol, length not written, no transport_header", v4, func(s *skb) {
			s.pull(14)
			s.net = off(14)
			copy(s.mem[s.head+headroom+16:], []byte{0x00, 0x17})
		}, none},
		{"no protocol, bytes of something else", v4, func(s *skb) { s.pull(14); s.net, s.tra = off(20), off(40) }, none},
		{"packet socket: no protocol", v4, func(s *skb) { s.mac, s.net = off(0), off(14) }, all},
		{"packet socket: ETH_P_ALL", v4, func(s *skb) { s.mac, s.net, s.protocol = off(0), off(14), 3 }, all},
		{"packet socket: ETH_P_ALL, no link header", v4, func(s *skb) { s.net, s.protocol = off(14), 3 }, none},
		{"network_header not set", v4, func(s *skb) { s.pull(14); s.protocol = 0x0800 }, etherType},
		{"network_header 16-bit not set", v4, func(s *skb) { s.pull(14); s.net, s.protocol = 0xffff, 0x0800 }, etherType},
		{"network_header 32-bit not set", v4, func(s *skb) { s.pull(14); s.net, s.protocol = NotSet, 0x0800 }, etherType},
		{"network_header behind the packet", v4, func(s *skb) { s.pull(14); s.net, s.protocol = off(900), 0x0800 }, etherType},
		{"network_header elsewhere", v4, func(s *skb) { s.pull(14); s.net, s.protocol = off(20), 0x0800 }, etherType},
		{"all in fragments", v4, func(s *skb) { s.dataLen = s.len; s.mac, s.net, s.protocol = off(0), off(14), 0x0800 }, etherType},
		{"data_len is nonsense", v4, func(s *skb) { s.dataLen = s.len + 1; s.net, s.protocol = off(14), 0x0800 }, etherType},
		{"another version than protocol says", v4, func(s *skb) { s.pull(14); s.net, s.protocol = off(14), 0x86dd }, etherType},
	}
	// What a packet in the middle of the path shows, by group of fields.
	groups := map[Field]int{FieldDmac: mac, FieldSmac: mac, FieldVLAN: vlan, FieldEtherType: etherType}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reference, ok := reference(tt.frame)
			if !ok {
				t.Fatal("gopacket refuses the frame")
			}
			s := newSKB(tt.frame)
			tt.skb(s)
			want := make(map[Field]string)
			for f, v := range reference {
				group, ok := groups[f]
				if !ok {
					group = network
				}
				if tt.want&group != 0 && f != FieldPayload {
					want[f] = v
				}
			}
			if tt.want&unsetLen != 0 {
				delete(want, FieldTotalLen)
			}
			if s.protocol == 0x86dd && &tt.frame[0] == &v4[0] {
				want[FieldEtherType] = "0x86dd"
			}
			w := s.window(-96, 256)
			p := decode(t, w)
			got := values(p)
			if tt.want&network != 0 {
				if payload := string(p.Payload(w)); payload != "some payload, 24 bytes  " {
					t.Errorf("payload is %q", payload)
				}
			}
			delete(got, FieldPayload)
			delete(got, FieldFrame)
			if tt.want&unsetLen == 0 { // the bytes are others there
				checkFrame(t, p, w, tt.frame, tt.want&mac != 0, tt.want&network != 0)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
			checkPrefixes(t, w)
			checkPrefixes(t, s.window(-64, 160))
			checkPrefixes(t, s.window(0, 40))
		})
	}
}

// TestDroppedFrame is the frame of scripts.md B3, as kfree_skb and
// __netif_receive_skb_core see it: 46 zero bytes of an unknown type on lo.
func TestDroppedFrame(t *testing.T) {
	frame := make([]byte, 60)
	copy(frame, []byte{0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x5e, 0x00, 0x53, 0x00, 0x43, 0x21})
	w := received(frame, 14, 0x4321).window(-64, 160)
	p := decode(t, w)
	want := map[Field]string{
		FieldDmac: wireLoopback, FieldSmac: "00:00:5e:00:53:00", FieldEtherType: "0x4321",
		FieldPayload: "64", FieldPayloadSize: "46", FieldFrame: "50 60 true",
	}
	if diff := cmp.Diff(want, values(p)); diff != "" {
		t.Error(diff)
	}
	if p.PayloadLen != 46 {
		t.Errorf("payload has %d bytes", p.PayloadLen)
	}
	checkPrefixes(t, w)
}

// TestCutBefore cuts the window at its beginning: what lies before it is
// absent, what lies in it is not.
func TestCutBefore(t *testing.T) {
	frame := build(t, eth(type4), ip4(layers.IPProtocolTCP), syn(), gopacket.Payload("data"))
	s := received(frame, 14, 0x0800)
	full := values(decode(t, s.window(-64, 200)))
	delete(full, FieldPayload)
	delete(full, FieldFrame)
	for start := -64; start < len(frame); start++ {
		got := values(decode(t, s.window(start, 200)))
		delete(got, FieldPayload)
		delete(got, FieldFrame)
		for f, v := range got {
			if full[f] != v {
				t.Errorf("window from %d: %s is %q, not %q", start, f, v, full[f])
			}
		}
		if _, ok := got[FieldSmac]; ok != (start <= -8) {
			t.Errorf("window from %d: smac seen %v", start, ok)
		}
		if _, ok := got[FieldDmac]; ok != (start <= -14) {
			t.Errorf("window from %d: dmac seen %v", start, ok)
		}
		if _, ok := got[FieldDport]; ok != (start <= 0) {
			t.Errorf("window from %d: dport seen %v", start, ok)
		}
	}
}

// TestCutAfter states where each field appears when the window grows.
func TestCutAfter(t *testing.T) {
	frame := build(t, eth(type4), ip4(layers.IPProtocolTCP), syn())
	s := received(frame, 14, 0x0800)
	ends := map[Field]int{
		FieldSmac: 0, FieldDmac: 0, FieldIPVersion: 1, FieldTOS: 2, FieldTotalLen: 4, FieldIPID: 6, FieldFragment: 8,
		FieldTTL: 9, FieldProto: 10, FieldSaddr: 16, FieldDaddr: 20,
		FieldSport: 22, FieldDport: 24, FieldSeq: 28, FieldAck: 32, FieldFlags: 34, FieldDataOff: 34, FieldWin: 36,
		FieldMSS: 45, // a NOP comes first
	}
	for n := range 60 {
		p := decode(t, s.window(-64, 64+n))
		for f, end := range ends {
			if p.Has(f) != (n >= end) {
				t.Errorf("%d bytes from the IP header on: %s seen %v", n, f, p.Has(f))
			}
		}
	}
}

// TestNoPointers is a record whose pointers could not be fetched.
func TestNoPointers(t *testing.T) {
	frame := build(t, eth(type4), ip4(layers.IPProtocolUDP), testUDP)
	good := *received(frame, 14, 0x0800).window(-64, 160)
	for name, change := range map[string]func(w *Window){
		"head 0":          func(w *Window) { w.Head = 0 },
		"data 0":          func(w *Window) { w.Data = 0 },
		"both 0":          func(w *Window) { w.Head, w.Data = 0, 0 },
		"data below head": func(w *Window) { w.Data = w.Head - 1 },
		"far apart":       func(w *Window) { w.Head = 1 },
		"start":           func(w *Window) { w.Start = -1 << 63 },
		"start up":        func(w *Window) { w.Start = 1<<63 - 1 },
		"len":             func(w *Window) { w.Len = ^uint32(0) },
		"no bytes":        func(w *Window) { w.Bytes = nil },
	} {
		w := good
		change(&w)
		if got := text(decode(t, &w)); got != "ethertype 0x0800\n" {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
	if got := text(decode(t, &Window{})); got != "" {
		t.Errorf("zero window: %s", got)
	}
}

// TestReuse decodes a short packet into a Packet that held a long one.
func TestReuse(t *testing.T) {
	var p, fresh Packet
	p.Decode(received(build(t, eth(type4), ip4(layers.IPProtocolTCP), syn()), 14, 0x0800).window(-64, 160))
	w := received(make([]byte, 20), 14, 0x4321).window(0, 2)
	p.Decode(w)
	fresh.Decode(w)
	if p != fresh {
		t.Errorf("left over: %+v", p)
	}
}

// ipWindow is an IPv4 or IPv6 packet alone, on its way out.
func ipWindow(b []byte, protocol uint16) *Window {
	s := newSKB(b)
	s.net, s.protocol = headroom, protocol
	return s.window(-64, 64+len(b)+8)
}

// TestOddIP are headers that gopacket refuses, or reads in another way.
func TestOddIP(t *testing.T) {
	raw := gopacket.Payload(strings.Repeat("\x00", 12))
	base4 := build(t, ip4(layers.IPProtocolUDP), testUDP, raw)
	base6 := build(t, ip6(layers.IPProtocolUDP), testUDP, raw)
	patch := func(b []byte, at int, v ...byte) []byte {
		b = append([]byte(nil), b...)
		copy(b[at:], v)
		return b
	}
	tests := []struct {
		name     string
		b        []byte
		protocol uint16
		want     map[Field]string // "" means absent
	}{
		{"ihl below 5", patch(base4, 0, 0x44), 0x0800, map[Field]string{FieldEtherType: "0x0800", FieldSaddr: "", FieldProto: "", FieldPayload: ""}},
		{"length below header", patch(base4, 2, 0, 19), 0x0800, map[Field]string{FieldTotalLen: "19", FieldDaddr: "198.51.100.200", FieldSport: ""}},
		{"length beyond packet", patch(base4, 2, 0xff, 0xff), 0x0800, map[Field]string{FieldTotalLen: "65535", FieldSport: "5353", FieldPayloadSize: "12"}},
		{"length 0, BIG TCP", patch(base4, 2, 0, 0), 0x0800, map[Field]string{FieldTotalLen: "", FieldSport: "5353", FieldPayloadSize: "12"}},
		{"length ends in the ports", patch(base4, 2, 0, 22), 0x0800, map[Field]string{FieldSport: "5353", FieldDport: ""}},
		{"payload length 0", patch(base6, 4, 0, 0), 0x86dd, map[Field]string{FieldTotalLen: "", FieldDport: "53", FieldPayloadSize: "12"}},
		{"payload length too long", patch(base6, 4, 0xff, 0), 0x86dd, map[Field]string{FieldTotalLen: "65320", FieldDport: "53"}},
		{"udp length short", patch(base4, 24, 0, 3), 0x0800, map[Field]string{FieldUDPLen: "3", FieldPayloadSize: "12"}},
		{"udp length smaller than ip's", patch(base4, 24, 0, 10), 0x0800, map[Field]string{FieldUDPLen: "10", FieldPayloadSize: "2"}},
		{"udplite", patch(base4, 9, 136), 0x0800, map[Field]string{FieldProto: "udplite", FieldSport: "5353", FieldUDPLen: "", FieldPayloadSize: "12"}},
		{"dccp", patch(patch(base4, 9, 33), 24, 3), 0x0800, map[Field]string{FieldProto: "dccp", FieldDport: "53", FieldPayloadSize: "8"}},
		{"dccp bad offset", patch(patch(base4, 9, 33), 24, 2), 0x0800, map[Field]string{FieldDport: "53", FieldPayloadSize: ""}},
		{"tcp offset below 5", patch(patch(base4, 9, 6), 32, 0x40), 0x0800, map[Field]string{FieldDataOff: "16", FieldFlags: "", FieldPayload: ""}},
		{"tcp offset beyond packet", patch(patch(base4, 9, 6), 32, 0xf0, 0x02), 0x0800, map[Field]string{FieldDataOff: "60", FieldFlags: "SYN", FieldMSS: "", FieldPayload: ""}},
		{"chain without end", patch(patch(base6, 6, 60), 40, 60), 0x86dd, map[Field]string{FieldProto: "", FieldSport: "", FieldDaddr: "2001:db8:ffff:1:2:3:4:5"}},
		{"fragment of a fragment", patch(patch(base6, 6, 44), 40, 44, 0, 0, 1, 0, 0, 0, 7, 17, 0, 0x30, 0), 0x86dd, map[Field]string{FieldFragment: "0 true false", FieldIPID: "7", FieldProto: "", FieldPayload: ""}},
		{"reserved flag", patch(base4, 6, 0x80, 0), 0x0800, map[Field]string{FieldFragment: "0 false false", FieldSport: "5353"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ipWindow(tt.b, tt.protocol)
			got := values(decode(t, w))
			for f, v := range tt.want {
				if f == FieldFlags && v == "" {
					continue // no flags were set
				}
				if got[f] != v {
					t.Errorf("%s is %q, want %q", f, got[f], v)
				}
			}
			checkPrefixes(t, w)
		})
	}
}

// TestTCPOptions are lists that are broken or cut.
func TestTCPOptions(t *testing.T) {
	for _, tt := range []struct {
		options string
		mss     uint16
	}{
		{"", 0},
		{"\x02\x04\x05\xb4", 1460},
		{"\x01\x01\x02\x04\x05\xb4", 1460},
		{"\x04\x02\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x02\x04\x02\x18", 536},
		{"\x02\x04\x05", 0},
		{"\x02\x03\x05\xb4", 0},
		{"\x00\x02\x04\x05\xb4", 0},
		{"\x09\x00\x02\x04\x05\xb4", 0},
		{"\x09\x01\x02\x04\x05\xb4", 0},
		{"\x09", 0},
		{"\x09\xff\x02\x04\x05\xb4", 0},
	} {
		var p Packet
		p.tcpOptions([]byte(tt.options))
		if p.MSS != tt.mss || p.Has(FieldMSS) != (tt.mss != 0) {
			t.Errorf("%x: mss %d, seen %v", tt.options, p.MSS, p.Has(FieldMSS))
		}
	}
}

// Test8023 are frames with a length instead of a type: their protocol is the
// kernel's own.
func Test8023(t *testing.T) {
	frame := append([]byte{1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 38, 0x42, 0x42, 3}, make([]byte, 43)...)
	for _, protocol := range []uint16{ether8022, ether8023} {
		p := decode(t, received(frame, 14, protocol).window(-64, 160))
		if !p.Has(FieldSmac) || p.EtherType != protocol || p.Dmac != MAC(frame) {
			t.Errorf("protocol %d:\n%s", protocol, text(p))
		}
	}
	if p := decode(t, received(frame, 14, 0).window(-64, 160)); p.Seen() != 0 {
		t.Errorf("protocol 0:\n%s", text(p))
	}
}

// TestQuoteCut is an ICMP error that quotes the 8 bytes of RFC 792 only.
func TestQuoteCut(t *testing.T) {
	quote := build(t, ip4(layers.IPProtocolTCP), syn())[:28]
	icmp := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 1)}
	w := ipWindow(build(t, ip4(layers.IPProtocolICMPv4), icmp, gopacket.Payload(quote)), 0x0800)
	got := values(decode(t, w))
	for f, v := range map[Field]string{FieldQuotedProto: "tcp", FieldQuotedSaddr: "192.0.2.1", FieldQuotedDaddr: "198.51.100.200",
		FieldQuotedSport: "40001", FieldQuotedDport: "443", FieldSport: "", FieldIcmpType: "3", FieldIcmpCode: "1"} {
		if got[f] != v {
			t.Errorf("%s is %q, want %q", f, got[f], v)
		}
	}
	checkPrefixes(t, w)
}

// TestArpOther is an ARP packet with addresses of other lengths.
func TestArpOther(t *testing.T) {
	b := append([]byte{0, 32, 8, 0, 20, 4, 0, 1}, make([]byte, 48)...)
	if got := text(decode(t, ipWindow(b, etherARP))); got != "ethertype 0x0806\nar_op 1\n" {
		t.Errorf("got\n%s", got)
	}
}
