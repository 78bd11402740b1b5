package tools_test

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// A sender sends frames as they are out of a device of the calling thread's
// network namespace.
type sender struct {
	t       testing.TB
	fd      int
	ifindex int
	mac     net.HardwareAddr
}

// newSender opens a device.
func newSender(t testing.TB, dev string) *sender {
	t.Helper()
	i, err := net.InterfaceByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	mac := i.HardwareAddr
	if len(mac) == 0 {
		mac = make(net.HardwareAddr, 6) // lo
	}
	return &sender{t, fd, i.Index, mac}
}

func (w *sender) send(frame []byte) {
	w.t.Helper()
	if err := unix.Sendto(w.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.ifindex, Halen: 6}); err != nil {
		w.t.Fatal(err)
	}
}

// A frame is what a test sends: an Ethernet header, what follows it, and where
// in the frame something is then spoilt.
type frame struct {
	smac, dmac net.HardwareAddr
	ip         *layers.IPv4
	ip6        *layers.IPv6
	l4         gopacket.SerializableLayer
	payload    []byte
	vlan       uint16
	ethertype  layers.EthernetType // where there is no IP
	spoil      func(b []byte)      // of the IP packet
	// keep what is there of lengths and checksums
	keepLengths, keepChecksums bool
}

func (f frame) bytes(t testing.TB) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: f.smac, DstMAC: f.dmac, EthernetType: f.ethertype}
	var all []gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	next := f.ethertype
	switch {
	case f.ip != nil:
		f.ip.Version, f.ip.IHL = 4, max(5, f.ip.IHL)
		if f.ip.TTL == 0 {
			f.ip.TTL = 64
		}
		next, network = layers.EthernetTypeIPv4, f.ip
		all = append(all, f.ip)
	case f.ip6 != nil:
		f.ip6.Version = 6
		if f.ip6.HopLimit == 0 {
			f.ip6.HopLimit = 64
		}
		next, network = layers.EthernetTypeIPv6, f.ip6
		all = append(all, f.ip6)
	}
	switch l := f.l4.(type) {
	case *layers.UDP:
		l.SetNetworkLayerForChecksum(network)
	case *layers.TCP:
		l.SetNetworkLayerForChecksum(network)
	}
	if f.l4 != nil {
		all = append(all, f.l4)
	}
	all = append(all, gopacket.Payload(f.payload))
	b := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: !f.keepLengths, ComputeChecksums: !f.keepChecksums}
	if err := gopacket.SerializeLayers(b, options, all...); err != nil {
		t.Fatal(err)
	}
	packet := append([]byte(nil), b.Bytes()...)
	if f.spoil != nil {
		f.spoil(packet)
	}
	eth.EthernetType = next
	out := append(append([]byte(nil), f.dmac...), f.smac...)
	if f.vlan != 0 {
		out = binary.BigEndian.AppendUint16(out, 0x8100)
		out = binary.BigEndian.AppendUint16(out, f.vlan)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(next))
	return append(out, packet...)
}

// ip4 is an IPv4 header between two addresses.
func ip4(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{SrcIP: net.ParseIP(src).To4(), DstIP: net.ParseIP(dst).To4(), Protocol: proto}
}

func udp(sport, dport int) *layers.UDP {
	return &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
}
