package kprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/tracefs"
)

// A Probe is a Spec in the kernel. It records nothing until a [Reader] opens
// it, and exists until Close.
type Probe struct {
	Spec   Spec
	ID     uint64 // of the event, as perf_event_open takes it
	format *tracefs.Format
	fs     *tracefs.FS
	closed bool
	static bool // a tracepoint of the kernel's own
}

// Open defines the probe. The error is that of [tracefs.FS.Define], with the
// kernel's own words where it has any, and nothing is left behind.
func Open(tfs *tracefs.FS, spec Spec) (*Probe, error) {
	if spec.Group == "" {
		group, err := tfs.Group()
		if err != nil {
			return nil, err
		}
		spec.Group = group
	}
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := tfs.Define(spec.String()); err != nil {
		return nil, err
	}
	p := &Probe{Spec: spec, fs: tfs}
	format, err := tfs.Format(spec.Group, spec.Event)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s is defined but its format cannot be read: %w", spec.Event, err), p.Close())
	}
	p.format, p.ID = format, uint64(format.ID)
	return p, nil
}

// Append adds another function to the probe, which records the same arguments of
// it. See [tracefs.FS.Append].
func (p *Probe) Append(symbol string) error {
	spec := p.Spec
	spec.Symbol = symbol
	return p.fs.Append(spec.String())
}

// OpenTracepoint finds a static event of the kernel, "sock:inet_sock_set_state".
// Nothing is defined for it, and Close removes nothing. An event that does not
// exist gives an error that wraps [fs.ErrNotExist].
func OpenTracepoint(tfs *tracefs.FS, name string) (*Probe, error) {
	group, event, _ := strings.Cut(name, ":")
	format, err := tfs.Format(group, event)
	if err != nil {
		return nil, fmt.Errorf("tracepoint %s: %w", name, err)
	}
	return &Probe{Spec: Spec{Group: group, Event: event}, ID: uint64(format.ID), format: format, fs: tfs, closed: true, static: true}, nil
}

// Places returns where the kernel puts the probe's arguments in a record.
func (p *Probe) Places() []fetchargs.ArgPlace {
	var places []fetchargs.ArgPlace
	for _, f := range p.format.Fields {
		places = append(places, fetchargs.ArgPlace{Name: f.Name, Offset: f.Offset, Size: f.Size})
	}
	return places
}

// CheckFilter asks the kernel whether it takes the filter; the error is a
// [*tracefs.FilterError] with its words.
func (p *Probe) CheckFilter(filter string) error {
	if filter == "" || p.static { // trying would change the filter of the system's own event
		return nil
	}
	return p.fs.CheckFilter(p.Spec.Group, p.Spec.Event, filter)
}

// Missed returns how often the kernel could not run the probe.
func (p *Probe) Missed() (uint64, error) {
	if p.static || p.Spec.Tracepoint != "" || p.Spec.File != "" { // of which nothing is missed, or nothing known
		return 0, nil
	}
	profile, err := p.fs.Profile()
	if err != nil {
		return 0, err
	}
	for name, counts := range profile {
		if name.Event == p.Spec.Event && (name.Group == "" || name.Group == p.Spec.Group) {
			return counts.Misses, nil
		}
	}
	return 0, nil
}

// Close removes the probe from the kernel. A reader of it must be closed
// before. It may be called more than once.
func (p *Probe) Close() error {
	if p.closed {
		return nil
	}
	err := p.fs.Remove(p.Spec.Group, p.Spec.Event)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		p.closed = true
		return nil
	}
	return err
}
