package tracefs

import (
	"os"
	"slices"
)

// Tracepoints returns the names of all events that are not ours, "group:event",
// sorted: the kernel's tracepoints, and what others have defined. It reads the
// folder events, since available_events is refused under some lockdowns.
func (f *FS) Tracepoints() ([]string, error) {
	groups, err := os.ReadDir(f.path("events"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, group := range groups {
		if _, ours := parseOwner(group.Name()); ours || !group.IsDir() || group.Name() == "ftrace" {
			continue // the records of group ftrace are made by tracers, and cannot be asked for
		}
		events, err := os.ReadDir(f.path("events", group.Name()))
		if err != nil {
			continue // removed meanwhile
		}
		for _, event := range events {
			if event.IsDir() {
				names = append(names, group.Name()+":"+event.Name())
			}
		}
	}
	slices.Sort(names)
	return names, nil
}
