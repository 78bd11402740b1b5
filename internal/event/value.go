package event

import (
	"net/netip"
	"slices"
)

// A Value is one value of an event. Which of its fields carries it is said by
// the Class of its Kind; those that no value of that kind uses are zero.
type Value struct {
	// Set is false where the value is absent: the kernel had none, or it
	// could not be read. What the other fields hold then means nothing.
	Set  bool
	Num  uint64     // Unsigned, Bool (0, 1); Signed as two's complement; Decimal in thousandths
	Addr netip.Addr // Address, canonical: IPv4-mapped IPv6 is IPv4
	Text []byte     // Text; valid until the next event is decoded
}

// A Class is what a value is to a filter and to JSON.
type Class uint8

// The classes of values.
const (
	Unsigned Class = iota + 1 // JSON number
	Signed                    // JSON number
	Bool                      // JSON true or false
	Address                   // JSON string; compared with addresses and prefixes
	Text                      // JSON string
	Decimal                   // JSON number with three decimals; Num is thousandths
)

// An Event is one line of a tool. It and all it points to are reused for the
// next event: a sink that keeps one must copy it.
type Event struct {
	Name string // "udp.sendmsg"
	Wall int64  // nanoseconds since 1970 UTC
	Mono uint64 // nanoseconds, CLOCK_MONOTONIC
	CPU  uint32
	// Task tells whether PID, TID and Comm belong to the event. In softirq
	// the current task is a bystander, and they are absent.
	Task bool
	PID  uint32 // thread group, as seen from skprobe's pid namespace
	TID  uint32
	Comm string // "" where unknown
	// Thread identifies the thread that was current, also where it has no TID
	// here and where it is a bystander: see [Thread].
	Thread uint32
	// Values is parallel to the columns of the Schema.
	Values []Value
	// Edition, unless it is 0, numbers what Values hold: events of one edition
	// have the same. Changed tells in which columns they can differ from those
	// of the edition before: one bit each, the lowest for the first column, the
	// highest for all from the 64th on.
	Edition, Changed uint64
	// Stack holds return addresses, innermost first, with --stack.
	Stack []uint64
	// UserStack are the frames of the program, innermost first, with --ustack.
	UserStack []string

	from     *Compiled // who filled in Values
	editions uint64    // the last Edition
}

// A Column is one named value of a tool's events.
type Column struct {
	Name string // as in tables, JSON, CSV and --where
	Help string // one line, with the unit
	Kind *Kind
	// Wide columns are left out of the table unless it is asked for all.
	// JSON and CSV always have them.
	Wide bool
	// Packet columns come from the bytes of a packet: who has those needs no
	// such column.
	Packet bool
}

// A Schema is what the events of one run look like: the columns common to
// all tools (time, event, cpu, pid, tid, comm) come first and are not listed.
type Schema struct {
	Tool    string
	Columns []Column
	// Task tells whether any event carries pid, tid and comm.
	Task bool
	// Events lists the names of the events, for the width of the column.
	Events []string
	// Device returns what a network device counts, by the inode number of its
	// network namespace and its number there; false where that cannot be had.
	// nil: it cannot be asked.
	Device func(netns uint64, ifindex uint32) (DeviceCounters, bool)
	// Symbol writes a kernel address as symbol+offset. It is used for
	// stacks.
	Symbol func(dst []byte, addr uint64) []byte

	hidden  []string     // fields behind the columns
	reduced map[int]bool // those of them that a Reducer looks at
}

// Column returns the index of a column, -1 where there is none.
func (s *Schema) Column(name string) int {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Index is [Schema.Column] for a Reducer, which sees hidden fields too: see
// [Event.Value].
func (s *Schema) Index(name string) int {
	if i := s.Column(name); i >= 0 {
		return i
	}
	i := slices.Index(s.hidden, name)
	if i < 0 {
		return -1
	}
	i += len(s.Columns)
	s.reduced[i] = true
	return i
}
