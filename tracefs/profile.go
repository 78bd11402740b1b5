package tracefs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Name names an event.
type Name struct{ Group, Event string }

// Counts is how often an event's probes were hit and how often the kernel had to let a hit go, since they were defined.
type Counts struct {
	Hits uint64
	// Misses are hits that a probe could not take: inside another probe, no free return instance (maxactive), and on old
	// kernels also faulting fetch-args (seen on 3.10 and 4.4), so a number here is not always a lost event.
	Misses uint64
}

// ProfileEntry is one line of kprobe_profile, which does not tell groups.
type ProfileEntry struct {
	Event string
	Counts
}

// ParseProfile parses the text of kprobe_profile. See probes_profile_seq_show in kernel/trace/trace_kprobe.c.
func ParseProfile(r io.Reader) ([]ProfileEntry, error) {
	var entries []ProfileEntry
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return entries, fmt.Errorf("not a line of kprobe_profile: %q", lines.Text())
		}
		hits, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return entries, fmt.Errorf("kprobe_profile: hits of %s: %w", words[0], err)
		}
		misses, err := strconv.ParseUint(words[2], 10, 64)
		if err != nil {
			return entries, fmt.Errorf("kprobe_profile: misses of %s: %w", words[0], err)
		}
		entries = append(entries, ProfileEntry{Event: words[0], Counts: Counts{Hits: hits, Misses: misses}})
	}
	return entries, lines.Err()
}

// Profile returns the counts of all kprobe events. The places of one event are added up.
func (f *FS) Profile() (map[Name]Counts, error) {
	// kprobe_profile does not print groups, but its lines are those of kprobe_events in the same order. When somebody defines
	// or removes an event between the two reads they differ: read again.
	const tries = 5
	for range tries {
		events, err := f.Events()
		if err != nil {
			return nil, err
		}
		file, err := os.Open(f.path("kprobe_profile"))
		if err != nil {
			return nil, err
		}
		entries, err := ParseProfile(file)
		file.Close()
		if err != nil {
			return nil, err
		}
		if counts, ok := join(events, entries); ok {
			return counts, nil
		}
	}
	return nil, fmt.Errorf("kprobe_profile and kprobe_events disagree after %d readings", tries)
}

func join(events []DynamicEvent, entries []ProfileEntry) (map[Name]Counts, bool) {
	if len(events) != len(entries) {
		return nil, false
	}
	counts := make(map[Name]Counts, len(events))
	for i, e := range events {
		if e.Event != entries[i].Event {
			return nil, false
		}
		name := Name{e.Group, e.Event}
		sum := counts[name]
		sum.Hits += entries[i].Hits
		sum.Misses += entries[i].Misses
		counts[name] = sum
	}
	return counts, true
}
