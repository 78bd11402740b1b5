package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A sending is what one run of the load took: load's own report.
type sending struct {
	Sends        int
	Elapsed, CPU time.Duration
}

func (s *sending) elapsed() time.Duration { return s.Elapsed }

// send runs the load, under another program if prefix is not empty, and returns its report. A prefix that ends with -c takes the
// load as one argument.
func (m *measurement) send(prefix ...string) (*sending, error) {
	load := []string{m.load, "-sends", strconv.Itoa(m.sends), "-vary", strconv.Itoa(m.vary)}
	if n := len(prefix); n > 0 && prefix[n-1] == "-c" {
		load = []string{strings.Join(load, " ")}
	}
	args := append(prefix, load...)
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return parseSending(out)
}

// parseSending finds load's report among what other programs may have printed.
func parseSending(out []byte) (*sending, error) {
	for line := range bytes.Lines(out) {
		var s sending
		if json.Unmarshal(line, &s) == nil && s.Sends > 0 {
			return &s, nil
		}
	}
	return nil, fmt.Errorf("no report of the load in %q", out)
}

// A tracer is a running skprobe.
type tracer struct {
	cmd   *exec.Cmd
	armed time.Duration // from before its start to its word that it traces
	lines chan string   // what it said since
	dir   string        // under /proc
}

// startTracer starts skprobe and waits until it traces.
func (m *measurement) startTracer(cache string, args ...string) (*tracer, error) {
	cmd := exec.Command(m.skprobe, args...)
	cmd.Env = append(os.Environ(), "SKPROBE_CACHE="+cache)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &tracer{cmd: cmd, lines: make(chan string, 100), dir: fmt.Sprintf("/proc/%d", cmd.Process.Pid)}
	s := bufio.NewScanner(stderr)
	var said []string
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "tracing ") {
			t.armed = time.Since(start)
			break
		}
		said = append(said, s.Text())
	}
	if t.armed == 0 {
		return nil, fmt.Errorf("skprobe %s did not begin: %w: %s", strings.Join(args, " "), cmd.Wait(), strings.Join(said, "; "))
	}
	for _, line := range said {
		t.lines <- line
	}
	go func() {
		for s.Scan() {
			t.lines <- s.Text()
		}
		close(t.lines)
	}()
	return t, nil
}

// cpu is the CPU time that its threads took until now.
func (t *tracer) cpu() (time.Duration, error) {
	files, err := filepath.Glob(t.dir + "/task/*/schedstat")
	if err != nil || len(files) == 0 {
		return 0, errors.Join(errors.New("no CPU time of skprobe"), err)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q: %w", file, text, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// resident is the most memory that it had in RAM until now, in bytes.
func (t *tracer) resident() (int64, error) {
	text, err := os.ReadFile(t.dir + "/status")
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(text), "VmHWM:")
	if !ok {
		return 0, fmt.Errorf("no VmHWM in %s/status", t.dir)
	}
	var kilobytes int64
	if _, err := fmt.Sscanf(after, "%d kB", &kilobytes); err != nil {
		return 0, err
	}
	return kilobytes << 10, nil
}

// stop ends skprobe and returns its counts.
func (t *tracer) stop() (*counts, []string, error) {
	if err := t.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return nil, nil, err
	}
	var said []string
	for line := range t.lines {
		said = append(said, line)
	}
	if err := t.cmd.Wait(); err != nil {
		return nil, nil, fmt.Errorf("skprobe: %w: %s", err, strings.Join(said, "; "))
	}
	c, err := parseCounts(said)
	return c, said, err
}

// counts are what skprobe says at its end.
type counts struct{ events, lost, missed int }

// parseCounts finds the line "12 events, 3 lost in the rings, 4 missed by the kernel".
func parseCounts(said []string) (*counts, error) {
	for _, line := range said {
		c := &counts{events: -1}
		for part := range strings.SplitSeq(line, ", ") {
			number, what, _ := strings.Cut(part, " ")
			n, err := strconv.Atoi(number)
			switch {
			case err != nil:
			case what == "event" || what == "events":
				c.events = n
			case strings.HasPrefix(what, "lost"):
				c.lost = n
			case strings.HasPrefix(what, "missed"):
				c.missed = n
			}
		}
		if c.events >= 0 {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no counts in %q", said)
}

// lines counts the lines of a file.
func lines(file string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, buf := 0, make([]byte, 1<<20)
	for {
		k, err := f.Read(buf)
		n += bytes.Count(buf[:k], []byte{'\n'})
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
