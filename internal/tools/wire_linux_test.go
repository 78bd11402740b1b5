package tools_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A wire is what leaves by the devices of a network namespace, as the kernel
// gives it to packet sockets: the truth about packets.
type wire struct {
	t  testing.TB
	fd int
}

// A segment is a TCP segment that was seen on a wire.
type segment struct {
	src, dst netip.AddrPort
	flags    byte
	seq, ack uint32
	win      uint16
	payload  int
}

// The flags of a segment.
const (
	fin, syn, rst, ack = 1, 2, 4, 16
)

// listenWire looks at the namespace of the calling thread from now on.
func listenWire(t testing.TB) *wire {
	t.Helper()
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all&0xffff)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		t.Fatal(err)
	}
	return &wire{t, fd}
}

// segments are the TCP segments since the last call.
func (w *wire) segments() []segment {
	w.t.Helper()
	var list []segment
	b := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(w.fd, b, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return list
		case err != nil:
			w.t.Fatal(err)
		}
		if ll := from.(*unix.SockaddrLinklayer); ll.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		if s, ok := parseSegment(b[:n]); ok {
			list = append(list, s)
		}
	}
}

// parseSegment reads an IPv4 or IPv6 packet with TCP in it.
func parseSegment(b []byte) (s segment, ok bool) {
	var src, dst netip.Addr
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_TCP:
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		b = b[int(b[0]&15)*4 : binary.BigEndian.Uint16(b[2:])]
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_TCP:
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40 : 40+int(binary.BigEndian.Uint16(b[4:]))]
	default:
		return s, false
	}
	s.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	s.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	s.seq, s.ack, s.flags = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), b[13]&0x3f
	s.win = binary.BigEndian.Uint16(b[14:])
	s.payload = len(b) - int(b[12]>>4)*4
	return s, true
}
