package tracering

import (
	"fmt"

	"github.com/skprobe/skprobe/tracefs"
)

// A stackEvent says where the records of kernel stacks have what we need (ftrace:kernel_stack). Such a record follows the one that it
// belongs to, and those of interrupts may be between.
type stackEvent struct {
	id           uint16 // 0: no stacks are recorded
	size, caller int
}

func fitStack(format *tracefs.Format) (stackEvent, error) {
	size, caller := offsetOf(format, "size", 4), format.Field("caller")
	if size < 0 || caller == nil || caller.Offset%8 != 0 {
		return stackEvent{}, fmt.Errorf("event ftrace:kernel_stack has not the fields that are known")
	}
	return stackEvent{format.ID, size, caller.Offset}, nil
}

// decode appends the addresses of a stack, innermost first.
func (s *stackEvent) decode(record []byte, to []uint64) []uint64 {
	if len(record) < s.caller {
		return to
	}
	n := min(int(order.Uint32(record[s.size:])), (len(record)-s.caller)/8)
	for i := range max(0, n) {
		address := order.Uint64(record[s.caller+8*i:])
		if address == ^uint64(0) {
			break // the end, before 5.2
		}
		to = append(to, address)
	}
	return to
}

// stableFlags are those of common_flags that a record and its stack have in common: interrupts off, in a hard or soft interrupt, NMI. The
// wish to reschedule may arise between the two (enum trace_flag_type in include/linux/trace_events.h).
const stableFlags = 0x59

// contextOf tells in what context a record was made: its thread, its depth of preempt_disable and its flags.
func contextOf(record []byte) uint64 {
	return uint64(order.Uint32(record[commonPID:])) | uint64(record[3])<<32 | uint64(record[2]&stableFlags)<<40
}
