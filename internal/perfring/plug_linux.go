package perfring

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// plug tells of CPUs that are turned on: the kernel takes the events of a CPU that goes away from it, and does not give them back.
// It hears of them by a netlink socket, on which the kernel announces devices (lib/kobject_uevent.c).
type plug struct {
	file *os.File
	mu   sync.Mutex
	cpus []int // that were turned on, and for which nothing was done yet
}

// openPlug returns nil where the socket cannot be had.
func openPlug() *plug {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return nil
	}
	return &plug{file: os.NewFile(uintptr(fd), "device events")}
}

// watch calls wake for each CPU that is turned on.
func (p *plug) watch(wake func()) {
	if p == nil {
		return
	}
	go func() {
		b := make([]byte, 8192)
		for {
			n, err := p.file.Read(b)
			if errors.Is(err, unix.ENOBUFS) {
				continue // too many at a time, and it may have been among them; the next will tell
			}
			if err != nil {
				return // it was closed
			}
			if cpu, ok := turnedOn(string(b[:n])); ok {
				p.mu.Lock()
				p.cpus = append(p.cpus, cpu)
				p.mu.Unlock()
				wake()
			}
		}
	}()
}

// turnedOn reads a message such as "online@/devices/system/cpu/cpu1\x00ACTION=online\x00…".
func turnedOn(message string) (cpu int, ok bool) {
	head, _, _ := strings.Cut(message, "\x00")
	number, ok := strings.CutPrefix(head, "online@/devices/system/cpu/cpu")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return int(n), err == nil
}

// any tells whether there is a CPU for which something is to be done.
func (p *plug) any() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cpus) > 0
}

func (p *plug) take() []int {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	cpus := p.cpus
	p.cpus = nil
	return cpus
}

func (p *plug) close() error {
	if p == nil {
		return nil
	}
	return p.file.Close()
}

// replug opens events on the CPUs that were turned on.
func (r *Rings) replug() error {
	cpus := r.plug.take()
	if len(cpus) == 0 {
		return nil
	}
	r.events.Lock()
	defer r.events.Unlock()
	for _, cpu := range cpus {
		opened, err := r.replugCPU(cpu)
		if isOneOf(err, unix.ENODEV) {
			continue // it is gone again
		}
		if err != nil {
			return err
		}
		for _, e := range slices.Concat(r.others, r.samples) {
			if opened && e.cpu == cpu && (r.on || r.cfg.EnableOnExec) {
				if err := e.enable(); err != nil {
					return explain("enable an event", err)
				}
			}
		}
		if opened {
			r.noteTurned(cpu)
		}
	}
	return nil
}

// noteTurned makes a warning of what cannot be known.
func (r *Rings) noteTurned(cpu int) {
	if !slices.Contains(r.turned, cpu) {
		r.turned = append(r.turned, cpu)
		what := "what happened on it before this was noticed is missing"
		if r.cfg.Inherit {
			what += ", and so is what threads do there that were made meanwhile"
		}
		r.warning = errors.Join(r.warning, fmt.Errorf("CPU %d was turned on while tracing: %s", cpu, what))
	}
}

func (r *Rings) replugCPU(cpu int) (opened bool, err error) {
	if i := slices.IndexFunc(r.rings, func(m *mapped) bool { return m.cpu == cpu }); i >= 0 {
		// The events of threads are still there.
		return r.cfg.Pids == nil, r.reopen(i)
	}
	n := len(r.rings)
	if err := r.openRing(cpu); err != nil {
		return false, err
	}
	for _, pid := range r.pids() {
		if err := r.openPid(pid, n); err != nil && !isOneOf(err, unix.ESRCH) {
			return false, err
		}
	}
	rings := slices.Concat(r.rings[n:], r.names[min(n, len(r.names)):])
	for _, m := range rings {
		r.merge.rings = append(r.merge.rings, &m.ring)
	}
	var owners []event
	if r.alarm != nil {
		if err := r.alarm.openCPU(r, cpu, r.pids()); err != nil {
			return false, explain("open an event", err)
		}
		owners = r.alarm.owners[len(r.alarm.owners)-1:]
	}
	return true, r.wake.add(rings, owners)
}

// reopen opens the events anew of a CPU that went away and came back. Its rings are still there, with their owners.
func (r *Rings) reopen(i int) error {
	m := r.rings[i]
	if r.cfg.Pids != nil {
		return nil
	}
	gone := func(e event) bool {
		isOwner := func(m *mapped) bool { return m.owner.fd == e.fd }
		return e.cpu == m.cpu && !slices.ContainsFunc(r.rings, isOwner) && !slices.ContainsFunc(r.names, isOwner)
	}
	if err := errors.Join(closeSome(&r.samples, gone), closeSome(&r.others, gone)); err != nil {
		return err
	}
	for _, want := range r.cfg.Events {
		if err := r.openSample(want, anyPid, m); err != nil {
			return err
		}
	}
	if r.cfg.Comm {
		a := r.dummy()
		a.Options.Comm, a.Options.Task = true, true
		e, err := openDummy(a, anyPid, m.cpu)
		if err != nil {
			return explain(fmt.Sprintf("watch names on CPU %d", m.cpu), err)
		}
		r.others = append(r.others, e)
		if err := e.setOutput(r.names[i].owner); err != nil {
			return explain("share a ring", err)
		}
	}
	if r.alarm == nil {
		return nil
	}
	if err := closeSome(&r.alarm.events, gone); err != nil {
		return err
	}
	owner := slices.IndexFunc(r.alarm.owners, gone)
	if err := r.alarm.openEvents(r, r.alarm.owners[owner], r.pids()); err != nil {
		return explain("open an event", err)
	}
	return nil
}

// closeSome closes some events of a list and takes them out of it.
func closeSome(list *[]event, which func(event) bool) error {
	var errs []error
	*list = slices.DeleteFunc(*list, func(e event) bool {
		if !which(e) {
			return false
		}
		errs = append(errs, e.close())
		return true
	})
	return errors.Join(errs...)
}

// pids are the threads to watch, or that of all.
func (r *Rings) pids() []int {
	if r.cfg.Pids == nil {
		return []int{anyPid}
	}
	return r.cfg.Pids
}
