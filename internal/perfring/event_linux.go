package perfring

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"
)

// event is an open perf event.
type event struct {
	fd       int
	ev       *perf.Event // nil where go-perf could not open it
	pid, cpu int
}

// anyPid is the pid of an event that watches everything on its CPU.
const anyPid = perf.AllThreads

func openEvent(a *perf.Attr, pid, cpu int) (event, error) {
	if !idIoctl() {
		fd, err := openOld(a, pid, cpu)
		return event{fd: fd, pid: pid, cpu: cpu}, err
	}
	ev, err := perf.Open(a, pid, cpu, nil)
	if err != nil {
		return event{}, err
	}
	fd, err := ev.FD()
	return event{fd: fd, ev: ev, pid: pid, cpu: cpu}, err
}

func (e event) close() error {
	if e.ev != nil {
		return e.ev.Close()
	}
	return unix.Close(e.fd)
}

func (e event) enable() error { return e.ioctl("PERF_EVENT_IOC_ENABLE", unix.PERF_EVENT_IOC_ENABLE, 0) }
func (e event) disable() error {
	return e.ioctl("PERF_EVENT_IOC_DISABLE", unix.PERF_EVENT_IOC_DISABLE, 0)
}

// setOutput sends the event's records to the ring of another event of the same CPU and clock.
func (e event) setOutput(to event) error {
	return e.ioctl("PERF_EVENT_IOC_SET_OUTPUT", unix.PERF_EVENT_IOC_SET_OUTPUT, uintptr(to.fd))
}

func (e event) setFilter(filter string) error {
	text, err := unix.BytePtrFromString(filter)
	if err != nil {
		return err
	}
	const name = "PERF_EVENT_IOC_SET_FILTER"
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.PERF_EVENT_IOC_SET_FILTER, uintptr(unsafe.Pointer(text)))
	if errno != 0 {
		return os.NewSyscallError(name, errno)
	}
	return nil
}

func (e event) ioctl(name string, request, arg uintptr) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), request, arg)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return os.NewSyscallError(name, errno)
	}
}

// idIoctl tells whether the kernel knows PERF_EVENT_IOC_ID (3.12), without which go-perf cannot open events: it asks for the id of each
// one, and on a refusal forgets the file descriptor.
//
// The event that is asked belongs to a CPU: with one of a thread the kernel looks at each change of threads whether there is something to
// do for perf, until a second after the last such event is closed, and waits for all CPUs before it begins with that.
var idIoctl = sync.OnceValue(func() bool {
	cpus, err := onlineCPUs()
	if err != nil || len(cpus) == 0 {
		return true // the real open will tell why
	}
	fd, err := openOld(&perf.Attr{
		Type: perf.SoftwareEvent, Config: unix.PERF_COUNT_SW_ALIGNMENT_FAULTS,
		Options: perf.Options{Disabled: true, ExcludeKernel: true, ExcludeHypervisor: true},
	}, anyPid, cpus[0])
	if err != nil {
		return true // as above
	}
	defer unix.Close(fd)
	var id uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_ID, uintptr(unsafe.Pointer(&id)))
	return errno != unix.ENOTTY
})

// openOld opens an event on a kernel that go-perf cannot do, and knows only what we ask for there.
func openOld(a *perf.Attr, pid, cpu int) (int, error) {
	attr := &unix.PerfEventAttr{
		Type: uint32(a.Type), Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: a.Config,
		Sample: a.Sample, Wakeup: a.Wakeup,
	}
	for _, s := range []struct {
		on  bool
		bit uint64
	}{
		{a.SampleFormat.Tid, unix.PERF_SAMPLE_TID},
		{a.SampleFormat.Time, unix.PERF_SAMPLE_TIME},
		{a.SampleFormat.Raw, unix.PERF_SAMPLE_RAW},
		{a.SampleFormat.Callchain, unix.PERF_SAMPLE_CALLCHAIN},
	} {
		if s.on {
			attr.Sample_type |= s.bit
		}
	}
	o := a.Options
	for _, s := range []struct {
		on  bool
		bit uint64
	}{
		{o.Disabled, unix.PerfBitDisabled},
		{o.Inherit, unix.PerfBitInherit},
		{o.ExcludeKernel, unix.PerfBitExcludeKernel},
		{o.ExcludeHypervisor, unix.PerfBitExcludeHv},
		{o.Comm, unix.PerfBitComm},
		{o.EnableOnExec, unix.PerfBitEnableOnExec},
		{o.Task, unix.PerfBitTask},
		{o.Watermark, unix.PerfBitWatermark},
		{o.SampleIDAll, unix.PerfBitSampleIDAll},
		{o.ExcludeUserCallchain, unix.PerfBitExcludeCallchainUser},
	} {
		if s.on {
			attr.Bits |= s.bit
		}
	}
	if o.UseClockID {
		return -1, os.NewSyscallError("perf_event_open", unix.EINVAL)
	}
	// PERF_FLAG_FD_CLOEXEC is of 3.14.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.PerfEventOpen(attr, pid, cpu, -1, 0)
	if err != nil {
		return -1, os.NewSyscallError("perf_event_open", err)
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// isOneOf tells whether an error is one of some errnos.
func isOneOf(err error, errnos ...unix.Errno) bool {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
