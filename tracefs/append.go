package tracefs

import (
	"fmt"
	"io/fs"
	"slices"
)

// Append adds a place to an event that exists (5.4 and later): line is as for [FS.Define], with the type and the arguments that the
// event has. The errors are those of Define; an event that does not exist gives one that wraps fs.ErrNotExist. A kernel that cannot do
// it replaces the event instead: see [FS.Appends].
func (f *FS) Append(line string) error {
	event, err := checkLine(line)
	if err != nil {
		return err
	}
	exists, err := f.Has("events/" + event.Group + "/" + event.Event)
	if err == nil && !exists {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("append to %s/%s: %w", event.Group, event.Event, err)
	}
	if err := f.write(kprobeEvents, line); err != nil {
		return f.refusal(line, err)
	}
	return nil
}

// Appends tells whether this kernel can have several places in one event, by trying it with two functions.
func (f *FS) Appends(function, other string) (bool, error) {
	group, err := f.Group()
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	f.tries++
	name := fmt.Sprintf("try%d", f.tries)
	f.mu.Unlock()
	define := func(function string) string { return fmt.Sprintf("p:%s/%s %s", group, name, function) }
	if err := f.Define(define(function)); err != nil {
		return false, err
	}
	places := 0
	if err = f.Append(define(other)); err == nil {
		var events []DynamicEvent
		events, err = f.Events()
		places = len(slices.DeleteFunc(events, func(e DynamicEvent) bool { return e.Group != group || e.Event != name }))
	}
	if rerr := f.Remove(group, name); rerr != nil {
		return false, rerr
	}
	return places == 2, err
}
