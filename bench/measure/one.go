package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// The limits on one processor.
const (
	maxSlowDown    = 1.30
	maxOwn         = 3.0 // µs per event, writing included
	maxArmedCold   = 300 // ms, layouts from BTF
	maxArmedCached = 60  // ms, layouts from an earlier run
	maxCalibration = 2   // s, from exec to exit
	maxResident    = 30  // MB
	maxBinary      = 12  // MB
	maxFiltered    = 0.1 // µs per event that the kernel filters out
)

// oneCPU measures what watching costs where the load and the reader share a processor.
func (m *measurement) oneCPU() error {
	base, err := m.untraced()
	if err != nil {
		return err
	}
	t := &costs{base: base}
	t.add("untraced", base, nil)

	definitions, err := m.startUp()
	if err != nil {
		return err
	}
	if err := m.calibration(); err != nil {
		return err
	}
	file := filepath.Join(m.tmp, "events")
	for _, run := range []struct {
		format, to, backend string
	}{
		{"json", file, "auto"}, {"json", os.DevNull, "auto"}, {"table", file, "auto"}, {"json", file, "tracefs"}, {"json", os.DevNull, "tracefs"},
	} {
		if err := m.traced(t, run.format, run.to, run.backend); err != nil {
			return err
		}
	}
	if err := m.varied(t); err != nil {
		return err
	}
	if err := m.filtered(t); err != nil {
		return err
	}
	if err := m.tracefs(t, definitions); err != nil {
		return err
	}
	m.peers(t)
	if err := m.size(); err != nil {
		return err
	}
	fmt.Printf("%d sends of 64 bytes, one processor, %.2f µs each untraced; medians of %d runs.\n\n", m.sends, perEvent(base.Elapsed, m.sends), m.repeat)
	printRows(os.Stdout, costsHead, t.rows)
	return nil
}

// untraced is the load alone.
func (m *measurement) untraced() (*sending, error) {
	var all []*sending
	for range m.repeat {
		s, err := m.send()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return middle(all), nil
}

// varied measures datagrams of which no two neighbours are alike. What skprobe shows of one can then not be copied from the one
// before, and the load itself is another.
func (m *measurement) varied(t *costs) error {
	m.vary = 64
	defer func() { m.vary = 1 }()
	base, err := m.untraced()
	if err != nil {
		return err
	}
	own := &costs{base: base}
	if err := m.traced(own, "json", os.DevNull, "auto"); err != nil {
		return err
	}
	for _, r := range own.rows {
		r.what += ", ports and sizes vary"
		t.rows = append(t.rows, r)
	}
	return nil
}

// startUp measures how long skprobe takes from exec to armed, and returns the definitions that it wrote.
func (m *measurement) startUp() (definitions []string, err error) {
	var cold, cached []float64
	for i := range m.repeat {
		cache := filepath.Join(m.tmp, "cache"+strconv.Itoa(i))
		for _, times := range []*[]float64{&cold, &cached} {
			t, err := m.startTracer(cache, "udp", "-v", "--format", "json", "-o", os.DevNull)
			if err != nil {
				return nil, err
			}
			*times = append(*times, milliseconds(t.armed))
			_, said, err := t.stop()
			if err != nil {
				return nil, err
			}
			definitions = kprobeDefinitions(said)
		}
	}
	m.check("exec → armed, layouts from BTF", median(cold), maxArmedCold, " ms")
	m.check("exec → armed, layouts kept from the last run", median(cached), maxArmedCached, " ms")
	return definitions, nil
}

// calibration measures how long skprobe takes to measure the layouts of a kernel without type information.
func (m *measurement) calibration() error {
	var all []float64
	for i := range m.repeat {
		cmd := exec.Command(m.skprobe, "calibrate")
		cmd.Env = append(os.Environ(), "SKPROBE_CACHE="+filepath.Join(m.tmp, "measured"+strconv.Itoa(i)))
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("skprobe calibrate: %w: %s", err, out)
		}
		all = append(all, time.Since(start).Seconds())
	}
	m.check("calibrate, all of it", median(all), maxCalibration, " s")
	return nil
}

