package tracering

import (
	"fmt"

	"github.com/skprobe/skprobe/internal/perfring"
)

// A page is a page of a ring that was read.
type page struct {
	bytes []byte
	left  int // records in it that were not delivered
}

// item is a record that waits for its turn. A stack belongs to it if end is not 0.
type item struct {
	time     uint64
	page     *page
	pos, end uint32
	stack    place
}

type place struct {
	page     *page
	pos, end uint32
}

// A queue is what was read of the ring of one CPU, and not delivered. It is a [timemerge.Queue].
type queue struct {
	rings *Rings
	cpu   uint32
	fd    int
	items []item
	next  int    // items[next:] are not delivered; they are in the order of the ring, which is that of time
	bytes int    // read by the last look
	read  uint64 // time up to which the ring was read
}

// begin makes room for more: it takes away what was delivered.
func (q *queue) begin() {
	n := copy(q.items, q.items[q.next:])
	clear(q.items[n:])
	q.items, q.next, q.bytes = q.items[:n], 0, 0
}

// add takes a page into the queue.
func (q *queue) add(p *page) error {
	c, lost, err := q.rings.layout.open(p.bytes)
	if err != nil {
		return fmt.Errorf("ring of CPU %d: %w", q.cpu, err)
	}
	q.bytes += len(c.page)
	if lost != 0 {
		q.items = append(q.items, item{time: c.time})
	}
	stackID := q.rings.stack.id
	p.left = 0
	for {
		e, ok, err := c.next()
		if err != nil {
			return fmt.Errorf("ring of CPU %d: %w", q.cpu, err)
		}
		if !ok {
			break
		}
		if e.end-e.pos < 8 {
			continue
		}
		if stackID != 0 && order.Uint16(p.bytes[e.pos:]) == stackID {
			q.attach(place{p, uint32(e.pos), uint32(e.end)})
			continue
		}
		// Before 5.10 a record of an interrupt has the time of the record that it interrupted; later ones are in order too.
		q.items = append(q.items, item{time: e.time, page: p, pos: uint32(e.pos), end: uint32(e.end)})
		p.left++
	}
	if p.left == 0 {
		q.rings.free(p)
	}
	q.read = c.time
	return nil
}

// maxNested is how many records may be between one and its stack: the kernel nests four contexts.
const maxNested = 8

// attach gives a stack to the record that it belongs to: the last one of the same thread and context that has none. Where that was
// delivered, or lost, nobody gets it.
func (q *queue) attach(stack place) {
	context := contextOf(stack.page.bytes[stack.pos:])
	for i := len(q.items) - 1; i >= max(q.next, len(q.items)-maxNested); i-- {
		it := &q.items[i]
		if it.page == nil || contextOf(it.page.bytes[it.pos:]) != context {
			continue
		}
		if it.stack.page == nil {
			it.stack = stack
			stack.page.left++
		}
		return
	}
}

// Oldest is the time of the oldest record that was not delivered.
func (q *queue) Oldest() (uint64, bool) {
	if q.next == len(q.items) {
		return 0, false
	}
	return q.items[q.next].time, true
}

// Deliver delivers the records up to a time.
func (q *queue) Deliver(until uint64) error {
	for q.next < len(q.items) && q.items[q.next].time <= until {
		it := &q.items[q.next]
		q.next++
		err := q.rings.deliver(q.cpu, it)
		q.done(it.page)
		q.done(it.stack.page)
		if err != nil {
			return err
		}
	}
	return nil
}

// done counts a delivered record of a page, and frees pages whose records all were.
func (q *queue) done(p *page) {
	if p == nil {
		return
	}
	if p.left--; p.left == 0 {
		q.rings.free(p)
	}
}

// deliver makes a Record of an item and hands it on.
func (r *Rings) deliver(cpu uint32, it *item) error {
	rec := &r.record
	for r.threads.forget(it.time, rec) {
		if err := r.hand(rec); err != nil {
			return err
		}
	}
	*rec = perfring.Record{CPU: cpu, Time: it.time}
	if it.page == nil {
		rec.Kind = perfring.Lost
		return r.hand(rec)
	}
	raw := it.page.bytes[it.pos:it.end:it.end]
	id, tid := order.Uint16(raw), order.Uint32(raw[commonPID:])
	rec.TID = tid
	if int(id) >= len(r.kinds) {
		return nil
	}
	if r.kinds[id]&isTask != 0 && r.threads.task(&r.tasks, id, raw, rec) {
		if err := r.hand(rec); err != nil {
			return err
		}
	}
	if r.kinds[id]&isSample == 0 {
		return nil
	}
	if !r.threads.wants(tid) {
		return nil
	}
	*rec = perfring.Record{Kind: perfring.Sample, CPU: cpu, Time: it.time, TID: tid, PID: r.threads.of(tid), Raw: raw}
	if it.stack.page != nil {
		r.addresses = r.stack.decode(it.stack.page.bytes[it.stack.pos:it.stack.end], r.addresses[:0])
		rec.Stack = r.addresses
	}
	return r.hand(rec)
}

func (r *Rings) hand(rec *perfring.Record) error {
	r.delivered++
	return r.fn(rec)
}
