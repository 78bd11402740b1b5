package tracering

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waker sleeps until a ring is a quarter full, some time has passed, or somebody interrupts it.
//
// It is an epoll of the rings, which is itself in the epoll of Go's runtime: so waiting blocks a goroutine and no thread. On kernels
// that would wake us for single records it holds no rings, and only time passes.
type waker struct {
	file  *os.File
	conn  syscall.RawConn
	ready func(fd uintptr) bool
	slept bool
}

func newWaker(rings []*queue) (*waker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	for i, q := range rings {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, q.fd, &ev); err != nil {
			unix.Close(fd)
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
	}
	// os.NewFile gives only non-blocking files to the runtime's poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &waker{file: os.NewFile(uintptr(fd), "trace rings")}
	if w.conn, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	w.ready = w.isReady
	return w, nil
}

// wait returns after the pause, or before. Early returns without a reason are possible.
func (w *waker) wait(pause time.Duration, ctx context.Context, closed *atomic.Bool) error {
	if err := w.file.SetReadDeadline(time.Now().Add(pause)); err != nil {
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

// isReady is called by the runtime before it sleeps and when it was woken. To ask epoll makes the kernel look at the rings that it told of,
// and promise to tell again.
func (w *waker) isReady(fd uintptr) bool {
	var events [16]unix.EpollEvent
	n, _ := unix.EpollWait(int(fd), events[:], 0)
	woken := w.slept || n > 0
	w.slept = true
	return woken
}

// interrupt ends a wait.
func (w *waker) interrupt() { w.file.SetReadDeadline(time.Unix(1, 0)) }

func (w *waker) close() error { return w.file.Close() }

// waitsForMark tells whether poll waits until a ring is as full as buffer_percent says, and sets that. Kernels before "tracing/ring-buffer:
// Have polling block on watermark" (6.1, and stable ones from 5.4 on) have poll return for a single record, and then wake for
// each. A mark in the ring shows what this one does.
func (r *Rings) waitsForMark() bool {
	i := r.instance
	if i.Set("buffer_percent", "25") != nil || i.Set("tracing_on", "1") != nil {
		return false
	}
	err := i.Set("trace_marker", "skprobe")
	if errOff := i.Set("tracing_on", "0"); err != nil || errOff != nil {
		return false
	}
	p := r.page()
	defer r.free(p)
	early, seen := false, false
	for _, q := range r.queues {
		fds := []unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		early = early || err != nil || n > 0
		n, err = unix.Read(q.fd, p.bytes)
		seen = seen || err == nil && n > 0
	}
	return seen && !early
}
