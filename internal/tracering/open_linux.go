package tracering

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/perfring"
	"github.com/skprobe/skprobe/internal/timemerge"
	"github.com/skprobe/skprobe/tracefs"
)

// Rings are an instance with its events, and its rings. Enable, Disable, Lost and Close may be called at any time; Read and Drain by one
// goroutine at a time.
type Rings struct {
	cfg      Config
	instance *tracefs.Instance
	clock    perfring.Clock
	layout   layout
	kinds    []kind // by the event's number
	tasks    taskEvents
	stack    stackEvent
	threads  threads
	found    atomic.Pointer[map[uint32]uint32] // threads that /proc showed, not taken into threads yet
	foreign  bool                              // another pid namespace than the initial one: processes cannot be told
	queues   []*queue
	merge    timemerge.Merger
	ticks    timemerge.Ticks
	wake     *waker
	marks    bool // wake ends a pause when a ring is a quarter full
	warning  error

	spare     []*page
	record    perfring.Record
	addresses []uint64
	fn        func(*perfring.Record) error
	delivered uint64
	newest    uint64 // with ClockPerf: the newest record of the look before

	state   sync.Mutex // of what follows
	lost    uint64     // what the kernel said last
	reading sync.Mutex // held by Read and Drain: Close waits for it
	closed  atomic.Bool
}

// kind is what records with an event's number are.
type kind uint8

const (
	isSample kind = 1 << iota
	isTask
)

// Open makes the instance and enables the events in it, with their filters, and with recording off. What is opened exists until Close. An
// error about rights wraps fs.ErrPermission, one about what the kernel has not fs.ErrNotExist or errors.ErrUnsupported.
func Open(cfg Config) (*Rings, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Rings{cfg: cfg, foreign: inOtherPidNamespace(), ticks: timemerge.Ticks{Every: cfg.Every, Call: cfg.Tick}}
	if r.foreign && cfg.Pids != nil {
		return nil, fmt.Errorf("limit to processes: tracefs numbers them as the initial pid namespace does, and this is another: %w", errors.ErrUnsupported)
	}
	var err error
	if r.instance, err = cfg.FS.NewInstance(); err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("tracefs: %w", err), r.Close())
	}
	return r, nil
}

func (r *Rings) open() error {
	for _, step := range []func() error{r.configure, r.describe, r.limit, r.trace, r.openFiles, r.enable} {
		if err := step(); err != nil {
			return err
		}
	}
	if r.foreign {
		r.warn(errors.New("tracefs numbers processes as the initial pid namespace does, and this is another: they are not shown"))
	}
	if r.cfg.EnableOnExec {
		return r.Enable()
	}
	return nil
}

// configure sets the instance's options, with recording off.
func (r *Rings) configure() error {
	i := r.instance
	if err := i.Set("tracing_on", "0"); err != nil {
		return err
	}
	// mono is of 4.1 and an option per instance of 4.4; before, the rings overwrite.
	r.clock = perfring.ClockPerf
	if i.Set("trace_clock", "mono") == nil {
		r.clock = perfring.ClockMonotonic
	}
	if err := i.Set("options/overwrite", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.cfg.Stack {
		err := i.Set("options/stacktrace", "1")
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("this kernel cannot record stacks in an instance (4.4): %w", errors.ErrUnsupported)
		}
		if err != nil {
			return err
		}
	}
	return r.resize()
}

// resize sets the size of the rings. Where there is not so much memory it takes less, and leaves a warning.
func (r *Rings) resize() error {
	for size := r.cfg.Size; ; size /= 2 {
		err := r.instance.Set("buffer_size_kb", strconv.Itoa(max(1, size>>10)))
		if errors.Is(err, unix.ENOMEM) && size > 8<<10 {
			continue
		}
		if err != nil {
			return err
		}
		if size < r.cfg.Size {
			r.warn(fmt.Errorf("rings of %d KiB per CPU instead of %d KiB: no memory", size>>10, r.cfg.Size>>10))
			r.cfg.Size = size
		}
		return nil
	}
}

