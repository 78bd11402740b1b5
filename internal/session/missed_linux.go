package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// missed is how many hits the kernel could not take. Before 5.14 it counts among
// them each fault of a fetch (kprobe_fault_handler, two for each on amd64): what a
// probe that follows pointers missed cannot be told then, and is no more than
// unclear.
func (a *attached) missed(tfs *tracefs.FS) (missed, unclear uint64) {
	for _, s := range a.sources {
		n, err := s.probe.Missed()
		switch {
		case err != nil:
		case s.half.Plan.MayFault():
			unclear += n
		default:
			missed += n
		}
	}
	if unclear > 0 && !countsFaults(tfs) {
		missed, unclear = missed+unclear, 0
	}
	return missed, unclear
}

// countsFaults tries whether this kernel counts faults as misses: it is made to
// fetch from an address that nothing has. What cannot be tried it does not.
func countsFaults(tfs *tracefs.FS) bool {
	third, err := arch.Param(2) // of __set_task_comm: false or true
	if err != nil {
		return false
	}
	nowhere := fetchargs.Arg{Name: "a", Base: third, Loads: []fetchargs.Load{{Offset: 16}}, Type: fetchargs.ArgType{Name: "u8"}}
	probe, err := kprobe.Open(tfs, kprobe.Spec{Event: "faults", Symbol: trialFunc, Args: []fetchargs.Arg{nowhere}})
	if err != nil {
		return false
	}
	defer probe.Close()
	if err := hitOnce(probe, kprobe.Auto); err != nil {
		return false
	}
	n, err := probe.Missed()
	return err == nil && n > 0
}

// hitOnce makes the kernel run into a probe on trialFunc, and reads a record.
func hitOnce(probe *kprobe.Probe, backend kprobe.Backend) (err error) {
	reader, err := kprobe.NewReader([]kprobe.Source{{Probe: probe}}, kprobe.ReaderOptions{Backend: backend, Latency: 2 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if err := reader.Enable(); err != nil {
		return err
	}
	if err := renameSelf(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err = reader.Read(ctx, func(*kprobe.Record) error { return errEnough })
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s ran, and no record came in 2 s", trialFunc)
	}
	return err
}
