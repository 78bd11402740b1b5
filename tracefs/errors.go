package tracefs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// SyntaxError is a definition that the kernel refused, with the kernel's own words from error_log (5.2 and later).
type SyntaxError struct {
	// Line is the definition as the kernel understood it: runs of spaces are one space.
	Line string
	// Offset is the place of the fault in Line, in bytes from 0.
	Offset int
	// Msg is the kernel's text, for example "Invalid probed address or symbol".
	Msg string
	// Err is the errno that the write returned.
	Err error
}

// Error returns the message in one line. %+v prints the definition below it with a caret at the fault.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: %q, at character %d: %v", e.Msg, e.Line, e.Offset+1, e.Err)
}

// Unwrap returns the errno.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Is makes errors.Is work alike on all kernels for a function that does not exist (ENOENT, fs.ErrNotExist) and for one of which there
// are several (EADDRNOTAVAIL): newer kernels say EINVAL to both (seen on 6.12 and 7.3) and tell them apart in words only.
func (e *SyntaxError) Is(target error) bool {
	errno := syscall.ENOENT
	switch e.Msg {
	case "Invalid probed address or symbol":
	case "The symbol is not unique":
		errno = syscall.EADDRNOTAVAIL
	default:
		return false
	}
	return target == errno || errno.Is(target)
}

// Format implements fmt.Formatter for %+v.
func (e *SyntaxError) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, "%s (%v)\n  %s\n  %s^", e.Msg, e.Err, e.Line, strings.Repeat(" ", max(0, e.Offset)))
		return
	}
	fmt.Fprintf(s, fmt.FormatString(s, verb), e.Error())
}

// LogEntry is one entry of error_log.
type LogEntry struct {
	// Source is what complains: "trace_kprobe", "trace_uprobe", "event filter parse error", "hist:sched:sched_switch".
	Source string
	Msg    string
	// Command is the line that was refused, runs of spaces being one space; kernels before 5.19 cut it at 255 characters.
	Command string
	// Offset is the place of the fault in Command, in bytes from 0.
	Offset int
}

// ParseErrorLog parses the text of error_log, oldest entry first. See tracing_log_err in kernel/trace/trace.c (5.2):
//
//	[  123.456789] trace_kprobe: error: Invalid probed address or symbol
//	  Command: p:foo/bar nosuch
//	                     ^
func ParseErrorLog(r io.Reader) ([]LogEntry, error) {
	const indent = "  Command: "
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, err
	}
	var entries []LogEntry
	var last *LogEntry
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "["):
			_, rest, ok := strings.Cut(line, "] ")
			source, msg, ok2 := strings.Cut(rest, ": error: ")
			if !ok || !ok2 {
				last = nil
				continue
			}
			entries = append(entries, LogEntry{Source: source, Msg: strings.TrimSpace(msg)})
			last = &entries[len(entries)-1]
		case last == nil:
		case strings.HasPrefix(line, indent):
			last.Command = strings.TrimSpace(line[len(indent):])
		case strings.TrimLeft(line, " ") == "^":
			last.Offset = max(0, len(line)-1-len(indent))
			last = nil
		}
	}
	return entries, nil
}

// refusal makes the error of a refused definition.
func (f *FS) refusal(line string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	if file, openErr := os.Open(f.path("error_log")); openErr == nil {
		defer file.Close()
		entries, _ := ParseErrorLog(file)
		line = strings.Join(strings.Fields(line), " ")
		for i := len(entries) - 1; i >= 0; i-- {
			// Other people's refusals are in the same log; ours is the last one about our line.
			if e := entries[i]; e.Command != "" && strings.HasPrefix(line, e.Command) {
				return &SyntaxError{Line: line, Offset: min(e.Offset, len(line)), Msg: e.Msg, Err: errno}
			}
		}
	}
	return fmt.Errorf("define %q: %w", line, explained(errno))
}

func explained(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	if why := Explain(errno); why != "" {
		return fmt.Errorf("%w: %s", errno, why)
	}
	return errno
}

// Explain says what an errno means that came from writing to kprobe_events, or "" where there is nothing to add. The meanings hold for 3.10
// to 7.1 (kernel/trace/trace_kprobe.c, trace_probe.c, kernel/kprobes.c) unless a version is given.
func Explain(errno syscall.Errno) string {
	switch errno {
	case syscall.ENOENT:
		return "no such event, or no such function in this kernel and its loaded modules"
	case syscall.EINVAL:
		return "this kernel does not know the syntax, or the function cannot be probed (blacklisted, or not traceable)"
	case syscall.EBUSY:
		return "the event is in use: enabled, or open by perf"
	case syscall.EEXIST:
		return "the name exists already, with another type or other arguments"
	case syscall.E2BIG:
		return "more than 128 arguments, or a record of more than 3072 bytes (7.1)"
	case syscall.EADDRNOTAVAIL:
		return "several functions have this name (6.6 and later)"
	case syscall.EILSEQ:
		return "the address is not the start of an instruction"
	case syscall.ENODEV, syscall.EOPNOTSUPP:
		return "this kernel cannot probe here"
	case syscall.EPERM, syscall.EACCES:
		return "root is needed, and lockdown must not be confidentiality (see /sys/kernel/security/lockdown)"
	case syscall.ENOMEM:
		return "the kernel is out of memory"
	}
	return ""
}
