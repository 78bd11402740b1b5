// Ring measures the way of an event from perf's ring to its line of JSON, with everything on it: the ring's reader, the names of
// threads, the decoder, the encoder. It fails when that way allocates memory. It needs root.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/skprobe/skprobe/bench/udp"
	"github.com/skprobe/skprobe/internal/output"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

const (
	events = 2000 // which a ring of the default size holds
	rounds = 7
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ring:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	tfs, err := tracefs.Open()
	if err != nil {
		return err
	}
	defer tfs.Close()
	probe, err := udp.Define(tfs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	sink, err := output.New("json", io.Discard, &probe.Program.Schema, output.Options{})
	if err != nil {
		return err
	}
	reader, err := kprobe.NewReader([]kprobe.Source{{Probe: probe.Probe}}, kprobe.ReaderOptions{})
	if err != nil {
		return err
	}
	defer reader.Close()

	ev := probe.Program.NewEvent()
	n := 0
	line := func(rec *kprobe.Record) error {
		if ok, err := probe.Compiled.Decode(probe.Compiled.Entry, rec.TID, rec.Raw, ev); !ok || err != nil {
			return errors.Join(errors.New("a record is no datagram"), err)
		}
		ev.Mono, ev.Wall, ev.CPU = rec.Time, int64(rec.Time), rec.CPU
		ev.PID, ev.TID, ev.Comm, ev.Stack = rec.PID, rec.TID, rec.Comm, rec.Stack
		n++
		return sink.Event(ev)
	}
	var times []time.Duration
	var allocations uint64
	for round := range rounds + 1 {
		n = 0
		if err := errors.Join(reader.Enable(), send(), reader.Disable()); err != nil {
			return err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		if err := errors.Join(reader.Drain(line), sink.Flush()); err != nil {
			return err
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if n != events {
			return fmt.Errorf("%d events of %d", n, events)
		}
		if round > 0 { // in the first, buffers grow to their size
			times = append(times, took/events)
			allocations += after.Mallocs - before.Mallocs
		}
	}
	slices.Sort(times)
	fmt.Printf("From ring to line of JSON: %d ns and %.4f allocations per event (%d events, no two alike).\n\n",
		times[rounds/2].Nanoseconds(), float64(allocations)/rounds/events, events)
	if allocations/rounds >= events/100 { // a look at the rings may allocate, an event may not
		return fmt.Errorf("%d allocations for %d events; there must be none for an event", allocations/rounds, events)
	}
	return nil
}

// send sends datagrams, each to another port and of another size than the one before.
func send() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	var payload [128]byte
	for i := range events {
		to := &syscall.SockaddrInet4{Port: 1024 + i%64, Addr: [4]byte{127, 0, 0, 1}}
		if err := syscall.Sendto(fd, payload[:64+i%64], 0, to); err != nil {
			return os.NewSyscallError("sendto", err)
		}
	}
	return nil
}
