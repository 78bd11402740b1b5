package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	tracing = "/sys/kernel/tracing"
	group   = "measure"
)

// kprobeDefinitions finds the definition of udp_sendmsg's probe in what skprobe -v says.
func kprobeDefinitions(said []string) []string {
	for _, line := range said {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[0], "p:") && f[1] == "udp_sendmsg" {
			return f
		}
	}
	return nil
}

// tracefs measures the same probe without skprobe: read by nobody, and by cat. The tracer's ring takes the records.
func (m *measurement) tracefs(t *costs, definition []string) error {
	if definition == nil {
		return fmt.Errorf("skprobe -v did not say how it defines udp_sendmsg's probe")
	}
	for _, variant := range []struct {
		what string
		args []string
		cat  bool
	}{
		{"event on, nobody reads, no arguments", nil, false},
		{"event on, nobody reads, skprobe's arguments", definition[2:], false},
		{"tracefs and cat trace_pipe, skprobe's arguments", definition[2:], true},
	} {
		line := "p:" + group + "/udp_sendmsg udp_sendmsg " + strings.Join(variant.args, " ")
		s, own, err := m.inTracefs(line, variant.cat)
		if err != nil {
			return fmt.Errorf("%s: %w", variant.what, err)
		}
		t.add(variant.what, s, own)
	}
	return nil
}

func (m *measurement) inTracefs(definition string, cat bool) (s *sending, own *time.Duration, err error) {
	if err := write("kprobe_events", definition); err != nil {
		return nil, nil, err
	}
	defer write("kprobe_events", "-:"+group+"/udp_sendmsg")
	defer write("events/"+group+"/enable", "0")
	if err := write("events/"+group+"/enable", "1"); err != nil {
		return nil, nil, err
	}
	if cat {
		out, err := os.Create(filepath.Join(m.tmp, "trace"))
		if err != nil {
			return nil, nil, err
		}
		defer out.Close()
		reader := exec.Command("cat", tracing+"/trace_pipe")
		reader.Stdout = out
		if err := reader.Start(); err != nil {
			return nil, nil, err
		}
		defer func() {
			reader.Process.Kill()
			reader.Wait()
			sum := reader.ProcessState.UserTime() + reader.ProcessState.SystemTime()
			own = &sum
		}()
		time.Sleep(100 * time.Millisecond)
	}
	var all []*sending
	for range m.repeat {
		one, err := m.send()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one)
		if cat {
			break // its CPU time is known only at its end
		}
	}
	if cat {
		time.Sleep(200 * time.Millisecond)
	}
	return middle(all), nil, nil
}

func write(file, text string) error {
	f, err := os.OpenFile(filepath.Join(tracing, file), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w", file, text, err)
	}
	return nil
}

// peers measures those programs that are installed. That one of them fails is told and does no harm.
func (m *measurement) peers(t *costs) {
	if err := write("kprobe_events", "p:"+group+"/peer udp_sendmsg"); err != nil {
		return
	}
	defer write("kprobe_events", "-:"+group+"/peer")
	file := filepath.Join(m.tmp, "peer")
	for _, peer := range []struct {
		what string
		args []string
	}{
		{"perf record, to a file, no arguments", []string{"perf", "record", "-q", "-a", "-e", group + ":peer", "-o", file}},
		{"trace-cmd record, to a file, no arguments", []string{"trace-cmd", "record", "-q", "-e", group + ":peer", "-o", file}},
		{"bpftrace, pid and comm", []string{"bpftrace", "-o", file, "-e", `kprobe:udp_sendmsg { printf("%d %s\n", pid, comm); }`, "-c"}},
	} {
		if _, err := exec.LookPath(peer.args[0]); err != nil {
			continue
		}
		s, err := m.send(peer.args...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s is not in the table: %v\n", peer.args[0], err)
			continue
		}
		t.add(peer.what, s, nil)
	}
}
