package perfring

import (
	"fmt"

	"github.com/skprobe/skprobe/internal/timemerge"
)

// merger delivers the records of several rings in the order of time.
type merger struct {
	rings []*ring
	merge timemerge.Merger
	fn    func(*Record) error // of the delivery under way
	stack bool
	rec   Record
	late  uint64 // records that were delivered after a younger one
	last  uint64 // time of the newest record delivered

	delivered uint64 // samples
}

// turn is a ring of a merger.
type turn struct {
	*ring
	m *merger
}

// deliver calls fn for all indexed records up to the time limit.
func (m *merger) deliver(limit uint64, fn func(*Record) error) error {
	for _, r := range m.rings[len(m.merge.Queues):] {
		m.merge.Queues = append(m.merge.Queues, turn{r, m})
	}
	m.fn = fn
	defer func() { m.fn = nil }()
	return m.merge.Deliver(limit)
}

// Oldest is the time of the oldest record that was not delivered.
func (t turn) Oldest() (uint64, bool) {
	if t.next == len(t.index) {
		return 0, false
	}
	return t.index[t.next].time, true
}

// Deliver delivers the ring's records up to a time.
func (t turn) Deliver(until uint64) error {
	r, m := t.ring, t.m
	m.rec.CPU = uint32(r.cpu)
	for r.next < len(r.index) {
		e := &r.index[r.next]
		if e.time > until {
			return nil
		}
		if err := m.one(r, e); err != nil {
			return err
		}
	}
	return nil
}

// one delivers the oldest record of a ring.
func (m *merger) one(r *ring, e *entry) error {
	b := r.bytes(e)
	known := e.sample
	var err error
	if known {
		err = m.rec.decodeSample(b, m.stack)
	} else {
		known, err = m.rec.decode(b, m.stack)
	}
	if err != nil {
		err = fmt.Errorf("perf ring of CPU %d: %w", r.cpu, err)
	} else if known {
		if e.time < m.last {
			m.late++
		} else {
			m.last = e.time
		}
		if e.sample {
			m.delivered++
		}
		err = m.fn(&m.rec)
	}
	r.advance()
	return err
}