// describe reads how records and pages look here.
func (r *Rings) describe() error {
	text, err := r.instance.Get("events/header_page")
	if err != nil {
		return err
	}
	if r.layout, err = parseLayout(strings.NewReader(text)); err != nil {
		return err
	}
	for i, name := range taskNames {
		format, err := r.instance.Format(name.Group, name.Event)
		if err != nil {
			return fmt.Errorf("%s:%s: %w", name.Group, name.Event, err)
		}
		if err := r.tasks.fit(i, format); err != nil {
			return err
		}
		r.mark(format.ID, isTask)
	}
	for _, e := range r.cfg.Events {
		r.mark(e.ID, isSample)
	}
	if r.cfg.Stack {
		format, err := r.cfg.FS.Format("ftrace", "kernel_stack")
		if err != nil {
			return fmt.Errorf("ftrace:kernel_stack: %w", err)
		}
		if r.stack, err = fitStack(format); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rings) mark(id uint16, k kind) {
	for len(r.kinds) <= int(id) {
		r.kinds = append(r.kinds, 0)
	}
	r.kinds[id] |= k
}

// limit limits the instance to the threads asked for: in the kernel where it can also follow their children (options/event-fork, 4.7),
// and otherwise when records are read.
func (r *Rings) limit() error {
	t := &r.threads
	t.process, t.ended, t.lookup = map[uint32]uint32{0: 0}, map[uint32]uint64{}, r.lookup
	if r.cfg.Pids == nil {
		return nil
	}
	set := func() map[uint32]bool {
		m := map[uint32]bool{}
		for _, pid := range r.cfg.Pids {
			m[uint32(pid)] = true
		}
		return m
	}
	if r.cfg.EnableOnExec {
		t.armed = set()
	}
	if r.cfg.Tracer != "" {
		r.limitTracer()
	} else if !limitHere {
		fork := "0"
		if r.cfg.Inherit {
			fork = "1"
		}
		var list []string
		for _, pid := range r.cfg.Pids {
			list = append(list, strconv.Itoa(pid))
		}
		err := r.instance.Set("options/event-fork", fork)
		if err == nil {
			err = r.instance.Set("set_event_pid", strings.Join(list, " "))
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	t.watched, t.inherit = set(), r.cfg.Inherit
	return nil
}

// limitHere makes limit do what it does on a kernel that cannot. Tests set it.
var limitHere bool

// openFiles opens the rings of all CPUs that there can be: one that comes online while we read has one too.
func (r *Rings) openFiles() error {
	dir := r.instance.Root() + "/per_cpu"
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		cpu, err := strconv.ParseUint(strings.TrimPrefix(name.Name(), "cpu"), 10, 32)
		if err != nil {
			continue
		}
		// Not an os.File: the runtime would poll it, and the kernel wake us for records.
		fd, err := unix.Open(dir+"/"+name.Name()+"/trace_pipe_raw", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("open trace_pipe_raw of "+name.Name(), err)
		}
		q := &queue{rings: r, cpu: uint32(cpu), fd: fd}
		r.queues = append(r.queues, q)
		r.merge.Queues = append(r.merge.Queues, q)
	}
	if len(r.queues) == 0 {
		return errors.New("the instance has no rings")
	}
	var wakeFor []*queue
	if r.marks = r.waitsForMark(); r.marks {
		wakeFor = r.queues
	}
	r.wake, err = newWaker(wakeFor)
	return err
}

// enable enables the events; nothing is recorded yet, since recording is off.
func (r *Rings) enable() error {
	for _, name := range taskNames {
		if err := r.instance.Set("events/"+name.Group+"/"+name.Event+"/enable", "1"); err != nil {
			return err
		}
	}
	for _, e := range r.cfg.Events {
		if e.Group == tracerGroup {
			continue // the tracer makes them
		}
		if e.Filter != "" {
			if err := r.instance.SetFilter(e.Group, e.Name, e.Filter); err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
		}
		if err := r.instance.Set("events/"+e.Group+"/"+e.Name+"/enable", "1"); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rings) warn(err error) { r.warning = errors.Join(r.warning, err) }
