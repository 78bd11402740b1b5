// Package tracering reads the records of events from a tracing instance of tracefs, for where perf_event_open is refused. It has the shape
// of package perfring and delivers the same records.
//
// What is read are the binary pages of per_cpu/cpuN/trace_pipe_raw: the records are those that perf would give, byte by byte.
//
// # When records are delivered
//
// A timer looks at the rings, after Config.Latency when there is little to read and sooner the fuller they were. Where the kernel can wake
// for rings that are a quarter full (6.1, and stable kernels) that ends the pause; older ones would wake for single records,
// which costs the traced program more than the event, so that a sudden flood there loses what does not fit into a ring meanwhile.
//
// # Processes
//
// A record has the number of its thread in the initial pid namespace and nothing else about it. So the instance also records new threads,
// new names, execve and ends (task:task_newtask, task:task_rename, sched:sched_process_exec, sched:sched_process_exit), from which
// and from /proc the process is known. The limit to threads is the kernel's own where it can follow children (set_event_pid with
// options/event-fork, 4.7), and otherwise made here from the same records.
//
// # Loss
//
// A ring that is full takes no more (as perf's do; 3.10 instead gives up the oldest records). How many were lost is what
// per_cpu/cpuN/stats says, stacks and records about threads included.
package tracering

import (
	"errors"
	"fmt"
	"time"

	"github.com/skprobe/skprobe/tracefs"
)

// Config says what to read. Fields that are also in perfring.Config mean the same.
type Config struct {
	// FS is the tracefs in which the instance is made.
	FS     *tracefs.FS
	Events []Event
	// Pids are threads to watch; with Inherit also what they make from now on. In another pid namespace than the initial one
	// they cannot be told apart, and Open refuses them.
	Pids    []int
	Inherit bool
	// EnableOnExec starts with Open, and leaves out everything before the first execve of one of Pids.
	EnableOnExec bool
	// Size is the size in bytes of the ring of each CPU. 0 stands for 512 KiB.
	Size  int
	Stack bool
	// Tracer, if not "", makes records of the functions Traced, or of patterns of them: function, or function_graph (6.11). They are events of
	// the group ftrace.
	Tracer string
	Traced []string
	// TracedArgs has function_graph record arguments too, where the instance has options/funcgraph-args (6.15).
	TracedArgs bool
	Latency    time.Duration
	Batch      func() error
	Every      time.Duration
	Tick       func(time uint64) error
}

// Event is one event: dynamic or static.
type Event struct {
	Group, Name string
	// ID is the event's number, with which its records begin.
	ID     uint16
	Filter string
}

const (
	defaultSize    = 512 << 10
	defaultLatency = 50 * time.Millisecond
	minPause       = time.Millisecond
	maxHorizon     = 10 * time.Millisecond
)

// horizon is how far before the look at the rings records are taken for complete.
func (cfg *Config) horizon() time.Duration { return min(maxHorizon, cfg.Latency/5) }

func (cfg *Config) check() error {
	if cfg.Size == 0 {
		cfg.Size = defaultSize
	}
	if cfg.Latency == 0 {
		cfg.Latency = defaultLatency
	}
	switch {
	case cfg.FS == nil:
		return errors.New("tracering: no tracefs")
	case len(cfg.Events) == 0:
		return errors.New("tracering: no events")
	case cfg.Size < 0:
		return fmt.Errorf("tracering: rings of %d bytes", cfg.Size)
	case cfg.Latency < minPause:
		return fmt.Errorf("tracering: a latency of %v: less than a millisecond", cfg.Latency)
	case cfg.Pids == nil && (cfg.Inherit || cfg.EnableOnExec):
		return errors.New("tracering: Inherit and EnableOnExec need Pids")
	}
	return nil
}
