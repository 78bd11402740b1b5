package perfring

import "fmt"

// merger delivers the records of several rings in the order of time.
type merger struct {
	rings []*ring
	heap  []*ring // rings with something to deliver, the one with the oldest record first
	stack bool
	rec   Record
	late  uint64 // records that were delivered after a younger one
	last  uint64 // time of the newest record delivered

	delivered uint64
}

// deliver calls fn for all indexed records up to the time limit.
func (m *merger) deliver(limit uint64, fn func(*Record) error) error {
	m.heap = m.heap[:0]
	for _, r := range m.rings {
		if r.next < len(r.index) && r.index[r.next].time <= limit {
			m.heap = append(m.heap, r)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		// Take from the ring with the oldest record for as long as no other has an older one.
		r := m.heap[0]
		bound := limit
		for _, other := range m.heap[1:min(3, len(m.heap))] {
			bound = min(bound, other.index[other.next].time)
		}
		for r.next < len(r.index) && r.index[r.next].time <= bound {
			if err := m.one(r, fn); err != nil {
				return err
			}
		}
		if r.next == len(r.index) || r.index[r.next].time > limit {
			m.heap[0] = m.heap[len(m.heap)-1]
			m.heap = m.heap[:len(m.heap)-1]
		}
		m.down(0)
	}
	return nil
}

// one delivers the oldest record of a ring.
func (m *merger) one(r *ring, fn func(*Record) error) error {
	e := r.index[r.next]
	known, err := m.rec.decode(r.bytes(e), m.stack)
	if err != nil {
		err = fmt.Errorf("perf ring of CPU %d: %w", r.cpu, err)
	} else if known {
		if e.time < m.last {
			m.late++
		} else {
			m.last = e.time
		}
		m.delivered++
		err = fn(&m.rec)
	}
	r.advance()
	return err
}

// down moves a ring of the heap to its place.
func (m *merger) down(i int) {
	for {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(m.heap) && m.heap[c].first() < m.heap[least].first() {
				least = c
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

func (r *ring) first() uint64 { return r.index[r.next].time }
