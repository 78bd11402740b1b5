// Package timemerge puts the records of several sources, each in the order of time, into one order of time.
package timemerge

// A Queue is records of one CPU, oldest first.
type Queue interface {
	// Oldest is the time of the first record that was not delivered; ok is false if there is none.
	Oldest() (time uint64, ok bool)
	// Deliver hands on all records that are not younger than a time, oldest first. It must hand on the oldest if that is one of them.
	Deliver(until uint64) error
}

// Merger merges queues. The zero value with Queues set is ready.
type Merger struct {
	Queues []Queue
	heap   []head // of queues with something to deliver, the one with the oldest record first
}

type head struct {
	time  uint64
	queue Queue
}

// Deliver hands on all records up to the time limit, in the order of time. It asks a queue for all that it has until another
// queue's oldest record, so that records which come in runs cost little. An error of a queue ends it.
func (m *Merger) Deliver(limit uint64) error {
	m.heap = m.heap[:0]
	for _, q := range m.Queues {
		if time, ok := q.Oldest(); ok && time <= limit {
			m.heap = append(m.heap, head{time, q})
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		first := &m.heap[0]
		bound := limit
		for i := 1; i < min(3, len(m.heap)); i++ {
			bound = min(bound, m.heap[i].time)
		}
		if err := first.queue.Deliver(bound); err != nil {
			return err
		}
		time, ok := first.queue.Oldest()
		if ok && time <= limit {
			first.time = time
		} else {
			last := len(m.heap) - 1
			m.heap[0] = m.heap[last]
			m.heap = m.heap[:last]
		}
		m.down(0)
	}
	return nil
}

// down moves a queue of the heap to its place.
func (m *Merger) down(i int) {
	for {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(m.heap) && m.heap[c].time < m.heap[least].time {
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
