package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Devices asks the kernel what network devices count, in any network namespace
// that a thread is in or that has a name (ip netns, docker). The zero value is ready to
// use; it is not for several goroutines.
type Devices struct {
	spaces map[uint64]*space
	answer []byte
}

// A space is a network namespace.
type space struct {
	fd     int // a netlink socket in it, -1: it was not found
	looked time.Time
}

// LinkCounters are those of a device that count packets that it lost.
type LinkCounters struct{ RxDropped, TxDropped, RxNoHandler uint64 }

// lookAgain is after what time a namespace that was not found is looked for
// again: all processes are.
const lookAgain = time.Second

// maxSpaces is how many namespaces are kept open.
const maxSpaces = 256

// Counters returns the counters of a device by the inode number of its namespace
// and its number there.
func (d *Devices) Counters(netns uint64, ifindex uint32) (LinkCounters, error) {
	s := d.spaces[netns]
	if s == nil || s.fd < 0 && time.Since(s.looked) > lookAgain {
		if len(d.spaces) >= maxSpaces {
			d.Close()
		}
		if d.spaces == nil {
			d.spaces = map[uint64]*space{}
		}
		s = &space{fd: -1, looked: time.Now()}
		if path, ok := findNetNS(netns); ok {
			if fd, err := netlinkIn(path); err == nil {
				s.fd = fd
			}
		}
		d.spaces[netns] = s
	}
	if s.fd < 0 {
		return LinkCounters{}, fmt.Errorf("network namespace %d: %w", netns, os.ErrNotExist)
	}
	if d.answer == nil {
		d.answer = make([]byte, 1<<15)
	}
	return linkCounters(s.fd, ifindex, d.answer)
}

// Close closes what was opened. The Devices can be used again.
func (d *Devices) Close() {
	for _, s := range d.spaces {
		if s.fd >= 0 {
			unix.Close(s.fd)
		}
	}
	d.spaces = nil
}

// findNetNS finds a file that stands for a namespace: our own first.
func findNetNS(inode uint64) (string, bool) {
	var found string
	is := func(path string) bool {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Ino == inode {
			found = path
		}
		return found != ""
	}
	if is("/proc/thread-self/ns/net") || is("/proc/self/ns/net") {
		return found, true
	}
	for _, pattern := range []string{"/run/netns/*", "/run/docker/netns/*", "/proc/[0-9]*/ns/net", "/proc/[0-9]*/task/[0-9]*/ns/net"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			if is(p) {
				return found, true
			}
		}
	}
	return "", false
}

// netlinkIn opens a netlink socket in a namespace. A thread goes there, and ends:
// nothing else must run in it.
func netlinkIn(path string) (int, error) {
	ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ns)
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			done <- result{-1, err}
			return
		}
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		done <- result{fd, err}
	}()
	r := <-done
	if r.err != nil {
		return -1, r.err
	}
	tv := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(r.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		unix.Close(r.fd)
		return -1, err
	}
	return r.fd, nil
}

var errNoCounters = errors.New("the kernel's answer has no counters of the device")

// linkCounters asks for a device (RTM_GETLINK, rtnetlink(7)).
func linkCounters(fd int, ifindex uint32, answer []byte) (LinkCounters, error) {
	const size = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
	var request [size]byte
	binary.NativeEndian.PutUint32(request[0:], size)
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+4:], ifindex)
	if err := unix.Sendto(fd, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return LinkCounters{}, err
	}
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return LinkCounters{}, err
	}
	return parseLink(answer[:n], ifindex)
}

// parseLink reads a message about a device.
func parseLink(b []byte, ifindex uint32) (LinkCounters, error) {
	const header = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
	if len(b) < header || binary.NativeEndian.Uint16(b[4:]) != unix.RTM_NEWLINK || binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr+4:]) != ifindex {
		return LinkCounters{}, errNoCounters
	}
	for b = b[header:]; len(b) >= unix.SizeofRtAttr; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		if kind := binary.NativeEndian.Uint16(b[2:]); kind == unix.IFLA_STATS64 {
			// struct rtnl_link_stats64: numbers 6, 7 and, since 4.6, 23.
			stats := b[unix.SizeofRtAttr:n]
			at := func(i int) uint64 {
				if 8*i+8 > len(stats) {
					return 0
				}
				return binary.NativeEndian.Uint64(stats[8*i:])
			}
			return LinkCounters{RxDropped: at(6), TxDropped: at(7), RxNoHandler: at(23)}, nil
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return LinkCounters{}, errNoCounters
}
