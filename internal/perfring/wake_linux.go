package perfring

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waker sleeps until a ring is a quarter full, the alarm rings, some time has passed, or somebody interrupts it.
//
// It is an epoll of all rings and those of the alarm, which is itself in the epoll of Go's runtime: so waiting blocks a goroutine and no thread.
type waker struct {
	file  *os.File
	conn  syscall.RawConn
	rings []*mapped
	ready func(fd uintptr) bool
	slept bool
}

func newWaker(rings, names []*mapped, a *alarm) (*waker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	var owners []event
	for _, r := range slices.Concat(rings, names) {
		owners = append(owners, r.owner)
	}
	if a != nil {
		owners = append(owners, a.owners...)
	}
	for _, owner := range owners {
		if err := addTo(fd, owner); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	// os.NewFile gives only non-blocking files to the runtime's poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &waker{file: os.NewFile(uintptr(fd), "perf rings"), rings: slices.Concat(rings, names)}
	if w.conn, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	w.ready = w.isReady
	return w, nil
}

func addTo(epoll int, owner event) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(owner.fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, owner.fd, &ev))
}

// add adds rings and their events; none of it may be there already.
func (w *waker) add(rings []*mapped, owners []event) (err error) {
	for _, r := range rings {
		owners = append(owners, r.owner)
	}
	cerr := w.conn.Control(func(fd uintptr) {
		for _, owner := range owners {
			err = errors.Join(err, addTo(int(fd), owner))
		}
	})
	w.rings = append(w.rings, rings...)
	return errors.Join(cerr, err)
}

// wait returns after the pause (0: never), or before: when a ring fills, by the alarm or after interrupt. Early returns without a reason
// are possible. It does not begin where stop reports true.
func (w *waker) wait(pause time.Duration, stop func() bool) error {
	var deadline time.Time
	if pause > 0 {
		deadline = time.Now().Add(pause)
	}
	if err := w.file.SetReadDeadline(deadline); err != nil {
		return err
	}
	// An interrupt that came before the deadline was set was undone by that.
	if stop() {
		return nil
	}
	w.slept = false
	if err := w.conn.Read(w.ready); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// isReady is called by the runtime before it sleeps and when it was woken. A wake-up from before the first call is forgotten by then, so
// that one looks at the rings.
func (w *waker) isReady(fd uintptr) bool {
	if !w.slept {
		w.slept = true
		for _, r := range w.rings {
			if r.unread() >= uint64(len(r.data)/4) {
				return true
			}
		}
		return false
	}
	// Which ring it was does not matter: all are looked at. But this takes them off epoll's list.
	var events [16]unix.EpollEvent
	unix.EpollWait(int(fd), events[:], 0)
	return true
}

// interrupt ends a wait.
func (w *waker) interrupt() { w.file.SetReadDeadline(time.Unix(1, 0)) }

func (w *waker) close() error { return w.file.Close() }
