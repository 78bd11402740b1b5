package perfring

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/timemerge"
)

// Rings are the open events and their rings. Enable, Disable, Lost and Close may be called at any time; Read and Drain by one
// goroutine at a time.
type Rings struct {
	cfg     Config
	clock   Clock
	rings   []*mapped  // of samples, one for each CPU
	names   []*mapped  // of names of threads, parallel to rings; none without Config.Comm
	events  sync.Mutex // of samples and others
	samples []event    // the tracepoints
	others  []event    // the rings' owners, and the events that report names of threads
	wake    *waker
	alarm   *alarm // nil where there are too many events for one
	on      bool   // events are enabled
	plug    *plug  // nil where nobody tells of CPUs
	merge   merger
	ticks   timemerge.Ticks
	warning error
	turned  []int // CPUs of which warning tells

	reading sync.Mutex // held by Read and Drain: Close waits for it before it unmaps
	closed  atomic.Bool
	looks   int    // at the rings, by Read
	newest  uint64 // with ClockPerf: the newest record of the last look
}

// mapped is a ring and what keeps it.
type mapped struct {
	ring
	owner event
	mem   []byte
}

// Open opens all events on all online CPUs, disabled and with their filters set, so nothing can be read that a filter would have
// kept back. Every error is an [*Error] that wraps an errno, or is about the Config. What is opened exists until Close.
func Open(cfg Config) (*Rings, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	plug := openPlug() // first, so that no CPU can come between
	cpus, err := onlineCPUs()
	if err != nil {
		return nil, errors.Join(err, plug.close())
	}
	r := &Rings{plug: plug, cfg: cfg, ticks: timemerge.Ticks{Every: cfg.Every, Call: cfg.Tick}}
	r.raiseFileLimit(len(cpus))
	if err := r.open(cpus); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (cfg *Config) check() error {
	if cfg.Pages == 0 {
		cfg.Pages = max(1, defaultRing/os.Getpagesize())
	}
	if cfg.Pages < 0 || bits.OnesCount(uint(cfg.Pages)) != 1 {
		return fmt.Errorf("perfring: %d pages per ring: not a power of two", cfg.Pages)
	}
	if cfg.Latency == 0 {
		cfg.Latency = defaultLatency
	}
	if cfg.Latency < time.Millisecond {
		return fmt.Errorf("perfring: a latency of %v: less than a millisecond", cfg.Latency)
	}
	if len(cfg.Events) == 0 && !cfg.Comm {
		return errors.New("perfring: no events")
	}
	if cfg.Pids == nil && (cfg.Inherit || cfg.EnableOnExec) {
		return errors.New("perfring: Inherit and EnableOnExec need Pids")
	}
	if cfg.Pids != nil && cfg.Cgroup != nil {
		return errors.New("perfring: Pids and Cgroup exclude each other")
	}
	return nil
}

func (r *Rings) open(cpus []int) error {
	for _, cpu := range cpus {
		err := r.openRing(cpu)
		if isOneOf(err, unix.ENODEV) && len(cpus) > 1 {
			continue // it went offline since we read the list
		}
		if err != nil {
			return err
		}
	}
	if len(r.rings) == 0 {
		return explain("open a ring", unix.ENODEV)
	}
	// A name is older than what its thread does, so the names are looked at last: those of all samples that were seen are there then.
	for _, m := range slices.Concat(r.rings, r.names) {
		r.merge.rings = append(r.merge.rings, &m.ring)
	}
	r.merge.stack = r.cfg.Stack || r.cfg.UserStack
	pids := r.pids()
	live := 0
	for _, pid := range pids {
		switch err := r.openPid(pid, 0); {
		case isOneOf(err, unix.ESRCH) && len(pids) > 1:
			// A thread that ended meanwhile.
		case err != nil:
			return err
		default:
			live++
		}
	}
	if live == 0 {
		return explain("watch the threads", unix.ESRCH)
	}
	r.openAlarm(pids)
	var err error
	if r.wake, err = newWaker(r.rings, r.names, r.alarm); err != nil {
		return err
	}
	r.plug.watch(r.wake.interrupt)
	return nil
}

// attr is what all events have in common. Their records go to one ring, so their layout must be the same. They do not name the
// CPU: a ring has those of one.
func (r *Rings) attr() *perf.Attr {
	a := &perf.Attr{
		SampleFormat: perf.SampleFormat{Tid: true, Time: true},
		Options:      perf.Options{Disabled: true, SampleIDAll: true, Watermark: true},
		Wakeup:       uint32(r.cfg.Pages * os.Getpagesize() / 4),
	}
	if r.clock == ClockMonotonic {
		a.Options.UseClockID, a.ClockID = true, unix.CLOCK_MONOTONIC
	}
	return a
}

// dummy are the attributes of an event that counts nothing: it owns a ring, or reports names.
func (r *Rings) dummy() *perf.Attr {
	a := r.attr()
	a.Type, a.Config = perf.SoftwareEvent, unix.PERF_COUNT_SW_DUMMY
	return a
}

// openDummy opens an event that counts nothing, on old kernels one that counts what does not happen.
func openDummy(a *perf.Attr, pid, cpu int) (event, error) {
	e, err := openEvent(a, pid, cpu)
	if isOneOf(err, unix.ENOENT, unix.EINVAL) {
		old := *a
		old.Config = unix.PERF_COUNT_SW_ALIGNMENT_FAULTS // the dummy is of 3.12
		if e, err2 := openEvent(&old, pid, cpu); err2 == nil {
			return e, nil
		}
	}
	return e, err
}

// openRing makes the ring of a CPU. Its owner belongs to no thread: a watched thread that ends would make poll return at once,
// for ever.
func (r *Rings) openRing(cpu int) error {
	owner, err := openDummy(r.dummy(), anyPid, cpu)
	if isOneOf(err, unix.EINVAL, unix.E2BIG) && r.clock == ClockMonotonic && len(r.rings) == 0 {
		r.clock = ClockPerf // use_clockid is of 4.1
		return r.openRing(cpu)
	}
	if err != nil {
		return explain(fmt.Sprintf("open a ring on CPU %d", cpu), err)
	}
	r.others = append(r.others, owner)
	m, err := r.mmap(owner)
	if err != nil {
		return explain(fmt.Sprintf("map the ring of CPU %d", cpu), err)
	}
	m.cpu = cpu
	r.rings = append(r.rings, m)
	if r.cfg.Comm {
		return r.openNames(cpu)
	}
	return nil
}

// namesRing is the size of the ring for names of each CPU, in bytes.
const namesRing = 64 << 10

// openNames makes the ring for names of a CPU. It is another than that of samples, so that what is lost of samples can be told exactly: the
// kernel counts for each ring, not for each event (until 6.0).
func (r *Rings) openNames(cpu int) error {
	a := r.dummy()
	a.Options.Comm, a.Options.Task = r.cfg.Pids == nil, r.cfg.Pids == nil
	pages := max(1, namesRing/os.Getpagesize())
	a.Wakeup = uint32(pages * os.Getpagesize() / 4)
	owner, err := openDummy(a, anyPid, cpu)
	if err != nil {
		return explain(fmt.Sprintf("watch names on CPU %d", cpu), err)
	}
	r.others = append(r.others, owner)
	m, err := mapRing(owner, pages)
	if isOneOf(err, unix.EPERM, unix.ENOMEM) {
		m, err = mapRing(owner, 1)
	}
	if err != nil {
		return explain(fmt.Sprintf("map the ring for names of CPU %d", cpu), err)
	}
	m.cpu = cpu
	r.names = append(r.names, m)
	return nil
}

// openPid opens all events of a thread, or of everything, on each CPU that has a ring, from the first-th on.
func (r *Rings) openPid(pid, first int) error {
	for i, m := range r.rings[first:] {
		i += first
		if r.cfg.Comm && pid != anyPid {
			a := r.dummy()
			a.Options.Comm, a.Options.Task = true, true
			a.Options.Inherit, a.Options.EnableOnExec = r.cfg.Inherit, r.cfg.EnableOnExec
			e, err := openDummy(a, pid, m.cpu)
			if err != nil {
				return explain(fmt.Sprintf("watch the names of thread %d on CPU %d", pid, m.cpu), err)
			}
			r.others = append(r.others, e)
			if err := e.setOutput(r.names[i].owner); err != nil {
				return explain("share a ring", err)
			}
		}
		for _, want := range r.cfg.Events {
			if err := r.openSample(want, pid, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Rings) openSample(want Event, pid int, m *mapped) error {
	if want.CPUs != nil && !slices.Contains(want.CPUs, m.cpu) {
		return nil
	}
	a := r.attr()
	a.Type, a.Config, a.Sample = perf.TracepointEvent, want.ID, 1
	a.SampleFormat.Raw = true
	if r.cfg.Stack || r.cfg.UserStack {
		a.SampleFormat.Callchain = true
		a.Options.ExcludeKernelCallchain, a.Options.ExcludeUserCallchain = !r.cfg.Stack, !r.cfg.UserStack
	}
	if pid != anyPid {
		a.Options.Inherit, a.Options.EnableOnExec = r.cfg.Inherit, r.cfg.EnableOnExec
	}
	e, err := r.openIn(a, pid, m.cpu)
	if err != nil {
		return explainInvalid(fmt.Sprintf("open event %d on CPU %d", want.ID, m.cpu), err, "no event has this number: was its definition removed?")
	}
	r.samples = append(r.samples, e)
	if want.Filter != "" {
		if err := e.setFilter(want.Filter); err != nil {
			return explainInvalid(fmt.Sprintf("set the filter %q of event %d", want.Filter, want.ID), err,
				"its syntax, or a field that the event does not have; the event's file filter in tracefs tells more")
		}
	}
	if err := e.setOutput(m.owner); err != nil {
		return explain("share a ring", err)
	}
	return nil
}

// openIn opens an event of the cgroup, where one was asked for.
func (r *Rings) openIn(a *perf.Attr, pid, cpu int) (event, error) {
	if r.cfg.Cgroup == nil {
		return openEvent(a, pid, cpu)
	}
	ev, err := perf.OpenCGroup(a, int(r.cfg.Cgroup.Fd()), cpu, nil)
	if err != nil {
		return event{}, err
	}
	fd, err := ev.FD()
	return event{fd: fd, ev: ev, pid: anyPid, cpu: cpu}, err
}

// onlineCPUs reads the numbers of the CPUs that are online.
func onlineCPUs() ([]int, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	return parseCPUs(string(text))
}

// parseCPUs parses a list such as "0-3,5".
func parseCPUs(s string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || last < first {
			return nil, fmt.Errorf("not a list of CPUs: %q", s)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}
