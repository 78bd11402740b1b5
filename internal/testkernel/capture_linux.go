package testkernel

import (
	"encoding/binary"
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Captured is a frame that a packet socket has seen.
type Captured struct {
	Frame    []byte // as on the wire: the VLAN tag that the kernel keeps beside it is in its place
	Size     int    // of the frame, where Frame is cut
	Outgoing bool
	Ifindex  int
}

// A Capture is a packet socket: the truth about what passes a network namespace.
type Capture struct {
	t  testing.TB
	fd int
}

// captureBuffer holds what a test sends; the kernel says when it did not.
const captureBuffer = 256 << 20

// NewCapture begins to capture all frames of all interfaces of the calling thread's network namespace.
func NewCapture(t testing.TB) *Capture {
	t.Helper()
	Needs(t, Root)
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
	if err != nil {
		t.Fatal("packet socket: ", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1))
	if err != nil {
		t.Fatal("packet socket: ", err)
	}
	return &Capture{t, fd}
}

// Frames returns what was captured since the last call, in order.
func (c *Capture) Frames() []Captured {
	c.t.Helper()
	var all []Captured
	data, control := make([]byte, 1<<17), make([]byte, 256)
	for {
		n, nc, _, from, err := unix.Recvmsg(c.fd, data, control, unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			c.t.Fatal("packet socket: ", err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			c.t.Fatalf("packet socket: an address %T", from)
		}
		f := Captured{Frame: append([]byte(nil), data[:min(n, len(data))]...), Size: n, Outgoing: link.Pkttype == unix.PACKET_OUTGOING, Ifindex: link.Ifindex}
		if tag := auxTag(control[:nc]); tag != nil && len(f.Frame) >= 12 {
			f.Frame = append(append(append([]byte(nil), f.Frame[:12]...), tag...), f.Frame[12:]...)
			f.Size += len(tag)
		}
		all = append(all, f)
	}
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil || stats.Drops > 0 {
		c.t.Fatalf("packet socket: %v, %d frames were dropped", err, stats.Drops)
	}
	return all
}

// auxTag is the VLAN tag of a packet socket's control message, nil if there is none (include/uapi/linux/if_packet.h).
func auxTag(control []byte) []byte {
	const valid, protoValid = 1 << 4, 1 << 6
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			continue
		}
		aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
		if aux.Status&valid == 0 {
			return nil
		}
		tag := []byte{0x81, 0, byte(aux.Vlan_tci >> 8), byte(aux.Vlan_tci)}
		if aux.Status&protoValid != 0 {
			tag[0], tag[1] = byte(aux.Vlan_tpid>>8), byte(aux.Vlan_tpid)
		}
		return tag
	}
	return nil
}
