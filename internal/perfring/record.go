package perfring

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Kind tells what a record is about.
type Kind uint8

const (
	// Sample is a hit of an event.
	Sample Kind = iota + 1
	// Comm is a new name of a thread: by execve (Exec is set) or by prctl(PR_SET_NAME) and its like.
	Comm
	// Fork is a new thread, PID/TID, made by PPID/PTID: a new process if PID is TID. It has its maker's name.
	Fork
	// Exit is the end of a thread.
	Exit
	// Lost says that Lost records did not fit into the ring just before this one.
	Lost
)

func (k Kind) String() string {
	if k < Sample || k > Lost {
		return "unknown"
	}
	return [...]string{Sample: "sample", Comm: "comm", Fork: "fork", Exit: "exit", Lost: "lost"}[k]
}

// Record is one record of a ring. Its slices are valid until the function returns that was called with it.
type Record struct {
	Kind Kind
	// Exec says that a Comm comes from execve (3.16 and later).
	Exec bool
	CPU  uint32
	// PID and TID are process and thread as the opener's pid namespace numbers them; 0 when they are not visible there, and
	// 0xffffffff for a thread that is ending. In a softirq they are a bystander's.
	PID, TID uint32
	// PPID and PTID are the maker's, in Fork, and the parent's, in Exit.
	PPID, PTID uint32
	// Time is in nanoseconds of the clock that Rings.Clock names.
	Time uint64
	// Raw is a Sample's record as events/GROUP/EVENT/format describes it: its first two bytes are the event's number. Up to
	// 7 bytes of padding may follow.
	Raw []byte
	// Stack is a Sample's kernel call chain, innermost first, if Config.Stack was set.
	Stack []uint64
	// UserStack is that of the program, if Config.UserStack was set.
	UserStack []uint64
	// Comm is the new name in a Comm, without the final NUL.
	Comm []byte
	// Lost is the number of lost records in a Lost.
	Lost uint64

	stack []uint64 // memory of Stack and UserStack, reused
}

// The records of perf that we know: enum perf_event_type in include/uapi/linux/perf_event.h (the same from 3.10 to 7.1).
const (
	typeLost        = 2
	typeComm        = 3
	typeExit        = 4
	typeFork        = 7
	typeSample      = 9
	typeLostSamples = 13 // 4.2

	miscCommExec = 1 << 13

	headerSize = 8
	// idSize is the size of what sample_id_all adds at the end of other records than samples, and of what samples begin with: pid, tid,
	// time.
	idSize = 16
)

// Entries of a call chain above contextMax are no addresses but markers of what comes after them, such as contextUser
// (enum perf_callchain_context).
const (
	contextMax  = ^uint64(4095 - 1)
	contextUser = ^uint64(512 - 1)
)

var order = binary.NativeEndian

// decode makes a Record of the bytes of a perf record, header included, of an event with sample_type TID|TIME|RAW, CALLCHAIN
// if stack is set, and sample_id_all. It leaves CPU alone, which is the ring's. It reports whether it is a kind that we know. Every record is checked against its length.
// See perf_event_open(2) for the layout.
func (r *Record) decode(b []byte, stack bool) (bool, error) {
	if len(b) < headerSize || int(order.Uint16(b[6:])) != len(b) {
		return false, fmt.Errorf("perf record of %d bytes says that it has another length", len(b))
	}
	kind := order.Uint32(b)
	if kind == typeSample {
		return true, r.decodeSample(b, stack)
	}
	r.clear()
	body := b[headerSize:]
	need := 0
	switch kind {
	case typeLost, typeComm:
		need = 16
	case typeLostSamples:
		need = 8
	case typeExit, typeFork:
		need = 24
	default:
		return false, nil
	}
	if len(body) < need+idSize {
		return false, fmt.Errorf("perf record of type %d is too short: %d bytes", kind, len(b))
	}
	id := body[len(body)-idSize:]
	body = body[:len(body)-idSize]
	r.PID, r.TID = order.Uint32(id), order.Uint32(id[4:])
	r.Time = order.Uint64(id[8:])
	switch kind {
	case typeLost:
		r.Kind, r.Lost = Lost, order.Uint64(body[8:])
	case typeLostSamples:
		r.Kind, r.Lost = Lost, order.Uint64(body)
	case typeComm:
		r.Kind = Comm
		r.PID, r.TID = order.Uint32(body), order.Uint32(body[4:])
		r.Comm = body[8:]
		if i := bytes.IndexByte(r.Comm, 0); i >= 0 {
			r.Comm = r.Comm[:i]
		}
		r.Exec = order.Uint16(b[4:])&miscCommExec != 0
	case typeExit, typeFork:
		r.Kind = Fork
		if kind == typeExit {
			r.Kind = Exit
		}
		r.PID, r.PPID = order.Uint32(body), order.Uint32(body[4:])
		r.TID, r.PTID = order.Uint32(body[8:]), order.Uint32(body[12:])
	}
	return true, nil
}

// clear forgets what not all kinds have.
func (r *Record) clear() {
	r.Raw, r.Stack, r.UserStack, r.Comm = nil, nil, nil, nil
	r.PPID, r.PTID, r.Lost, r.Exec = 0, 0, 0, false
}

// decodeSample decodes pid, tid, time, then a call chain if stack is set, then the raw record, behind the header.
func (r *Record) decodeSample(b []byte, stack bool) error {
	if len(b) < headerSize+idSize+4 {
		return fmt.Errorf("perf sample is too short: %d bytes", len(b))
	}
	if r.Kind != Sample {
		r.clear()
	}
	r.Kind = Sample
	r.PID, r.TID = order.Uint32(b[8:]), order.Uint32(b[12:])
	r.Time = order.Uint64(b[16:])
	b = b[headerSize+idSize:]
	if stack {
		if len(b) < 8 {
			return fmt.Errorf("perf sample without a call chain")
		}
		n := order.Uint64(b)
		b = b[8:]
		if n > uint64(len(b)/8) {
			return fmt.Errorf("perf sample with a call chain of %d entries in %d bytes", n, len(b))
		}
		r.stack = r.stack[:0]
		user := -1 // where in it the program's begins
		for ; n > 0; n-- {
			switch ip := order.Uint64(b); {
			case ip < contextMax:
				r.stack = append(r.stack, ip)
			case ip == contextUser && user < 0:
				user = len(r.stack)
			}
			b = b[8:]
		}
		if r.Stack, r.UserStack = r.stack, nil; user >= 0 {
			r.Stack, r.UserStack = r.stack[:user:user], r.stack[user:]
		}
	}
	if len(b) < 4 {
		return fmt.Errorf("perf sample without a raw record")
	}
	size := order.Uint32(b)
	b = b[4:]
	if uint64(size) > uint64(len(b)) {
		return fmt.Errorf("perf sample with a raw record of %d bytes in %d", size, len(b))
	}
	r.Raw = b[:size:size]
	return nil
}
