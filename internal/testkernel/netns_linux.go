package testkernel

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace that lives as long as its test.
type Namespace struct {
	Dev   string     // the interface to the other namespace of a pair
	Addr4 netip.Addr // its addresses
	Addr6 netip.Addr

	t    testing.TB
	file *os.File
}

// NetNS moves the rest of the test into a new network namespace with lo up. A namespace belongs to a thread: what the test's own
// goroutine does, and the programs it starts, are in it; other goroutines and subtests are not, and enter it with Do.
func NetNS(t testing.TB) *Namespace {
	t.Helper()
	n := NewNetNS(t)
	leave, err := enter(n.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return n
}

// NetNSPair makes two namespaces and a veth pair between them, with the addresses 192.0.2.1, 192.0.2.2 and 2001:db8::1, 2001:db8::2, and
// enters neither: use Do.
func NetNSPair(t testing.TB) (a, b *Namespace) {
	t.Helper()
	Needs(t, Root, Program("ip"), Module("veth"))
	a, b = NewNetNS(t), NewNetNS(t)
	a.Do(func() {
		ip(t, "link add veth0 type veth peer name veth1")
		ip(t, "link set veth1 netns "+b.Path())
	})
	for i, n := range []*Namespace{a, b} {
		n.Dev = fmt.Sprintf("veth%d", i)
		n.Addr4 = netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		n.Addr6 = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1))
		n.Do(func() {
			ip(t, "addr add "+n.Addr4.String()+"/24 dev "+n.Dev)
			ip(t, "addr add "+n.Addr6.String()+"/64 dev "+n.Dev+" nodad")
			ip(t, "link set "+n.Dev+" up")
		})
	}
	return a, b
}

// Do calls f in the namespace. Programs that f starts are in it too, and so are sockets that it opens, for as long as they live.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	leave, err := enter(n.file)
	if err != nil {
		n.t.Fatal(err)
	}
	defer leave()
	f()
}

// Path is a file that stands for the namespace, for nsenter --net=PATH and ip link set DEV netns PATH.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Inode is the number by which the kernel names the namespace: lsns and skprobe's netns field show it.
func (n *Namespace) Inode() uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(n.file.Fd()), &st); err != nil {
		n.t.Fatal(err)
	}
	return st.Ino
}

// NewNetNS makes a network namespace with lo up, and does not enter it: use Do.
func NewNetNS(t testing.TB) *Namespace {
	t.Helper()
	Needs(t, Root)
	made := make(chan *os.File)
	fail := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this goroutine and is not used for anything else.
		runtime.LockOSThread()
		f, err := unshareNet()
		if err != nil {
			fail <- err
			return
		}
		made <- f
	}()
	n := &Namespace{t: t}
	select {
	case n.file = <-made:
	case err := <-fail:
		t.Fatal(err)
	}
	t.Cleanup(func() { n.file.Close() })
	return n
}

func unshareNet() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("new network namespace: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return nil, err
	}
	return os.Open("/proc/thread-self/ns/net")
}

// enter moves the calling goroutine's thread into a namespace and keeps it there until leave is called.
func enter(ns *os.File) (leave func(), err error) {
	runtime.LockOSThread()
	old, err := os.Open("/proc/thread-self/ns/net")
	if err == nil {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			old.Close()
		}
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter a network namespace: %w", err)
	}
	return func() {
		defer old.Close()
		if err := unix.Setns(int(old.Fd()), unix.CLONE_NEWNET); err != nil {
			return // still locked: the thread ends with the goroutine rather than serve others in the wrong namespace
		}
		runtime.UnlockOSThread()
	}, nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}
