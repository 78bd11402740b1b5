package calibrate

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxDevices is how many devices are looked at.
const maxDevices = 8

// devices asks for the flags of the first devices of this namespace, which
// changes nothing: their names and indexes are known.
func (t *traffic) devices() {
	s := t.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	for index, n := 1, 0; index < 64 && n < maxDevices; index++ {
		name, err := deviceName(s.fd, index)
		if err != nil {
			continue
		}
		n++
		t.device(s.fd, name, index)
	}
}

func (t *traffic) device(fd int, name string, index int) {
	r, err := unix.NewIfreq(name)
	t.must("name of a device", err)
	s := t.step(fd, &Step{What: "flags of " + name, Dev: map[string][]byte{
		"dev.name": append([]byte(name), 0), "dev.ifindex": le32(index)}})
	t.must("SIOCGIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r))
	s.Lo = t.own && r.Uint16()&unix.IFF_LOOPBACK != 0
}

// ifreqIndex is struct ifreq with an index in its union.
type ifreqIndex struct {
	name  [unix.IFNAMSIZ]byte
	index int32
	_     [20]byte
}

func deviceName(fd, index int) (string, error) {
	r := ifreqIndex{index: int32(index)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFNAME, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return "", errno
	}
	return unix.ByteSliceToString(r.name[:]), nil
}

// rename gives lo a name that nothing else has. It must be down.
func (t *traffic) rename(fd int) string {
	name := fmt.Sprintf("lo%x", rand.Uint64N(1<<40))
	r := struct {
		old, new [unix.IFNAMSIZ]byte
		_        [8]byte
	}{}
	copy(r.old[:], "lo")
	copy(r.new[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFNAME, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return "lo"
	}
	return name
}

func up(fd int, name string, on bool) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if on {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// addAddress gives device 1 an address of IPv6. Lo looks for no duplicates.
func addAddress(a netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r := struct { // struct in6_ifreq, include/uapi/linux/ipv6.h
		addr   [16]byte
		prefix uint32
		index  int32
	}{a.As16(), 128, 1}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return os.NewSyscallError("SIOCSIFADDR", errno)
	}
	return nil
}

// kinds are sorts of devices that can be made without hardware. What is not
// there already would be loaded by the kernel, which is not ours to do.
var kinds = []string{"dummy", "veth", "ifb", "bridge"}

// newDevice makes a device with an index of our choice in this namespace, of a
// kind that is there. It vanishes with the namespace.
func newDevice() (name string, index int, err error) {
	for _, kind := range kinds {
		if _, err := os.Stat("/sys/module/" + kind); err != nil {
			continue
		}
		name, index := fmt.Sprintf("sk%x", rand.Uint64N(1<<40)), 1000+rand.N(1<<28)
		if err := newLink(kind, name, index); err == nil {
			return name, index, nil
		}
	}
	return "", 0, unix.ENODEV
}

// newLink is RTM_NEWLINK of rtnetlink(7).
func newLink(kind, name string, index int) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	le := binary.LittleEndian
	attr := func(typ uint16, value []byte) []byte {
		b := le.AppendUint16(le.AppendUint16(nil, uint16(4+len(value))), typ)
		b = append(b, value...)
		return append(b, make([]byte, -len(b)&3)...)
	}
	info := make([]byte, unix.SizeofIfInfomsg)
	le.PutUint32(info[4:], uint32(index))
	body := append(info, attr(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	body = append(body, attr(unix.IFLA_LINKINFO, attr(unix.IFLA_INFO_KIND, []byte(kind)))...)
	msg := le.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	msg = le.AppendUint16(msg, unix.RTM_NEWLINK)
	msg = le.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	msg = append(le.AppendUint64(msg, 1), body...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return unix.EPROTO
	}
	if errno := -int32(le.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
