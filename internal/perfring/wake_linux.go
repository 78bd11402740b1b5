package perfring

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
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
	for i, owner := range owners {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, owner.fd, &ev); err != nil {
			unix.Close(fd)
			return nil, os.NewSyscallError("epoll_ctl", err)
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

// wait returns after the pause (0: never), or before: when a ring fills, by the alarm or after interrupt. Early returns without a reason
// are possible.
func (w *waker) wait(pause time.Duration, ctx context.Context, closed *atomic.Bool) error {
	var deadline time.Time
	if pause > 0 {
		deadline = time.Now().Add(pause)
	}
	if err := w.file.SetReadDeadline(deadline); err != nil {
		return err
	}
	// An interrupt that came before the deadline was set was undone by that.
	if ctx.Err() != nil || closed.Load() {
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
