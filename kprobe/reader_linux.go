package kprobe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/skprobe/skprobe/internal/perfring"
)

// A Source is a probe to read, with the filter that the kernel applies
// (Documentation/trace/events.rst), "" for none.
type Source struct {
	Probe  *Probe
	Filter string
	// CPUs are those on which it records, nil for all.
	CPUs []int
}

// ReaderOptions say what is recorded, and how.
type ReaderOptions struct {
	// Backend is the way in which records come.
	Backend Backend
	// PIDs are threads to which the records are limited, nil for all; with
	// Inherit also those that they make from now on.
	PIDs    []int
	Inherit bool
	// EnableOnExec starts recording when one of PIDs next executes a
	// program, so that Enable is not needed.
	EnableOnExec bool
	// Family are processes of which [Reader.IsFamily] is to know the
	// descendants, while records are not limited to them.
	Family []int
	// Cgroup is the folder of a cgroup to which the records are limited, of
	// the unified hierarchy or of perf_event's; "" for none.
	Cgroup string
	// Tracer, if not "", is a tracer of the kernel that traces the functions
	// Traced, or patterns of them as set_ftrace_filter takes them: function,
	// or function_graph (6.11). Sources may then be its events, of the group
	// ftrace, which only Tracefs reads.
	Tracer string
	Traced []string
	// TracedArgs has function_graph record arguments too (6.15).
	TracedArgs bool
	// Stack adds the kernel's call chain to each record.
	Stack bool
	// UserStack adds that of the program, as far as its frame pointers lead;
	// only Perf has it.
	UserStack bool
	// RingSize is the size in bytes of the ring of each CPU, 0 for 512 KiB;
	// it is rounded up to a power of two pages.
	RingSize int
	// Latency is how long a record may wait to be read; 0 for 50 ms.
	Latency time.Duration
	// Batch, if not nil, is called after the records of one look at the
	// rings were delivered.
	Batch func() error
	// Every, if not 0, is how often [Reader.Read] calls Tick, whether there are
	// records or not: after the records of before that time (nanoseconds,
	// CLOCK_MONOTONIC) and before the later ones; where the records' clock is
	// another, after what was there. It is called from where the records are
	// delivered, and its error ends Read.
	Every time.Duration
	Tick  func(time uint64) error
}

// A Record is one hit of a probe. It is valid until the next is read.
type Record struct {
	Source int    // index in the sources given to NewReader
	Time   uint64 // nanoseconds, of the clock that [Reader.Monotonic] tells
	CPU    uint32
	// PID is the process, as seen from this process's pid namespace: 0 if it
	// is not seen there, and 0xffffffff where it is not known, as for a
	// thread that is ending.
	PID   uint32
	TID   uint32
	Comm  string // name of the thread, "" where it is not known
	Raw   []byte // as the event's format describes it
	Stack []uint64
	// UserStack is that of the process, innermost first.
	UserStack []uint64
}

// A Reader reads the records of some probes, in the order of time.
type Reader struct {
	rings   rings
	backend Backend
	fell    error          // why it is not the first choice
	index   map[uint16]int // of a source, by the number of its event
	last    uint16         // what was looked up last, since one event often comes many times
	source  int
	comms   comms
	family  family
	record  Record
}

// NewReader opens the probes, with their filters set and not yet recording.
// Nothing that a filter would hold back is ever read.
func NewReader(sources []Source, o ReaderOptions) (*Reader, error) {
	r := &Reader{index: map[uint16]int{}, comms: comms{byThread: map[uint32]string{}}, family: newFamily(o.Family)}
	for i, s := range sources {
		if s.Probe.ID > 0xffff {
			return nil, fmt.Errorf("kprobe: event %s has the number %d, more than a record can tell", s.Probe.Spec.Event, s.Probe.ID)
		}
		r.index[uint16(s.Probe.ID)] = i
		r.last, r.source = uint16(s.Probe.ID), i
	}
	if err := r.open(sources, o); err != nil {
		return nil, err
	}
	return r, nil
}

// Backend is the way in which records come: Perf or Tracefs.
func (r *Reader) Backend() Backend { return r.backend }

// Enable starts recording.
func (r *Reader) Enable() error { return r.rings.Enable() }

// Disable ends recording; [Reader.Drain] delivers what is left.
func (r *Reader) Disable() error { return r.rings.Disable() }

// Read calls fn for each record until ctx ends, and then returns nil, or until
// fn returns an error, and returns that.
func (r *Reader) Read(ctx context.Context, fn func(*Record) error) error {
	return r.rings.Read(ctx, r.deliver(fn))
}

// Drain delivers, after Disable, what is still in the rings.
func (r *Reader) Drain(fn func(*Record) error) error {
	return r.rings.Drain(r.deliver(fn))
}

// unknown is the process of a thread that is ending, or of which this pid
// namespace knows nothing.
const unknown = ^uint32(0)

var errShort = errors.New("kprobe: a record is too short for the number of its event")

// deliver returns what takes the rings' records and hands fn those of the probes.
func (r *Reader) deliver(fn func(*Record) error) func(*perfring.Record) error {
	return func(rec *perfring.Record) error {
		if rec.Kind != perfring.Sample {
			r.comms.update(rec)
			r.family.update(rec)
			return nil
		}
		if len(rec.Raw) < 8 {
			return errShort
		}
		if id := binary.LittleEndian.Uint16(rec.Raw); id != r.last {
			i, ok := r.index[id]
			if !ok {
				return nil // an event that somebody else sent into these rings
			}
			r.last, r.source = id, i
		}
		to := &r.record
		to.Source, to.Time, to.CPU, to.PID, to.TID, to.Raw, to.Stack, to.UserStack = r.source, rec.Time, rec.CPU, rec.PID, rec.TID, rec.Raw, rec.Stack, rec.UserStack
		if to.Comm = ""; rec.PID != unknown {
			to.Comm = r.comms.name(rec.TID)
		}
		return fn(to)
	}
}

// IsFamily reports whether a process is one of [ReaderOptions.Family], or was
// made by one of them until now.
func (r *Reader) IsFamily(pid uint32) bool { return r.family.members[pid] }

// Monotonic reports whether the times are of CLOCK_MONOTONIC (from 4.1).
func (r *Reader) Monotonic() bool { return r.rings.Clock() == perfring.ClockMonotonic }

// Lost returns how many records did not fit into the rings; it is exact after
// Disable and Drain.
func (r *Reader) Lost() uint64 { return r.rings.Lost() }

// Warning returns what the user should know although everything works, nil if
// there is nothing.
func (r *Reader) Warning() error { return errors.Join(r.fell, r.rings.Warning()) }

// Close ends recording and frees the rings. It may be called more than once.
func (r *Reader) Close() error { return r.rings.Close() }

func pages(bytes int) int {
	if bytes <= 0 {
		return 0
	}
	n := 1
	for n*4096 < bytes {
		n *= 2
	}
	return n
}
