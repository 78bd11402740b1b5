package tracefs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// DynamicEvent is one definition in kprobe_events, as the kernel prints it back.
type DynamicEvent struct {
	// Type is "p" (entry or any place in a function), "r" (return), or what else the kernel printed: "f", "t", "e".
	Type string
	// MaxActive is the number in "r8:…" (4.12 and later); 0 where there is none.
	MaxActive int
	Group     string
	Event     string
	// Place is where it sits: "udp_sendmsg", "bridge:br_dev_xmit+4", "tcp_connect%return".
	Place string
	// Args is the rest of the line, for example "sk=%di:x64 len=%dx:u32".
	Args string
}

// String returns the definition as a line for kprobe_events.
func (e DynamicEvent) String() string {
	var b strings.Builder
	b.WriteString(e.Type)
	if e.MaxActive > 0 {
		fmt.Fprintf(&b, "%d", e.MaxActive)
	}
	b.WriteByte(':')
	if e.Group != "" {
		b.WriteString(e.Group)
		b.WriteByte('/')
	}
	b.WriteString(e.Event)
	for _, s := range []string{e.Place, e.Args} {
		if s != "" {
			b.WriteByte(' ')
			b.WriteString(s)
		}
	}
	return b.String()
}

// ParseEvents parses the text of kprobe_events (or uprobe_events, or dynamic_events), any kernel from 3.10.
// See probes_seq_show in kernel/trace/trace_kprobe.c.
func ParseEvents(r io.Reader) ([]DynamicEvent, error) {
	var events []DynamicEvent
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10) // 128 arguments of 63 characters
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		event, err := ParseEvent(line)
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
	return events, lines.Err()
}

// ParseEvent parses one definition: a line that the kernel printed, or one to be written. Names that the line does not give are
// empty.
func ParseEvent(line string) (DynamicEvent, error) {
	head, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	kind, name, _ := strings.Cut(head, ":")
	if kind == "" || !isLower(kind[0]) {
		return DynamicEvent{}, fmt.Errorf("not a probe definition: %q", line)
	}
	event := DynamicEvent{Type: kind[:1]}
	for _, c := range []byte(kind[1:]) {
		if c < '0' || c > '9' || event.MaxActive > 1<<20 {
			return DynamicEvent{}, fmt.Errorf("not a probe type: %q in %q", kind, line)
		}
		event.MaxActive = event.MaxActive*10 + int(c-'0')
	}
	event.Group, event.Event = splitName(name)
	event.Place, event.Args, _ = strings.Cut(strings.TrimSpace(rest), " ")
	event.Args = strings.TrimSpace(event.Args)
	return event, nil
}

// splitName splits GROUP/EVENT (GROUP.EVENT is accepted by 5.13 and later) or EVENT alone.
func splitName(s string) (group, event string) {
	if i := strings.IndexAny(s, "/."); i >= 0 {
		return s[:i], s[i+1:]
	}
	return "", s
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

// Events returns all kprobe events that are defined, ours and those of others. On a kernel without them the error wraps
// fs.ErrNotExist.
func (f *FS) Events() ([]DynamicEvent, error) {
	return f.events(kprobeEvents)
}

func (f *FS) events(file string) ([]DynamicEvent, error) {
	r, err := os.Open(f.path(file))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	events, err := ParseEvents(r)
	if err != nil {
		return events, fmt.Errorf("%s: %w", file, err)
	}
	return events, nil
}
