package kprobe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/skprobe/skprobe/internal/perfring"
	"github.com/skprobe/skprobe/internal/tracering"
)

// rings are what both backends have.
type rings interface {
	Enable() error
	Disable() error
	Read(context.Context, func(*perfring.Record) error) error
	Drain(func(*perfring.Record) error) error
	Clock() perfring.Clock
	Lost() uint64
	Warning() error
	Close() error
}

// open opens the rings of the backend that was asked for, or that the kernel allows.
func (r *Reader) open(sources []Source, o ReaderOptions) (err error) {
	if o.Backend == Auto && slices.ContainsFunc(sources, isEventProbe) {
		o.Backend = Tracefs
	}
	switch o.Backend {
	case Perf:
		r.rings, err = openPerf(sources, o)
	case Tracefs:
		r.rings, err = openTracefs(sources, o)
	default:
		r.rings, err = openPerf(sources, o)
		if refusesPerf(err) {
			o.Backend = Tracefs
			return r.fallBack(err, sources, o)
		}
		o.Backend = Perf
	}
	r.backend = o.Backend
	return err
}

// fallBack opens the other backend after perf was refused.
func (r *Reader) fallBack(refusal error, sources []Source, o ReaderOptions) (err error) {
	r.rings, err = openTracefs(sources, o)
	if err != nil {
		return fmt.Errorf("%w; and reading through tracefs instead: %w", refusal, err)
	}
	r.backend = Tracefs
	r.fell = fmt.Errorf("reading through tracefs instead of perf: %w", refusal)
	return nil
}

// refusesPerf tells whether an error is one of perf_event_open that tracefs may not give: no rights, a seccomp filter, a
// kernel without perf.
func refusesPerf(err error) bool {
	var refused *perfring.Error
	if !errors.As(err, &refused) {
		return false
	}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.ENOSYS, syscall.ENOENT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// isEventProbe tells of sources that only tracefs reads: to perf_event_open the kernel says yes, and sends nothing
// (eprobe_register in kernel/trace/trace_eprobe.c).
func isEventProbe(s Source) bool { return s.Probe.Spec.Tracepoint != "" }

func openPerf(sources []Source, o ReaderOptions) (rings, error) {
	if i := slices.IndexFunc(sources, isEventProbe); i >= 0 {
		return nil, fmt.Errorf("the event probe on %s cannot be read through perf, only through tracefs: %w", sources[i].Probe.Spec.Tracepoint, errors.ErrUnsupported)
	}
	if o.Tracer != "" {
		return nil, fmt.Errorf("the %s tracer cannot be read through perf, only through tracefs: %w", o.Tracer, errors.ErrUnsupported)
	}
	cfg := perfring.Config{
		Pids: o.PIDs, Inherit: o.Inherit, EnableOnExec: o.EnableOnExec,
		Stack: o.Stack, UserStack: o.UserStack, Comm: true, Latency: o.Latency, Pages: pages(o.RingSize), Batch: o.Batch,
		Every: o.Every, Tick: o.Tick,
	}
	for _, s := range sources {
		cfg.Events = append(cfg.Events, perfring.Event{ID: s.Probe.ID, Filter: s.Filter, CPUs: s.CPUs})
	}
	if o.Cgroup != "" {
		dir, err := os.Open(o.Cgroup)
		if err != nil {
			return nil, fmt.Errorf("cgroup: %w", err)
		}
		defer dir.Close()
		cfg.Cgroup = dir
	}
	opened, err := perfring.Open(cfg)
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// onCPUs adds to a filter that a record is of one of some CPUs.
func onCPUs(filter string, cpus []int) string {
	if cpus == nil {
		return filter
	}
	var all []string
	for _, cpu := range cpus {
		all = append(all, fmt.Sprintf("cpu == %d", cpu))
	}
	only := strings.Join(all, " || ")
	if filter == "" {
		return only
	}
	return fmt.Sprintf("(%s) && (%s)", filter, only)
}

func openTracefs(sources []Source, o ReaderOptions) (rings, error) {
	if o.Cgroup != "" {
		return nil, fmt.Errorf("tracefs cannot limit records to a cgroup, only perf can: %w", errors.ErrUnsupported)
	}
	if len(sources) == 0 {
		return nil, errors.New("kprobe: no probes")
	}
	if o.UserStack {
		return nil, fmt.Errorf("stacks of programs come through perf only, and not through tracefs: %w", errors.ErrUnsupported)
	}
	cfg := tracering.Config{
		FS: sources[0].Probe.fs, Pids: o.PIDs, Inherit: o.Inherit, EnableOnExec: o.EnableOnExec,
		Stack: o.Stack, Latency: o.Latency, Size: o.RingSize, Batch: o.Batch, Tracer: o.Tracer, Traced: o.Traced, TracedArgs: o.TracedArgs,
		Every: o.Every, Tick: o.Tick,
	}
	for _, s := range sources {
		cfg.Events = append(cfg.Events, tracering.Event{Group: s.Probe.Spec.Group, Name: s.Probe.Spec.Event, ID: uint16(s.Probe.ID), Filter: onCPUs(s.Filter, s.CPUs)})
	}
	opened, err := tracering.Open(cfg)
	if err != nil {
		return nil, err
	}
	return opened, nil
}
