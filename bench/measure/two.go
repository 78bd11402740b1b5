package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// twoCPUs counts what skprobe captures while the load has a processor for itself.
func (m *measurement) twoCPUs() error {
	base, err := m.send()
	if err != nil {
		return err
	}
	t := &costs{base: base}
	t.add("untraced", base, nil)
	for _, to := range []string{os.DevNull, filepath.Join(m.tmp, "events")} {
		w, err := m.watchCalmly("--format", "json", "--comm", filepath.Base(m.load), "-o", to)
		if err != nil {
			return err
		}
		own := w.own
		t.add("skprobe, JSON to "+place(to), w.sending, &own)
		m.checkExactly("captured and lost, JSON to "+place(to), w.counts.events+w.counts.lost+w.counts.missed, m.sends)
		if to == os.DevNull {
			m.checkExactly("lost, JSON to "+place(to), w.counts.lost+w.counts.missed, 0)
			continue
		}
		n, err := lines(to)
		if err != nil {
			return err
		}
		m.checkExactly("lines of the file, of "+strconv.Itoa(w.counts.events)+" events counted", n, w.counts.events)
	}
	if err := m.filtered(t); err != nil {
		return err
	}
	fmt.Printf("%d sends of 64 bytes, %d processors, %.2f µs each untraced; one run each.\n\n", m.sends, runtime.NumCPU(), perEvent(base.Elapsed, m.sends))
	printRows(os.Stdout, costsHead, t.rows)
	return nil
}

// tries is how often a run with losses is made again. A ring holds what happens in some tens of milliseconds; a virtual
// machine whose processor the host takes away for longer loses events, and that says nothing about skprobe.
const tries = 3

// watchCalmly runs the load while skprobe traces, again if something was lost.
func (m *measurement) watchCalmly(args ...string) (w *watched, err error) {
	for range tries {
		if w, err = m.watch("udp", args...); err != nil || w.counts.lost == 0 {
			return w, err
		}
		fmt.Printf("%d of %d events lost.\n\n", w.counts.lost, m.sends)
	}
	return w, nil
}
