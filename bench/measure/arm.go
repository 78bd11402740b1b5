package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxArming is how long all of it may take with skprobe, in seconds.
const maxArming = 2

// armed are the patterns that skprobe is given; peers are given the functions.
var armed = []string{"tcp_*", "udp_*", "sock_*"}

// arming measures what it takes to probe some hundreds of functions, and to take the probes away.
func (m *measurement) arming() error {
	functions, err := matching(armed)
	if err != nil {
		return err
	}
	var rows []row
	add := func(what string, steps ...time.Duration) {
		var cells []string
		var sum time.Duration
		for _, d := range steps {
			sum += d
			cells = append(cells, fmt.Sprintf("%.2f", d.Seconds()))
		}
		rows = append(rows, row{what, append(cells, fmt.Sprintf("%.2f", sum.Seconds()))})
	}

	skprobe := func(what string, args ...string) (together time.Duration, err error) {
		start := time.Now()
		t, err := m.startTracer(filepath.Join(m.tmp, "cache"), append(args, armed...)...)
		if err != nil {
			return 0, err
		}
		stop := time.Now()
		if _, _, err := t.stop(); err != nil {
			return 0, err
		}
		add(what, t.armed, time.Since(stop))
		return time.Since(start), nil
	}
	together, err := skprobe("skprobe probe", "probe", "-o", os.DevNull)
	if err != nil {
		return err
	}
	m.check(fmt.Sprintf("skprobe probe: %d functions armed and taken away", len(functions)), together.Seconds(), maxArming, " s")
	if _, err := skprobe("skprobe probe --backend perf: kprobes, one event for all", "probe", "-o", os.DevNull, "--backend", "perf"); err != nil {
		return err
	}
	if _, err := skprobe("skprobe graph", "graph", "-o", os.DevNull); err != nil {
		return err
	}

	if err := m.armByHand(functions, add); err != nil {
		return err
	}
	m.armByPeers(functions, add)
	fmt.Printf("%d functions.\n\n", len(functions))
	printRows(os.Stdout, []string{"", "defined and enabled, s", "disabled and removed, s", "together, s"}, rows)
	return nil
}

// matching are the functions that can be traced and match a pattern, each name once.
func matching(patterns []string) (functions []string, err error) {
	text, err := os.ReadFile(tracing + "/available_filter_functions")
	if err != nil {
		return nil, err
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); !strings.Contains(name, " ") { // of no module
			for _, p := range patterns {
				if ok, _ := filepath.Match(p, name); ok {
					times[name]++
				}
			}
		}
	}
	for name, n := range times {
		if n == 1 && !strings.Contains(name, ".") {
			functions = append(functions, name)
		}
	}
	slices.Sort(functions)
	return functions, nil
}

// armByHand is what a script with echo does: an event for each function.
func (m *measurement) armByHand(functions []string, add func(string, ...time.Duration)) error {
	start := time.Now()
	for _, f := range functions {
		if err := write("kprobe_events", "p:"+group+"/"+f+" "+f); err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err) // one that cannot be probed
		}
	}
	if err := write("events/"+group+"/enable", "1"); err != nil {
		return err
	}
	enabled := time.Now()
	if err := write("events/"+group+"/enable", "0"); err != nil {
		return err
	}
	for _, f := range functions {
		write("kprobe_events", "-:"+group+"/"+f) // which is not there if it was refused
	}
	add("echo into kprobe_events, an event for each", enabled.Sub(start), time.Since(enabled))
	return nil
}

// armByPeers measures those that are installed. That one of them fails is told and does no harm.
func (m *measurement) armByPeers(functions []string, add func(string, ...time.Duration)) {
	run := func(args ...string) (time.Duration, bool) {
		start := time.Now()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "BPFTRACE_MAX_PROBES=1000")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s: %v: %.300s\n", args[0], err, out)
			return 0, false
		}
		return time.Since(start), true
	}
	if _, err := exec.LookPath("perf"); err == nil {
		var defined time.Duration
		ok := true
		for some := range slices.Chunk(functions, 100) { // it takes 128 at a time
			args := []string{"perf", "probe", "-q"}
			for _, f := range some {
				args = append(args, "--add", f)
			}
			d, added := run(args...)
			defined, ok = defined+d, ok && added
		}
		if ok {
			enabled, ok1 := run("perf", "record", "-q", "-a", "-e", "probe:*", "-o", filepath.Join(m.tmp, "perf"), "true")
			removed, ok2 := run("perf", "probe", "-q", "--del", "probe:*")
			if ok1 && ok2 {
				add("perf probe, perf record (which also disables) and perf probe --del", defined+enabled, removed)
			}
		}
	}
	if _, err := exec.LookPath("bpftrace"); err == nil {
		var attach []string
		for _, p := range armed {
			attach = append(attach, "kprobe:"+p)
		}
		if all, ok := run("bpftrace", "-e", strings.Join(attach, ",")+" { @ = count(); } interval:ms:1 { exit(); }"); ok {
			add("bpftrace, all of it", all, 0)
		}
	}
}
