package session

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// maxProcesses is of how many processes the cgroup is remembered at a time.
const maxProcesses = 16384

// A cgroup tells which processes belong to one, for tools that must see what
// happens outside of it too. perf decides it in the kernel for the others.
type cgroup struct {
	hierarchy string // controllers as /proc/PID/cgroup has them, "" for the unified hierarchy
	path      string
	known     *track.Table[uint32, bool]
}

// newCgroup finds the cgroup of a folder.
func newCgroup(dir string) (*cgroup, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, usage("--cgroup: %v", err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("--cgroup %s: %w", dir, err)
	}
	c, ok := cgroupOf(dir, string(text))
	if !ok {
		return nil, usage("--cgroup %s: it is in no mounted hierarchy of cgroups", dir)
	}
	c.known = track.New[uint32, bool](maxProcesses)
	return c, nil
}

// cgroupOf finds the hierarchy of a folder, and its name there, in the text of
// /proc/PID/mountinfo (proc_pid_mountinfo(5)).
func cgroupOf(dir, mountinfo string) (*cgroup, bool) {
	var found *cgroup
	longest := -1
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(fs) < 3 || fs[0] != "cgroup" && fs[0] != "cgroup2" {
			continue
		}
		root, at := mount[3], mount[4]
		rel, ok := strings.CutPrefix(dir+"/", strings.TrimSuffix(at, "/")+"/")
		if !ok || len(at) < longest {
			continue
		}
		longest = len(at)
		found = &cgroup{path: path.Join("/", root, rel)}
		if fs[0] == "cgroup" {
			found.hierarchy = controllers(fs[2])
		}
	}
	return found, found != nil
}

// controllers are those among the options of a mounted hierarchy of version 1,
// as /proc/PID/cgroup has them.
func controllers(options string) string {
	words := strings.Split(options, ",")
	return strings.Join(slices.DeleteFunc(words, func(w string) bool {
		return slices.Contains([]string{"rw", "ro", "xattr", "clone_children", "noprefix"}, w)
	}), ",")
}

// has tells whether a process belongs to the cgroup or to one below it. Where
// it has ended, what was known of it counts.
func (c *cgroup) has(pid uint32) bool {
	if is := c.known.Get(pid); is != nil {
		return *is
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	return *c.known.Put(pid, c.contains(string(text)))
}

// contains looks at the text of /proc/PID/cgroup (cgroups(7)).
func (c *cgroup) contains(text string) bool {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) == 3 && fields[1] == c.hierarchy {
			return c.path == "/" || fields[2] == c.path || strings.HasPrefix(fields[2], c.path+"/")
		}
	}
	return false
}

// cgroups know of which cgroup a process is, for [event.Cgroup].
type cgroups struct {
	column int
	known  *track.Table[uint32, placed]
}

// A placed process is one whose cgroup was looked up at a time.
type placed struct {
	path []byte // nil: it had ended
	at   uint64 // nanoseconds, CLOCK_MONOTONIC
}

// placeTime is how long it is believed that a process stays where it is, in
// nanoseconds.
const placeTime = 1e9

// newCgroups returns nil where the column was not asked for.
func newCgroups(s *event.Schema) *cgroups {
	column := s.Column(event.Cgroup)
	if column < 0 {
		return nil
	}
	return &cgroups{column, track.New[uint32, placed](maxProcesses)}
}

// of looks up where a process is. Where it has ended, what was known of it
// counts.
func (c *cgroups) of(pid uint32, now uint64) []byte {
	known := c.known.Get(pid)
	if known != nil && now-known.at < placeTime {
		return known.path
	}
	var path []byte
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)); err == nil {
		path = []byte(cgroupIn(string(text)))
	} else if known != nil {
		path = known.path
	}
	return c.known.Put(pid, placed{path, now}).path
}

// set gives an event of a process its column.
func (c *cgroups) set(ev *event.Event) {
	ev.Edition = 0
	path := []byte(nil)
	if ev.Task {
		path = c.of(ev.PID, ev.Mono)
	}
	if path == nil {
		ev.Set(c.column, event.Value{})
		return
	}
	ev.SetText(c.column, path)
}

// cgroupIn is the cgroup in the text of /proc/PID/cgroup: that of the unified
// hierarchy, or, where all processes are in its root, of the first of the others
// of which that is not so, systemd's own before those with controllers.
func cgroupIn(text string) string {
	found, best := "/", 0
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || fields[2] == "/" {
			continue
		}
		rank := 1
		switch {
		case fields[0] == "0" && fields[1] == "":
			rank = 3
		case fields[1] == "name=systemd":
			rank = 2
		}
		if rank > best {
			found, best = fields[2], rank
		}
	}
	return found
}
