package fetchargs

import (
	"fmt"
	"slices"
)

// A RecordField is a value that a static tracepoint records by itself, as its
// format file describes it: expressions of a target with such fields start at
// their names. Pointers among them can be followed where an event probe fetches
// the fields.
type RecordField struct {
	Name   string
	Type   *Type
	Offset int // bytes from the start of the record
	// Text: the field says where in the record a text lies (__data_loc).
	Text bool
	// Rest: the field is all that a record has from Offset on, which may be
	// nothing. Its Type has no size.
	Rest bool
	// Narrow: the kernel records it in more bytes than its C type has, as it does
	// the arguments of system calls, and compares them all in filters.
	Narrow bool
	// Chars: a pointer to text, in memory. Of such a field event probes take no
	// more than the first byte (get_event_field in kernel/trace/trace_eprobe.c, 6.0).
	Chars bool
}

// recordField finds a field of a static tracepoint.
func (r *resolver) recordField(n nameNode) (Ref, error) {
	i := slices.IndexFunc(r.t.Record, func(f RecordField) bool { return f.Name == n.name })
	if i >= 0 {
		f := r.t.Record[i]
		if r.t.Fetched {
			return r.fetched(n, f)
		}
		return Ref{base: Base{Kind: Recorded, Name: f.Name, Num: int64(f.Offset)}, Type: f.Type, lvalue: true, recordedText: f.Text, recordedRest: f.Rest, recordedPart: f.Narrow}, nil
	}
	var names []string
	for _, f := range r.t.Record {
		names = append(names, f.Name)
	}
	err := r.fail(n, ErrNoMember, "the tracepoint records no %q; it records %s", n.name, list(names))
	err.(*ExprError).suggest(n.name, names)
	return Ref{}, err
}

// fetched is a field as an event probe fetches it: like a register
// (get_event_field in kernel/trace/trace_eprobe.c).
func (r *resolver) fetched(n nameNode, f RecordField) (Ref, error) {
	switch size := f.Type.Size; {
	case f.Text:
	case f.Chars:
		return Ref{}, r.fail(n, ErrNotFetchable, "event probes cannot follow a pointer to text; probe the function that is given it")
	case f.Type.Kind == Array || size != 1 && size != 2 && size != 4 && size != 8:
		return Ref{}, r.fail(n, ErrNotFetchable, "an event probe fetches no %s", f.Type)
	}
	return Ref{base: Base{Kind: EventField, Name: f.Name}, Type: f.Type, recordedText: f.Text}, nil
}

// isRecorded reports whether the value is in the record without being fetched.
func (ref Ref) isRecorded() bool { return ref.base.Kind == Recorded }

// RecordedName returns the name of the tracepoint's field that ref is as a
// whole, "" for anything else.
func (ref Ref) RecordedName() string {
	if ref.isRecorded() && ref.lvalue && ref.off == 0 && len(ref.loads) == 0 && !ref.recordedText {
		return ref.base.Name
	}
	return ""
}

// checkRecorded refuses what a tracepoint does not record.
func (ref Ref) checkRecorded() error {
	if len(ref.loads) > 0 || !ref.lvalue {
		return fmt.Errorf("%w: %q", ErrFollows, ref.Expr)
	}
	return nil
}

// place is where a recorded value lies.
func (r read) place() place {
	return place{arg: recorded, off: int(r.ref.base.Num + r.ref.off), size: r.size, str: r.str, rest: r.ref.recordedRest, source: r.ref}
}

// recorded stands for the argument of a place that has none: its offset is that
// in the record.
const recorded = -1
