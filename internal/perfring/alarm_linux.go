package perfring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"
)

// alarm lets the reader sleep without a timer while nothing happens, and wakes it at once for the first record after that.
//
// The rings' own events cannot do it: how full a ring must be for a wake-up is fixed when it is mapped. So each event has a second one,
// which is disabled except in quiet times, wakes for every record, and writes (a few bytes) to a ring of its own, one for each CPU, that
// nobody reads.
type alarm struct {
	events []event
	owners []event
	rings  [][]byte
	on     bool
}

const (
	// quietLooks is after how many looks without a record the alarm is set: setting it costs a system call, and on other CPUs
	// an interrupt, for each event.
	quietLooks = 4
	// maxAlarm is how many events an alarm may have. With more, a timer is cheaper.
	maxAlarm = 256
)

// openAlarm opens the second events, disabled. Without them everything works with a timer, so a failure is no error.
func (r *Rings) openAlarm(pids []int) {
	if n := len(r.rings) * len(pids) * len(r.cfg.Events); n == 0 || n > maxAlarm {
		return
	}
	a := &alarm{}
	for _, m := range r.rings {
		if err := a.openCPU(r, m.cpu, pids); err != nil {
			a.close()
			return
		}
	}
	r.alarm = a
}

func (a *alarm) openCPU(r *Rings, cpu int, pids []int) error {
	attr := r.dummy()
	attr.Options.Watermark, attr.Wakeup = false, 1
	owner, err := openDummy(attr, anyPid, cpu)
	if err != nil {
		return err
	}
	a.owners = append(a.owners, owner)
	mem, err := unix.Mmap(owner.fd, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	a.rings = append(a.rings, mem)
	return a.openEvents(r, owner, pids)
}

// openEvents opens the second events on the CPU of a ring's owner.
func (a *alarm) openEvents(r *Rings, owner event, pids []int) error {
	for _, pid := range pids {
		for _, want := range r.cfg.Events {
			attr := r.attr()
			attr.Type, attr.Config, attr.Sample = perf.TracepointEvent, want.ID, 1
			attr.Options.Watermark, attr.Wakeup = false, 1
			attr.Options.Inherit = pid != anyPid && r.cfg.Inherit
			e, err := r.openIn(attr, pid, owner.cpu)
			if isOneOf(err, unix.ESRCH) {
				continue // a thread that ended meanwhile
			}
			if err != nil {
				return err
			}
			a.events = append(a.events, e)
			if want.Filter != "" {
				if err := e.setFilter(want.Filter); err != nil {
					return err
				}
			}
			if err := e.setOutput(owner); err != nil {
				return err
			}
		}
	}
	return nil
}

// set enables the alarm. What happened before is not noticed: look at the rings after.
func (a *alarm) set() error {
	a.on = true
	for _, e := range a.events {
		if err := e.enable(); err != nil {
			return explain("enable an event", err)
		}
	}
	return nil
}

// clear disables the alarm and forgets what it wrote.
func (a *alarm) clear() error {
	if a == nil || !a.on {
		return nil
	}
	a.on = false
	for _, e := range a.events {
		if err := e.disable(); err != nil {
			return explain("disable an event", err)
		}
	}
	for _, mem := range a.rings {
		meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
		atomic.StoreUint64(&meta.Data_tail, atomic.LoadUint64(&meta.Data_head))
	}
	return nil
}

func (a *alarm) close() error {
	if a == nil {
		return nil
	}
	var errs []error
	for _, mem := range a.rings {
		if err := unix.Munmap(mem); err != nil {
			errs = append(errs, fmt.Errorf("munmap: %w", err))
		}
	}
	for _, list := range [][]event{a.events, a.owners} {
		for _, e := range list {
			errs = append(errs, e.close())
		}
	}
	return errors.Join(errs...)
}
