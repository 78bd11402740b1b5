package kprobe

import "fmt"

// A Backend is the way in which records come from the kernel.
type Backend uint8

const (
	// Auto is Perf, and Tracefs where the kernel refuses perf_event_open or
	// a source is an event probe.
	Auto Backend = iota
	// Perf is the rings of perf_event_open.
	Perf
	// Tracefs is a tracing instance of tracefs. It cannot limit records to a cgroup, and tells processes only in the initial pid
	// namespace.
	Tracefs
)

func (b Backend) String() string {
	switch b {
	case Auto:
		return "auto"
	case Perf:
		return "perf"
	case Tracefs:
		return "tracefs"
	}
	return fmt.Sprintf("Backend(%d)", uint8(b))
}

// ParseBackend is the reverse of [Backend.String].
func ParseBackend(s string) (Backend, error) {
	for _, b := range []Backend{Auto, Perf, Tracefs} {
		if b.String() == s {
			return b, nil
		}
	}
	return Auto, fmt.Errorf("%q is none of auto, perf and tracefs", s)
}
