package perfring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flushLosses makes the kernel tell, in rings that were full, what it lost since the last record that fit: it tells that only in
// front of the next record. The next record is made here: an event that reports names of this thread, on that CPU, and a
// "change" of the name. (PERF_FORMAT_LOST would tell too, but only from 6.0.) It reports whether there is anything to read then.
func (r *Rings) flushLosses() bool {
	flushed := false
	for _, m := range r.rings {
		if !m.full {
			continue
		}
		if r.flushLoss(m) {
			m.full = false
			flushed = true
		}
	}
	return flushed
}

func (r *Rings) flushLoss(m *mapped) bool {
	runtime.LockOSThread()
	var before, there unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		runtime.UnlockOSThread()
		return false
	}
	there.Set(m.cpu)
	if unix.SchedSetaffinity(0, &there) != nil {
		runtime.UnlockOSThread() // a cpuset without this CPU
		return false
	}
	defer func() {
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread() // else the thread ends with its goroutine
		}
	}()
	a := r.dummy()
	a.Options.Comm = true
	e, err := openDummy(a, 0, m.cpu)
	if err != nil {
		return false
	}
	defer e.close()
	if e.setOutput(m.owner) != nil || e.enable() != nil {
		return false
	}
	var name [16]byte
	if unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0) != nil {
		return false
	}
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0) == nil
}
