package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// The files that take definitions: of probes of functions of the kernel and of programs, and of all dynamic events (5.0).
const (
	kprobeEvents = "kprobe_events"
	uprobeEvents = "uprobe_events"
	otherEvents  = "dynamic_events"
	maxLine      = 4094 // WRITE_BUFSIZE - 2 in kernel/trace/trace.c
)

// Define adds one dynamic event: line is "p:GROUP/EVENT PLACE ARGS…" or "r:…" for a kprobe, as in Documentation/trace/kprobetrace.rst,
// "p:GROUP/EVENT /PATH:OFFSET ARGS…" or "r:…" for a uprobe, as in Documentation/trace/uprobetracer.rst, or "e:GROUP/EVENT GROUP.EVENT ARGS…" for an event probe (5.15), as in Documentation/trace/eprobetrace.rst.
// The group and the event must be named.
//
// A name that exists is refused with an error that wraps fs.ErrExist, because kernels before 5.4 replace the old event silently and later
// ones add a second place to it. Where the kernel explains its refusal the error is a [*SyntaxError]; every refusal wraps the
// kernel's errno (see [Explain]). A definition that the kernel took but under another name (r8:… on 4.4 and older) is
// removed again and refused with an error that wraps errors.ErrUnsupported.
func (f *FS) Define(line string) error {
	file := kprobeEvents
	if event, err := ParseEvent(line); err == nil {
		switch {
		case event.Type != "p" && event.Type != "r":
			file = otherEvents
		case strings.HasPrefix(event.Place, "/"):
			file = uprobeEvents
		}
	}
	return f.define(file, line)
}

func (f *FS) define(file, line string) error {
	event, err := checkLine(line)
	if err != nil {
		return err
	}
	name := event.Group + "/" + event.Event
	switch exists, err := f.Has("events/" + name); {
	case err != nil:
		return fmt.Errorf("define %s: %w", name, err)
	case exists:
		return fmt.Errorf("define %s: %w", name, syscall.EEXIST)
	}
	var before []DynamicEvent
	if event.MaxActive > 0 {
		if before, err = f.events(file); err != nil {
			return fmt.Errorf("define %s: %w", name, err)
		}
	}
	if err := f.write(file, line); err != nil {
		return f.refusal(line, err)
	}
	switch exists, err := f.Has("events/" + name); {
	case err != nil:
		return errors.Join(fmt.Errorf("define %s: %w", name, err), f.remove(file, event.Group, event.Event))
	case exists:
		return nil
	}
	return f.misnamed(file, event, before)
}

// misnamed removes what the kernel made of a definition whose name it dropped: the event that was not there before, in the
// default group, at the same place.
func (f *FS) misnamed(file string, want DynamicEvent, before []DynamicEvent) error {
	err := fmt.Errorf("define %s/%s: this kernel took the definition but not its name: %w", want.Group, want.Event, errors.ErrUnsupported)
	after, readErr := f.events(file)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	known := make(map[DynamicEvent]bool, len(before))
	for _, e := range before {
		known[e] = true
	}
	for _, e := range after {
		if want.MaxActive > 0 && !known[e] && e.Group == "kprobes" && e.Type == want.Type && samePlace(e.Place, want.Place) {
			return errors.Join(err, f.remove(file, e.Group, e.Event))
		}
	}
	return err
}

// samePlace compares a place with what the kernel prints back: "f+0" for "f".
func samePlace(printed, wanted string) bool {
	return strings.TrimSuffix(printed, "+0") == strings.TrimSuffix(wanted, "+0")
}

// Remove removes one event. An event that does not exist gives an error that wraps fs.ErrNotExist, one that is enabled or
// open by perf EBUSY. Where an event has several places (5.4 and later), all go.
func (f *FS) Remove(group, event string) error {
	err := f.remove(kprobeEvents, group, event)
	for _, file := range []string{uprobeEvents, otherEvents} {
		if !errors.Is(err, fs.ErrNotExist) { // it is no kprobe, or there are none
			break
		}
		if has, _ := f.Has(file); has {
			err = f.remove(file, group, event)
		}
	}
	return err
}

func (f *FS) remove(file, group, event string) error {
	if !validName(group) || !validName(event) {
		return fmt.Errorf("remove %q/%q: not the name of an event: %w", group, event, fs.ErrInvalid)
	}
	if err := f.write(file, "-:"+group+"/"+event); err != nil {
		return fmt.Errorf("remove %s/%s: %w", group, event, explained(err))
	}
	return nil
}

// Try tells whether this kernel takes a definition: it defines it under a name of its own in our group, whatever name the line
// has, and removes it at once. Nil means yes; the errors are those of [FS.Define] and [FS.Group].
func (f *FS) Try(line string) error {
	event, err := ParseEvent(line)
	if err != nil {
		return err
	}
	if event.Group, err = f.Group(); err != nil {
		return err
	}
	f.mu.Lock()
	f.tries++
	event.Event = fmt.Sprintf("try%d", f.tries)
	f.mu.Unlock()
	if err := f.Define(event.String()); err != nil {
		return err
	}
	return f.Remove(event.Group, event.Event)
}

// write gives the kernel one line. Each write is one definition: the kernel stops at the first bad one of several.
func (f *FS) write(file, line string) error {
	w, err := os.OpenFile(f.path(file), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString(line + "\n")
	return errors.Join(err, w.Close())
}

// checkLine refuses what would not reach the kernel as one definition with a name.
func checkLine(line string) (DynamicEvent, error) {
	bad := func(offset int, why string) (DynamicEvent, error) {
		return DynamicEvent{}, &SyntaxError{Line: line, Offset: offset, Msg: why, Err: syscall.EINVAL}
	}
	if i := strings.IndexAny(line, "\n\r\x00"); i >= 0 {
		return bad(i, "a definition is one line")
	}
	if i := strings.IndexByte(line, '#'); i >= 0 {
		return bad(i, "the kernel takes the rest of the line for a comment")
	}
	if len(line) >= maxLine {
		return bad(maxLine, fmt.Sprintf("a definition must be shorter than %d characters", maxLine))
	}
	event, err := ParseEvent(line)
	if err != nil {
		return bad(0, err.Error())
	}
	if !validName(event.Group) || !validName(event.Event) {
		return bad(strings.IndexByte(line, ':')+1, "group and event must be named, by letters, digits and _")
	}
	return event, nil
}

// validName is is_good_name of kernel/trace/trace_probe.h (is_good_system_name allows '-' too, which we do not need).
func validName(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return true
}