// watched is what one run of the load under skprobe took.
type watched struct {
	*sending
	own      time.Duration // CPU time of skprobe while the load ran, and until it had written everything
	resident int64
	counts   *counts
}

// watch runs the load while a tool of skprobe traces.
func (m *measurement) watch(tool string, args ...string) (*watched, error) {
	t, err := m.startTracer(filepath.Join(m.tmp, "cache"), append([]string{tool}, args...)...)
	if err != nil {
		return nil, err
	}
	time.Sleep(200 * time.Millisecond) // what it does after its start is not what it costs
	before, err := t.cpu()
	if err != nil {
		return nil, err
	}
	s, err := m.send()
	if err != nil {
		return nil, err
	}
	time.Sleep(200 * time.Millisecond)
	after, err := t.cpu()
	if err != nil {
		return nil, err
	}
	resident, err := t.resident()
	if err != nil {
		return nil, err
	}
	c, _, err := t.stop()
	return &watched{sending: s, own: after - before, resident: resident, counts: c}, err
}

var formatNames = map[string]string{"json": "JSON", "table": "table"}

// traced measures a live run.
func (m *measurement) traced(t *costs, format, to, backend string) error {
	var all []*sending
	var own []time.Duration
	var resident int64
	for range m.repeat {
		w, err := m.watch("udp", "--format", format, "--backend", backend, "-o", to)
		if err != nil {
			return err
		}
		if w.counts.events+w.counts.lost+w.counts.missed != m.sends || w.counts.events != m.sends {
			return fmt.Errorf("skprobe counted %+v of %d events", *w.counts, m.sends)
		}
		all, own, resident = append(all, w.sending), append(own, w.own), max(resident, w.resident)
	}
	s, o := middle(all), median(own)
	what := fmt.Sprintf("skprobe, %s to %s", formatNames[format], place(to))
	if backend != "auto" {
		what += ", --backend " + backend
	}
	t.add(what, s, &o)
	if format == "json" && backend == "auto" && m.vary == 1 {
		where := "JSON to " + place(to)
		m.check("slow-down of the load, "+where, ratio(s.Elapsed, t.base.Elapsed), maxSlowDown, "×")
		m.check("skprobe's own work per event, "+where, perEvent(o, m.sends), maxOwn, " µs")
		m.check("resident memory, "+where, float64(resident)/1e6, maxResident, " MB")
	}
	return nil
}

// filtered measures what events cost that a condition holds back in the kernel.
func (m *measurement) filtered(t *costs) error {
	w, err := m.watch("udp", "--format", "json", "-o", os.DevNull, "--where", "rport == 53")
	if err != nil {
		return err
	}
	idle, err := m.idle(w.Elapsed, "--where", "rport == 53")
	if err != nil {
		return err
	}
	own := w.own - idle
	t.add("skprobe, --where 'rport == 53'", w.sending, &own)
	m.checkExactly("events that --where lets through", w.counts.events, 0)
	m.check("skprobe's own work per event that --where holds back", perEvent(max(0, own), m.sends), maxFiltered, " µs")
	return nil
}

// idle is the CPU time that skprobe takes when nothing happens for as long as a load ran.
func (m *measurement) idle(d time.Duration, args ...string) (time.Duration, error) {
	t, err := m.startTracer(filepath.Join(m.tmp, "cache"), append([]string{"udp", "--format", "json", "-o", os.DevNull}, args...)...)
	if err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond)
	before, err := t.cpu()
	if err != nil {
		return 0, err
	}
	time.Sleep(d + 200*time.Millisecond)
	after, err := t.cpu()
	if err != nil {
		return 0, err
	}
	_, _, err = t.stop()
	return after - before, err
}

// size checks the size of the program.
func (m *measurement) size() error {
	st, err := os.Stat(m.skprobe)
	if err != nil {
		return err
	}
	m.check("size of the program", float64(st.Size())/1e6, maxBinary, " MB")
	return nil
}

func place(file string) string {
	if file == os.DevNull {
		return file
	}
	return "a file"
}
