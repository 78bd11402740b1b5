// Record writes what the kernel wrote for some datagrams of bench/load under the probe of skprobe's udp tool: the record of
// each, the probe's definition and the event's format file. Benchmarks decode them on any machine. It needs root.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/skprobe/skprobe/bench/udp"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// A recording is what is written, as JSON.
type recording struct {
	Kernel     string   `json:"kernel"`
	Definition string   `json:"definition"`
	Format     string   `json:"format"`
	Records    []string `json:"records"` // in hexadecimal
}

func main() {
	out := flag.String("o", "udp_sendmsg.json", "`file` to write")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(out string, program []string) error {
	if len(program) == 0 {
		return errors.New("which program sends the datagrams?")
	}
	tfs, err := tracefs.Open()
	if err != nil {
		return err
	}
	defer tfs.Close()
	probe, err := udp.Define(tfs)
	if err != nil {
		return err
	}
	defer probe.Close()
	format, err := os.ReadFile(filepath.Join(tfs.Root(), "events", probe.Spec.Group, probe.Spec.Event, "format"))
	if err != nil {
		return err
	}
	records, err := read(probe, program)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(recording{session.KernelName(), probe.Spec.String(), string(format), records}, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// read runs the program and returns the records of what it sends.
func read(probe *udp.Probe, program []string) (records []string, err error) {
	r, err := kprobe.NewReader([]kprobe.Source{{Probe: probe.Probe}}, kprobe.ReaderOptions{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.Enable(); err != nil {
		return nil, err
	}
	if err := exec.Command(program[0], program[1:]...).Run(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	keep := func(rec *kprobe.Record) error {
		records = append(records, hex.EncodeToString(rec.Raw))
		return nil
	}
	if err := errors.Join(r.Read(ctx, keep), r.Disable(), r.Drain(keep)); err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errors.New("nothing was recorded")
	}
	return records, nil
}
