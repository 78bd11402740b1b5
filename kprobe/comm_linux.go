package kprobe

import (
	"bytes"
	"os"
	"strconv"

	"github.com/skprobe/skprobe/internal/perfring"
)

// comms knows the names of threads: from perf's records about new names, new
// threads and their ends, which come in the order of time among the samples,
// and from /proc for threads that are older than the reader. Fetching $comm
// with each event would cost the traced program 0.5 µs, and does not work
// before 4.8.
type comms struct {
	byThread map[uint32]string
	last     uint32 // the thread that was asked for last, 0 for none
	lastName string
}

// update takes a record that is no sample.
func (c *comms) update(r *perfring.Record) {
	c.last = 0
	switch r.Kind {
	case perfring.Comm:
		c.byThread[r.TID] = string(r.Comm)
	case perfring.Fork:
		c.byThread[r.TID] = c.name(r.PTID)
	case perfring.Exit:
		delete(c.byThread, r.TID)
	}
}

// name returns the name of a thread, "" where nothing tells it.
func (c *comms) name(tid uint32) string {
	if tid != 0 && tid == c.last {
		return c.lastName
	}
	name, ok := c.byThread[tid]
	if !ok {
		// A thread that is gone is remembered too, so that a busy one is
		// not asked for again and again.
		if b, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/comm"); err == nil {
			name = string(bytes.TrimSuffix(b, []byte{'\n'}))
		}
		c.byThread[tid] = name
	}
	c.last, c.lastName = tid, name
	return name
}
