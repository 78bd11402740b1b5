package calibrate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/tracefs"
)

// Options are how this kernel is to be probed.
type Options struct {
	FS      *tracefs.FS
	Arch    fetchargs.Arch
	Dialect fetchargs.Dialect
	// Functions returns the names that some functions have here; nil: their
	// own. Tests have the names of old kernels with it.
	Functions func(names []string) []string
}

// rounds of traffic: each has new values, and two or three samples of most.
const rounds = 3

// Run calibrates: it defines probes, makes traffic in a network namespace of its
// own, and removes the probes. The error is for what prevents all of it; what
// is not found is in the result.
func Run(o Options) (_ *Result, err error) {
	var times Times
	start := time.Now()
	lap := func(d *time.Duration) { *d = time.Since(start); start = time.Now() }
	p, err := define(&o)
	if err != nil {
		return nil, err
	}
	lap(&times.Define)
	rec := &Recording{Arch: string(o.Arch), Names: p.names, Tag: 0x51000000 | rand.Uint32N(1<<11)<<12}
	notes, err := p.record(rec, func() { lap(&times.Open) })
	lap(&times.Traffic)
	// Removal waits for other processors, and solving does not.
	removed := make(chan error, 1)
	go func() { removed <- p.close() }()
	var result *Result
	if err == nil {
		result = Solve(rec)
		result.Notes = append(result.Notes, notes...)
		for _, a := range p.absent {
			result.Notes = append(result.Notes, "not probed: "+a)
		}
	}
	lap(&times.Solve)
	if cerr := <-removed; err == nil {
		err = cerr
	}
	lap(&times.Remove)
	if err != nil {
		return nil, err
	}
	result.Times, result.Recording = times, rec
	return result, nil
}

// record makes the traffic, on a thread that ends with it, and its namespace
// too.
func (p *probes) record(rec *Recording, opened func()) (notes []string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if err = p.read(unix.Gettid()); err != nil {
			return
		}
		opened()
		t := &traffic{rec: rec}
		settle()
		if err = p.reader.Enable(); err != nil {
			return
		}
		err = t.all()
		notes = t.notes
		err = errors.Join(err, p.reader.Disable())
	}()
	<-done
	if err == nil {
		err = p.take()
	}
	rec.Hits = p.merger.hits
	return notes, err
}

// settle keeps the thread on its processor, so that the records of what it does
// are in one ring in their order whatever the clock, and keeps the runtime's
// signals from it, which would interrupt its calls. Both end with the thread.
func settle() {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil)
	cpu := -1
	var set unix.CPUSet
	if c, _, errno := getcpu(); errno == 0 {
		cpu = c
	}
	if cpu >= 0 {
		set.Set(cpu)
		_ = unix.SchedSetaffinity(0, &set) // without, time orders the records
	}
}

// all is the whole traffic.
func (t *traffic) all() error {
	if err := t.enter(); err != nil {
		return err
	}
	// The namespace that we were in tells of other devices, and of another
	// namespace. Nothing is sent there.
	t.piece("devices", t.devices)
	t.piece("route", t.route)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace of its own, which needs CAP_SYS_ADMIN: %w", err)
	}
	t.own = true
	if err := t.enter(); err != nil {
		return err
	}
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(control)
	lo := t.rename(control)
	if _, _, err := newDevice(); err != nil {
		t.notes = append(t.notes, "no device with an index of our choice can be made")
	}
	for round := range rounds {
		if round < 2 { // neighbours are new when lo comes up
			if round > 0 {
				if err := up(control, lo, false); err != nil {
					return fmt.Errorf("set lo down: %w", err)
				}
			}
			if err := up(control, lo, true); err != nil {
				return fmt.Errorf("set lo up, which needs CAP_NET_ADMIN: %w", err)
			}
			t.addresses(round == 0)
			t.piece("devices", t.devices)
		}
		t.piece("udp", func() { t.udp(t.inet()) })
		t.piece("raw", t.raw)
		t.piece("flags", t.flags)
		t.piece("tcp", func() { t.tcp(t.inet()) })
		t.piece("packet", t.packet)
		if !hasInet6() {
			t.piece("families", t.families)
		}
		if t.six != nil {
			t.piece("udp over IPv6", func() { t.udp(t.inet6()) })
			t.piece("tcp over IPv6", func() { t.tcp(t.inet6()) })
		}
	}
	return nil
}

// enter notes the namespace that the thread is in.
func (t *traffic) enter() error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		// thread-self is of 3.17
		if err := unix.Stat(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), &st); err != nil {
			return fmt.Errorf("which network namespace: %w", err)
		}
	}
	t.netns = uint32(st.Ino)
	return nil
}

// route connects a socket, for which a route is looked up and nothing is sent.
func (t *traffic) route() {
	s := t.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	s.proto = unix.IPPROTO_UDP
	t.step(s.fd, &Step{What: "a route", Sock: s.holds(closed)})
	s.connect(netip.AddrPortFrom(loop4(), port()))
	t.step(s.fd, &Step{What: "connected", Sock: s.holds(established)})
}

// addresses gives lo addresses of IPv6, so that the two ends of a socket
// differ. Where there is no IPv6 nothing of it is found.
func (t *traffic) addresses(first bool) {
	if first {
		// Settings of the namespace, which is ours; there are none without IPv6.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("0"), 0)
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6", []byte("0"), 0)
	}
	t.six = nil
	if !hasInet6() {
		if first {
			t.notes = append(t.notes, "there is no IPv6 here, so nothing of it is found")
		}
		return
	}
	for range 7 {
		a := random6(0xfd)
		if err := addAddress(a); err != nil {
			if first {
				t.notes = append(t.notes, fmt.Sprintf("no IPv6 here: %v", err))
			}
			return
		}
		t.six = append(t.six, a)
	}
}

func getcpu() (cpu, node int, errno unix.Errno) {
	var c, n uint32
	_, _, errno = unix.Syscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&c)), uintptr(unsafe.Pointer(&n)), 0)
	return int(c), int(n), errno
}
