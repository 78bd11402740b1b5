// Package kprobe puts probes on kernel functions and reads their records.
//
// A [Spec] describes a probe. It is pure: computed from a kernel's type
// layout, it is the same on every machine, and its text can be compared with
// a golden file. [Open] makes a [Probe] of it in the running kernel, which the
// caller must Close; [NewReader] reads the records of probes in the order of
// time through perf_event_open.
package kprobe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Spec is one definition of kprobe_events or uprobe_events, or of an event
// probe in dynamic_events.
type Spec struct {
	// Group and Event name the probe. [Open] fills in an empty Group with
	// the process's own.
	Group, Event string
	// Symbol is the function, "module:function" for one in a module.
	Symbol string
	// Tracepoint, in place of Symbol, is the static event "group:event" to
	// which an event probe is attached (5.15). Its records do not come
	// through perf.
	Tracepoint string
	// File, with Symbol for people alone, is a program or library, in which
	// Offset is that of the probe from the start of the file. Its path must
	// be absolute, and have no spaces.
	File   string
	Offset uint64 // bytes from the start of the function
	Return bool   // fires when the function returns
	// MaxActive is how many calls of a function can be under way at once and
	// still have their return seen; 0 is the kernel's default (4.12).
	MaxActive int
	Args      []fetchargs.Arg
}

// String returns the definition as it is written to kprobe_events:
//
//	p:skprobe_1_2/udp_sendmsg udp_sendmsg a0=%di:x64 a1=+0(%di):x64[3]
//	e:skprobe_1_2/kfree_skb skb.kfree_skb a0=$skbaddr:x64
//	p:skprobe_1_2/getaddrinfo /usr/lib/libc.so.6:0xefc70 a0=+0(%di):string
func (s Spec) String() string {
	var b strings.Builder
	place := s.Symbol
	if s.Tracepoint != "" {
		place = strings.Replace(s.Tracepoint, ":", ".", 1)
		b.WriteByte('e')
	} else if s.Return {
		b.WriteByte('r')
		if s.MaxActive > 0 {
			b.WriteString(strconv.Itoa(s.MaxActive))
		}
	} else {
		b.WriteByte('p')
	}
	if s.File != "" {
		place = fmt.Sprintf("%s:0x%x", s.File, s.Offset)
	}
	fmt.Fprintf(&b, ":%s/%s %s", s.Group, s.Event, place)
	if s.Offset != 0 && s.File == "" {
		fmt.Fprintf(&b, "+%d", s.Offset)
	}
	for _, a := range s.Args {
		b.WriteByte(' ')
		b.WriteString(a.String())
	}
	return b.String()
}

// Check reports whether a kernel could take the definition; the error wraps
// [fetchargs.ErrLimit] where it is too large.
func (s Spec) Check() error {
	switch {
	case s.File != "" && (!strings.HasPrefix(s.File, "/") || strings.ContainsAny(s.File, " \t\n#")):
		return fmt.Errorf("kprobe: the kernel takes no path like %q", s.File)
	case (s.Symbol == "") == (s.Tracepoint == ""), s.Event == "":
		return fmt.Errorf("kprobe: a function or a static event, and a name for the event are needed")
	}
	if err := fetchargs.Check(s.Args); err != nil {
		return err
	}
	if n := len(s.String()); n > fetchargs.MaxLine {
		return fmt.Errorf("%w: the definition of %s has %d characters, at most %d", fetchargs.ErrLimit, s.Event, n, fetchargs.MaxLine)
	}
	return nil
}

// EventName makes a name for an event on symbol from it: letters, digits and
// underscores, short enough for all kernels. n tells several probes of one
// function apart.
func EventName(symbol string, n int) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, symbol)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name // the kernel takes no name that begins with a digit
	}
	// perf takes some short names for modifiers; a number after them helps,
	// and keeps names apart.
	return name[:min(len(name), 48)] + "_" + strconv.Itoa(n)
}
