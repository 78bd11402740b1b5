package event

import "slices"

// Limits of what is remembered of functions that were entered and have not
// returned.
const (
	maxThreads = 16384
	maxDepth   = 8 // of one thread: recursion, or calls whose return was lost
)

// pairs keeps the entry records of each thread until the function returns.
type pairs struct {
	byThread map[uint32][][]byte
	free     [][]byte
	last     []byte // what leave returned; reused after the next call

	orphans uint64 // returns without an entry
	evicted uint64 // entries that were given up
}

func (p *pairs) enter(tid uint32, record []byte) {
	stack, known := p.byThread[tid]
	switch {
	case p.byThread == nil:
		p.byThread = map[uint32][][]byte{}
	case len(stack) >= maxDepth:
		p.evicted++
		p.free = append(p.free, stack[0])
		stack = slices.Delete(stack, 0, 1)
	case !known && len(p.byThread) >= maxThreads:
		for old, s := range p.byThread { // any one
			p.evicted += uint64(len(s))
			p.free = append(p.free, s...)
			delete(p.byThread, old)
			break
		}
	}
	var b []byte
	if n := len(p.free); n > 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	}
	p.byThread[tid] = append(stack, append(b[:0], record...))
}

// leave returns the record with which tid entered last, nil if there is none.
// It is valid until the next call.
func (p *pairs) leave(tid uint32) []byte {
	if p.last != nil {
		p.free = append(p.free, p.last)
		p.last = nil
	}
	stack := p.byThread[tid]
	n := len(stack)
	if n == 0 {
		p.orphans++
		return nil
	}
	p.last = stack[n-1]
	if n == 1 {
		delete(p.byThread, tid)
	} else {
		p.byThread[tid] = stack[:n-1]
	}
	return p.last
}
