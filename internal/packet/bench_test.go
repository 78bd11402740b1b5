package packet

import (
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func benchFrame(b testing.TB, name string) []byte {
	for _, fc := range frames(b) {
		if fc.name == name {
			return fc.frame
		}
	}
	b.Fatal("no frame ", name)
	return nil
}

var benchFrames = []string{"udp4", "tcp4-syn", "tcp6-data", "udp6-extensions", "udp6-qinq", "icmp-port", "arp"}

func BenchmarkDecode(b *testing.B) {
	for _, name := range benchFrames {
		b.Run(name, func(b *testing.B) {
			frame := benchFrame(b, name)
			w := received(frame, 14, uint16(frame[12])<<8|uint16(frame[13])).window(-64, 160)
			var p Packet
			b.ReportAllocs()
			for b.Loop() {
				p.Decode(w)
			}
		})
	}
}

// BenchmarkGopacket is what the layers of gopacket cost for the same frames,
// decoded into layers that are made beforehand; without the positions, and
// without addresses as netip.Addr.
func BenchmarkGopacket(b *testing.B) {
	for _, name := range benchFrames {
		b.Run(name, func(b *testing.B) {
			frame := benchFrame(b, name)
			var (
				eth   layers.Ethernet
				vlan  layers.Dot1Q
				arp   layers.ARP
				ip4   layers.IPv4
				ip6   layers.IPv6
				ext   layers.IPv6ExtensionSkipper
				tcp   layers.TCP
				udp   layers.UDP
				icmp4 layers.ICMPv4
				icmp6 layers.ICMPv6
			)
			parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &vlan, &arp, &ip4, &ip6, &ext, &tcp, &udp, &icmp4, &icmp6)
			parser.IgnoreUnsupported = true
			decoded := make([]gopacket.LayerType, 0, 10)
			b.ReportAllocs()
			for b.Loop() {
				if err := parser.DecodeLayers(frame, &decoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestDecodeAllocates(t *testing.T) {
	for _, fc := range frames(t) {
		w := received(fc.frame, 14, uint16(fc.frame[12])<<8|uint16(fc.frame[13])).window(-64, 160)
		var p Packet
		if n := testing.AllocsPerRun(50, func() { p.Decode(w) }); n != 0 {
			t.Errorf("%s: %v allocations", fc.name, n)
		}
	}
}
