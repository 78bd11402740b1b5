// Package perfring reads tracepoint records from perf's rings: opened disabled and with their filters set, one ring per online CPU
// shared by all events and a small one for names of threads, one sleeper for all rings, records in the order of time across CPUs, losses counted.
//
// Events are opened through go-perf. The rings are mapped and decoded here, because go-perf copies each record, keeps a goroutine and an
// eventfd per ring and does not check bounds; what it lacks besides (PERF_EVENT_IOC_SET_FILTER, kernels before 3.12) is here too.
//
// # When records are delivered
//
// Waking the reader for each event halves the speed of the traced program, so the kernel wakes it only when a quarter of a
// ring is full. Between, a timer looks at the rings, often enough that no record lies longer than Config.Latency. In quiet times
// there is no timer: the reader sleeps until the next record, which wakes it at once (see alarm).
//
// # Order
//
// A record gets its time before its place in the ring, and the rings of several CPUs are read one after the other. So what is
// delivered is what is older than a short horizon (a fifth of Latency, at most 10 ms) before the rings were looked at; younger
// records stay in their rings for the next time. Where the clock is the kernel's own (before 4.1), which cannot be read here,
// it is what is not younger than the newest record of the look before.
package perfring

import (
	"os"
	"time"
)

// Config says what to read.
type Config struct {
	// Events are the tracepoints (dynamic or static) to read.
	Events []Event
	// Pids are threads to watch (thread ids as this process sees them), on every CPU. Nil watches everything on every CPU.
	Pids []int
	// Inherit adds the threads and processes that Pids make from now on.
	Inherit bool
	// Cgroup is the folder of a cgroup whose processes are watched, of the unified hierarchy or of perf_event's. Nil for all.
	Cgroup *os.File
	// Pages is the number of data pages of each CPU's ring, a power of two. 0 stands for 512 KiB.
	Pages int
	// Stack adds the kernel's call chain to each sample.
	Stack bool
	// UserStack adds the call chain of the program that is current, as far as its frame pointers lead.
	UserStack bool
	// Comm adds records about new names of threads, new threads and the end of threads, of all watched ones.
	Comm bool
	// Latency is how long a record may lie in a ring before it is delivered. 0 stands for 50 ms.
	Latency time.Duration
	// EnableOnExec lets the kernel enable everything when one of Pids next calls execve. Enable is not needed then.
	EnableOnExec bool
	// Batch, if not nil, is called by Read after the samples of each look at the rings that had some. Its error ends Read.
	Batch func() error
	// Every, if not 0, is how often Read calls Tick, whether there are records or not: after the records of before that time (nanoseconds,
	// CLOCK_MONOTONIC) and before the later ones, with ClockPerf after what was there. Its error ends Read.
	Every time.Duration
	Tick  func(time uint64) error
}

// Event is one tracepoint.
type Event struct {
	// ID is the event's number, from events/GROUP/EVENT/id in tracefs.
	ID uint64
	// Filter is a filter in the kernel's language (Documentation/trace/events.rst), or empty.
	Filter string
	// CPUs are those on which it is opened, nil for all.
	CPUs []int
}

// Clock is the clock of Record.Time.
type Clock uint8

const (
	// ClockMonotonic is CLOCK_MONOTONIC of clock_gettime(2), from 4.1.
	ClockMonotonic Clock = iota
	// ClockPerf is the kernel's scheduler clock (local_clock), whose zero is about the boot and which user space cannot read.
	ClockPerf
)

func (c Clock) String() string {
	if c == ClockMonotonic {
		return "monotonic"
	}
	return "perf"
}

const (
	defaultRing    = 512 << 10
	defaultLatency = 50 * time.Millisecond
	maxHorizon     = 10 * time.Millisecond
)

// horizon is how far before the look at the rings records are taken for complete.
func horizon(latency time.Duration) time.Duration {
	return min(maxHorizon, latency/5)
}
