package tracefs

import (
	"fmt"
	"strconv"
	"strings"
)

// groupPrefix begins the names of all our groups: skprobe_<pid>_<start>.
const groupPrefix = "skprobe_"

// Swept is what [FS.Sweep] did.
type Swept struct {
	// Removed are the definitions that are gone.
	Removed []DynamicEvent
	// Failed are those that could not be removed, with the reason in Errs at the same index: EBUSY if somebody uses the event.
	Failed []DynamicEvent
	Errs   []error
	// Instances are the tracing instances that were found.
	Instances []SweptInstance
}

// owner is who a group belongs to: a process, by its number and its start time in clock ticks after boot (field 22 of
// /proc/PID/stat), which together do not come again.
type owner struct {
	pid   int
	start uint64
}

func (o owner) group() string {
	return fmt.Sprintf("%s%d_%d", groupPrefix, o.pid, o.start)
}

// parseOwner takes a group's name apart. A name that is not exactly what owner.group makes is not ours.
func parseOwner(group string) (owner, bool) {
	rest, ok := strings.CutPrefix(group, groupPrefix)
	if !ok {
		return owner{}, false
	}
	pid, start, ok := strings.Cut(rest, "_")
	if !ok {
		return owner{}, false
	}
	var o owner
	var err error
	if o.pid, err = strconv.Atoi(pid); err != nil || o.pid <= 0 {
		return owner{}, false
	}
	if o.start, err = strconv.ParseUint(start, 10, 64); err != nil {
		return owner{}, false
	}
	return o, o.group() == group
}

// parseStat returns the owner that the text of /proc/PID/stat tells: fields 1 and 22. The second field, the name in parentheses,
// may hold anything.
func parseStat(stat string) (owner, error) {
	const start = 22 - 3 // what follows the name begins with the third field
	first, _, _ := strings.Cut(stat, " ")
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) <= start {
		return owner{}, fmt.Errorf("not a /proc/PID/stat: %q", stat)
	}
	var o owner
	var err error
	if o.pid, err = strconv.Atoi(first); err != nil {
		return owner{}, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	if o.start, err = strconv.ParseUint(fields[start], 10, 64); err != nil {
		return owner{}, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	return o, nil
}
