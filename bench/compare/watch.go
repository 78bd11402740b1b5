package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A watcher is a tool that runs.
type watcher struct {
	tool *tool
	cmd  *exec.Cmd
	file string // what it prints
	said bytes.Buffer
}

func (c *comparison) start(t *tool) (*watcher, error) {
	w := &watcher{tool: t, cmd: exec.Command(t.args[0], t.args[1:]...), file: filepath.Join(c.dir, strings.ReplaceAll(t.name, " ", "-"))}
	out, err := os.Create(w.file)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	w.cmd.Stdout, w.cmd.Stderr = out, &w.said
	// A layout that an earlier run has found is no part of what is compared.
	w.cmd.Env = append(os.Environ(), "SKPROBE_CACHE="+filepath.Join(c.dir, "cache"))
	return w, w.cmd.Start()
}

// stop ends it and returns its lines.
func (w *watcher) stop() ([]string, error) {
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		return nil, fmt.Errorf("%w: %s", err, w.said.Bytes())
	}
	err := w.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, w.said.Bytes())
	}
	text, err := os.ReadFile(w.file)
	return strings.Split(string(text), "\n"), err
}

// cost measures a tool alone: how long it takes to show something, the load under it, memory and size.
func (c *comparison) cost(t *tool) error {
	begin := time.Now()
	w, err := c.start(t)
	if err != nil {
		return err
	}
	// Connections begin all the time; when did the first begin that it shows?
	began := map[connection]time.Duration{}
	for time.Since(begin) < startTime {
		at := time.Since(begin)
		one, err := connect(first4)
		if err != nil {
			return err
		}
		began[one] = at
		time.Sleep(5 * time.Millisecond)
	}
	if t.elapsed, err = c.timeLoad(); err != nil {
		return err
	}
	if t.resident, err = resident(w.cmd.Process.Pid); err != nil {
		return err
	}
	if t.size, err = mapped(w.cmd.Process.Pid); err != nil {
		return err
	}
	lines, err := w.stop()
	if err != nil {
		return err
	}
	for _, line := range lines {
		local, remote, _, ok := t.parse(line)
		if !ok {
			continue
		}
		for _, one := range []connection{{local, remote}, {remote, local}} {
			if at, known := began[one]; known && (t.started == 0 || at < t.started) {
				t.started = at
			}
		}
	}
	if t.started == 0 {
		return fmt.Errorf("it has shown nothing in %v: %s", startTime, w.said.Bytes())
	}
	return nil
}

// startTime is how long a tool may take to start.
const startTime = 8 * time.Second

// resident is the most memory that a process had in RAM until now, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	_, err = fmt.Sscanf(after, "%d kB", &kilobytes)
	return kilobytes << 10, err
}

// mapped is the size of the program and of the libraries that a process has loaded, in bytes.
func mapped(pid int) (sum int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") || !strings.Contains(f[1], "x") || known[f[5]] {
			continue
		}
		known[f[5]] = true
		if st, err := os.Stat(f[5]); err == nil && st.Mode().IsRegular() {
			sum += st.Size()
		}
	}
	return sum, nil
}

// What a tool has seen of the events that there were.
type sight struct {
	expected, missing, more int
	events                  map[string]int
}

// watchAll runs ours and then those of others, all at once over the same traffic. They do not run together: a BPF program on a
// tracepoint decides for all who have a perf event there whether it happens, and theirs always say that it does not
// (perf_trace_run_bpf_submit in kernel/events/core.c).
func (c *comparison) watchAll(tools []*tool) (map[*tool]*sight, error) {
	seen := map[*tool]*sight{}
	for _, ours := range []bool{true, false} {
		if err := c.watch(tools, ours, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func (c *comparison) watch(tools []*tool, ours bool, seen map[*tool]*sight) error {
	fmt.Fprintf(os.Stderr, "compare: all at once, ours: %t\n", ours)
	var all []*watcher
	for _, t := range tools {
		if t.ours != ours {
			continue
		}
		w, err := c.start(t)
		if err != nil {
			return err
		}
		all = append(all, w)
	}
	time.Sleep(2*startTime + time.Duration(len(all))*time.Second) // they start at the same time, which takes longer
	connections, err := c.traffic()
	if err != nil {
		return err
	}
	time.Sleep(20 * time.Second) // until both ends are closed, with what is lost sent again, and shown
	for _, w := range all {
		lines, err := w.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", w.tool.name, err)
		}
		seen[w.tool] = see(w.tool, lines, connections)
	}
	return nil
}

// see compares what a tool has printed with the connections that there were.
func see(t *tool, lines []string, connections []connection) *sight {
	expected, ours := map[string]int{}, map[netip.AddrPort]bool{}
	for _, c := range connections {
		ours[c.client] = true
		switch t.kind {
		case "tcpconnect":
			expected[fmt.Sprint(c.client, c.server, "")]++
		case "tcpaccept":
			expected[fmt.Sprint(c.server, c.client, "")]++
		case "tcplife":
			expected[fmt.Sprint(c.client, c.server, "")]++
			expected[fmt.Sprint(c.server, c.client, "")]++
		case "tcpstates":
			// The order in which the ends close is known: the server begins, so that its socket waits for the client's FIN.
			for _, s := range []string{"SYNSENT ESTABLIS", "ESTABLIS CLOSEWAI", "CLOSEWAI LASTACK", "LASTACK CLOSE"} {
				expected[fmt.Sprint(c.client, c.server, s)]++
			}
			for _, s := range []string{"SYNRECV ESTABLIS", "ESTABLIS FINWAIT1", "FINWAIT1 FINWAIT2", "FINWAIT2 CLOSE"} {
				expected[fmt.Sprint(c.server, c.client, s)]++
			}
		}
	}
	s := &sight{events: map[string]int{}}
	for _, line := range lines {
		local, remote, more, ok := t.parse(line)
		if !ok || !ours[local] && !ours[remote] {
			continue
		}
		if t.kind == "tcpstates" && (strings.HasPrefix(more, "LISTEN") || strings.HasPrefix(more, "CLOSE SYN")) {
			continue // before the ends are known
		}
		s.events[fmt.Sprint(local, remote, more)]++
	}
	for key, n := range expected {
		s.expected += n
		s.missing += max(0, n-s.events[key])
	}
	for key, n := range s.events {
		s.more += max(0, n-expected[key])
	}
	return s
}
