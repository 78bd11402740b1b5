package session

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/output"
)

// openSinks opens what events are written to: packets, where Packets says so,
// and lines, unless there are packets and nothing asks for lines as well.
func (r *run) openSinks() (func() error, error) {
	cfg, schema := r.cfg, &r.attached.program.Schema
	opts := output.Options{Wide: cfg.Wide, Timestamp: cfg.Timestamp, Stack: cfg.Stack, UserStack: cfg.UserStack}
	var files []func() error
	closeAll := func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	open := func(name string) (io.Writer, error) {
		w, closeFile, err := cfg.open(name)
		if err == nil {
			files = append(files, closeFile)
		}
		return w, err
	}
	var sinks []output.Sink
	if cfg.Packets != "" {
		name := cfg.Packets
		if name == "-" {
			name = ""
		}
		w, err := open(name)
		if err != nil {
			return nil, err
		}
		if r.packets, err = output.NewPackets(w, schema, "skprobe "+Version(), opts); err != nil {
			return nil, errors.Join(&Error{Status: ExitUsage, Err: err}, closeAll())
		}
		sinks = append(sinks, r.packets)
	}
	if cfg.lines() {
		w, err := open(cfg.Output)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		sink, err := r.newSink(w, opts)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		sinks = append(sinks, sink)
	}
	r.sink = output.Tee(sinks...)
	return closeAll, nil
}

// open opens a file for events, "" for standard output.
func (cfg *Config) open(name string) (io.Writer, func() error, error) {
	if name == "" {
		return cfg.Stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, nil, &Error{Status: ExitFailed, Err: err}
	}
	return f, f.Close, nil
}

// lines tells whether events are shown, or counted, as lines.
func (cfg *Config) lines() bool {
	return cfg.Packets == "" || cfg.Print || cfg.Output != "" || cfg.Counting != nil
}

// usesStdout tells whether anything is written to standard output.
func (cfg *Config) usesStdout() bool {
	return cfg.Packets == "-" || cfg.lines() && cfg.Output == ""
}

// sayWithout says which events are not in the packet file.
func (r *run) sayWithout() {
	if n := output.Without(r.packets); n > 0 {
		fmt.Fprintf(r.cfg.Stderr, "skprobe: warning: %d events are not in %s: no header of their packets was where its bytes were recorded\n", n, r.cfg.Packets)
	}
}

// watchReader ends the run when whoever reads our standard output goes away,
// though there may be no event to notice it by.
func watchReader(cfg *Config, cancel func()) {
	if !cfg.usesStdout() || cfg.Stdout == nil {
		return
	}
	info, err := cfg.Stdout.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	fd := int32(cfg.Stdout.Fd())
	go func() {
		for {
			fds := []unix.PollFd{{Fd: fd}}
			_, err := unix.Poll(fds, -1)
			if fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
				cancel()
				return
			}
			if err != nil && err != unix.EINTR {
				return
			}
		}
	}()
}
