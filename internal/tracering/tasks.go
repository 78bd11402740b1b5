package tracering

import (
	"bytes"
	"fmt"

	"github.com/skprobe/skprobe/internal/perfring"
	"github.com/skprobe/skprobe/tracefs"
)

// A taskEvent is one of the events that tell of threads, and where its records have what we need. An offset of -1 is a field that this
// kernel's event does not have.
type taskEvent struct {
	id             uint16
	pid            int // the thread it is about
	comm, commSize int
	flags          int // of clone(2)
}

// taskEvents are the events that tell of threads. An id of 0 is an event that this kernel does not have.
type taskEvents struct {
	newTask, rename, exec, exit taskEvent
}

// taskNames are the events to enable. All are there from 3.10 to 7.1 (include/trace/events/task.h and sched.h).
var taskNames = []tracefs.Name{
	{Group: "task", Event: "task_newtask"},
	{Group: "task", Event: "task_rename"},
	{Group: "sched", Event: "sched_process_exec"},
	{Group: "sched", Event: "sched_process_exit"},
}

// all returns the events in the order of taskNames.
func (t *taskEvents) all() []*taskEvent {
	return []*taskEvent{&t.newTask, &t.rename, &t.exec, &t.exit}
}

// fit takes what we need from the format of the event at index i of taskNames.
func (t *taskEvents) fit(i int, format *tracefs.Format) error {
	e := taskEvent{id: format.ID, pid: offsetOf(format, "pid", 4), flags: offsetOf(format, "clone_flags", 8), comm: -1}
	for _, name := range []string{"comm", "newcomm"} {
		if f := format.Field(name); f != nil && !f.DataLoc && !f.RelLoc && f.Size == 16 {
			e.comm, e.commSize = f.Offset, f.Size
		}
	}
	*t.all()[i] = e
	switch {
	case i == 0 && (e.pid < 0 || e.flags < 0), i == 1 && e.comm < 0:
		return fmt.Errorf("event %s:%s has not the fields that are known", taskNames[i].Group, taskNames[i].Event)
	}
	return nil
}

func offsetOf(format *tracefs.Format, name string, size int) int {
	if f := format.Field(name); f != nil && f.Size == size {
		return f.Offset
	}
	return -1
}

const (
	cloneThread = 0x10000 // CLONE_THREAD

	// commonPID is where all records have their thread.
	commonPID = 4
)

// tid returns the thread that a record is about.
func (e *taskEvent) tid(record []byte) (uint32, bool) {
	at := e.pid
	if at < 0 {
		at = commonPID
	}
	if at+4 > len(record) {
		return 0, false
	}
	return order.Uint32(record[at:]), true
}

// name returns the name in a record.
func (e *taskEvent) name(record []byte) ([]byte, bool) {
	if e.comm < 0 || e.comm+e.commSize > len(record) {
		return nil, false
	}
	name := record[e.comm : e.comm+e.commSize]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return name, true
}

// exitGrace is how long after its exit event a thread is remembered, in nanoseconds: it still closes its files then.
const exitGrace = 1e9

// threads knows the process of each thread, and which threads are watched where the kernel does not know.
type threads struct {
	process map[uint32]uint32
	lookup  func(tid uint32) uint32 // where process has nothing
	watched map[uint32]bool         // nil: all that come, the kernel chooses
	inherit bool
	armed   map[uint32]bool // recording starts with the execve of one of these; nil: it has
	ended   map[uint32]uint64
	endings []ending // oldest first; one that is not in ended is out of date
}

type ending struct {
	tid  uint32
	time uint64
}

// of returns the process of a thread.
func (t *threads) of(tid uint32) uint32 {
	process, ok := t.process[tid]
	if !ok {
		process = t.lookup(tid)
		t.process[tid] = process
	}
	return process
}

// wants tells whether a sample of this thread is to be delivered.
func (t *threads) wants(tid uint32) bool {
	return t.armed == nil && (t.watched == nil || t.watched[tid])
}

// task fills in the Record of an event about a thread, and reports whether it is to be delivered.
func (t *threads) task(events *taskEvents, id uint16, record []byte, r *perfring.Record) bool {
	switch id {
	case events.newTask.id:
		return t.born(&events.newTask, record, r)
	case events.rename.id:
		tid, ok := events.rename.tid(record)
		name, ok2 := events.rename.name(record)
		if !ok || !ok2 {
			return false
		}
		r.Kind, r.TID, r.PID, r.Comm = perfring.Comm, tid, t.of(tid), name
		return true
	case events.exec.id:
		if tid, ok := events.exec.tid(record); ok {
			t.executed(tid)
		}
	case events.exit.id:
		if tid, ok := events.exit.tid(record); ok {
			t.ended[tid] = r.Time
			t.endings = append(t.endings, ending{tid, r.Time})
		}
	}
	return false
}

// executed notes an execve. A thread that is not its process's first takes over the number of that one, which has ended.
func (t *threads) executed(tid uint32) {
	if t.armed[tid] {
		t.armed = nil
	}
	t.process[tid] = tid
	delete(t.ended, tid)
}

// born notes a new thread, made by the thread of the record.
func (t *threads) born(e *taskEvent, record []byte, r *perfring.Record) bool {
	tid, ok := e.tid(record)
	if !ok || e.flags+8 > len(record) {
		return false
	}
	maker := order.Uint32(record[commonPID:])
	process := tid
	if order.Uint64(record[e.flags:])&cloneThread != 0 {
		process = t.of(maker)
	}
	t.process[tid] = process
	delete(t.ended, tid) // the number came again
	if t.watched != nil {
		delete(t.watched, tid)
		if t.inherit && t.watched[maker] {
			t.watched[tid] = true
		}
	}
	r.Kind, r.PID, r.TID, r.PPID, r.PTID = perfring.Fork, process, tid, t.of(maker), maker
	return true
}

// forget fills in the Record of an end that is long enough ago, and reports whether there was one.
func (t *threads) forget(now uint64, r *perfring.Record) bool {
	for len(t.endings) > 0 && t.endings[0].time+exitGrace < now {
		e := t.endings[0]
		t.endings = t.endings[1:]
		if at, ok := t.ended[e.tid]; !ok || at != e.time {
			continue
		}
		*r = perfring.Record{Kind: perfring.Exit, PID: t.of(e.tid), TID: e.tid, Time: now}
		delete(t.ended, e.tid)
		delete(t.process, e.tid)
		delete(t.watched, e.tid)
		return true
	}
	return false
}
