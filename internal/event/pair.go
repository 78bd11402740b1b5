package event

import "slices"

// Limits of what is remembered of functions that were entered and have not
// returned.
const (
	maxThreads = 16384
	maxDepth   = 8  // of one thread in one function: recursion, or calls whose return was lost
	maxNested  = 64 // of one thread in functions that share a definition, and call each other
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
type entered struct {
	place        int // which of several that share a definition, -1 for one alone
	time         uint64
	entry, inner []byte
}

func (p *pairs) enter(tid uint32, place int, time uint64, record []byte) {
	most := maxDepth
	if place >= 0 {
		most = maxNested
	}
	stack, known := p.byThread[tid]
	switch {
	case p.byThread == nil:
		p.byThread = map[uint32][]entered{}
	case len(stack) >= most:
		p.evicted++
		p.reuse(stack[0])
		stack = slices.Delete(stack, 0, 1)
	case !known && len(p.byThread) >= maxThreads:
		for old, s := range p.byThread { // any one
			p.giveUp(s)
			delete(p.byThread, old)
			break
		}
	}
	p.byThread[tid] = append(stack, entered{place: place, time: time, entry: p.keep(record)})
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

// giveUp forgets calls of which no return is expected any more.
func (p *pairs) giveUp(calls []entered) {
	p.evicted += uint64(len(calls))
	for _, e := range calls {
		p.reuse(e)
	}
}

// leave returns the records of how tid entered the place last, none if it did
// not; calls inside of it, whose returns were lost, are given up. They are valid
// until the next call.
func (p *pairs) leave(tid uint32, place int) entered {
	p.reuse(p.last)
	p.last = entered{}
	stack := p.byThread[tid]
	n := len(stack) - 1
	for n >= 0 && stack[n].place != place {
		n--
	}
	if n < 0 {
		p.orphans++
		return entered{}
	}
	p.giveUp(stack[n+1:])
	p.last = stack[n]
	if n == 0 {
		delete(p.byThread, tid)
	} else {
		p.byThread[tid] = stack[:n]
	}
	return p.last
}
