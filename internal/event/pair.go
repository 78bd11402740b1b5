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
	byThread map[uint32][]entered
	free     [][]byte
	last     entered // what leave returned; reused after the next call

	orphans uint64 // returns without an entry
	evicted uint64 // entries that were given up
}

// An entered function has the record of its entry, and that of the inner
// function's last call, nil before it was called.
type entered struct{ entry, inner []byte }

func (p *pairs) enter(tid uint32, record []byte) {
	stack, known := p.byThread[tid]
	switch {
	case p.byThread == nil:
		p.byThread = map[uint32][]entered{}
	case len(stack) >= maxDepth:
		p.evicted++
		p.reuse(stack[0])
		stack = slices.Delete(stack, 0, 1)
	case !known && len(p.byThread) >= maxThreads:
		for old, s := range p.byThread { // any one
			p.evicted += uint64(len(s))
			for _, e := range s {
				p.reuse(e)
			}
			delete(p.byThread, old)
			break
		}
	}
	p.byThread[tid] = append(stack, entered{entry: p.keep(record)})
}

// within notes a call of the inner function by what tid entered last. It is of
// no interest where others call it.
func (p *pairs) within(tid uint32, record []byte) {
	if stack := p.byThread[tid]; len(stack) > 0 {
		e := &stack[len(stack)-1]
		p.reuse(entered{inner: e.inner})
		e.inner = p.keep(record)
	}
}

func (p *pairs) keep(record []byte) []byte {
	var b []byte
	if n := len(p.free); n > 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	}
	return append(b[:0], record...)
}

func (p *pairs) reuse(e entered) {
	for _, b := range [2][]byte{e.entry, e.inner} {
		if b != nil {
			p.free = append(p.free, b)
		}
	}
}

// leave returns the records of what tid entered last, none if there is none.
// They are valid until the next call.
func (p *pairs) leave(tid uint32) entered {
	p.reuse(p.last)
	p.last = entered{}
	stack := p.byThread[tid]
	n := len(stack)
	if n == 0 {
		p.orphans++
		return entered{}
	}
	p.last = stack[n-1]
	if n == 1 {
		delete(p.byThread, tid)
	} else {
		p.byThread[tid] = stack[:n-1]
	}
	return p.last
}
