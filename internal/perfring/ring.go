package perfring

import (
	"fmt"
	"sync/atomic"
)

// ring is the ring of one CPU, from the reader's side. Records are first indexed (scan), then delivered from where they lie, in
// the order of their times; the kernel gets the room back (publish) in steps.
type ring struct {
	cpu  int
	data []byte // the data pages: a power of two of bytes
	// head is where the kernel writes next, tail what it may not overwrite: counters of bytes that never turn back.
	head, tail *uint64

	scanned uint64 // up to here, records are in index
	index   []entry
	next    int    // index[next:] is not delivered yet; it is sorted by time
	mixed   bool   // the order of index is not that of the ring
	due     int    // bytes delivered since the last publish
	held    []byte // copies of records whose room was needed
	spare   []byte
	scratch []byte // one record that wraps around the ring's end

	full bool          // the ring was full at some time, so records may have been lost
	lost atomic.Uint64 // what the ring's Lost records say
}

// entry is where a record is.
type entry struct {
	time uint64
	pos  uint64 // in data (modulo its length) or in held
	size uint32
	held bool
	// sample tells that it is one.
	sample bool
}

// scan takes what is new in the ring into the index.
func (r *ring) scan() error {
	if r.next > 0 {
		n := copy(r.index, r.index[r.next:])
		r.index, r.next = r.index[:n], 0
	}
	head := atomic.LoadUint64(r.head)
	size := uint64(len(r.data))
	mask := size - 1
	if head-r.scanned > size {
		return fmt.Errorf("perf ring of CPU %d: %d bytes to read in a ring of %d", r.cpu, head-r.scanned, size)
	}
	pos := r.scanned
	data := r.data
	for pos != head {
		// Records are multiples of 8 bytes, so that 8 bytes never wrap.
		at := data[pos&mask:]
		if len(at) < 8 || head-pos < headerSize {
			return fmt.Errorf("perf ring of CPU %d: a torn record at %d", r.cpu, pos)
		}
		length := uint64(order.Uint16(at[6:]))
		if length < headerSize || length%8 != 0 || length > head-pos {
			return fmt.Errorf("perf ring of CPU %d: a record of %d bytes at %d, with %d in the ring", r.cpu, length, pos, head-pos)
		}
		var time uint64
		kind := order.Uint32(at)
		switch {
		case kind == typeSample && length >= headerSize+idSize:
			time = order.Uint64(data[(pos+headerSize+8)&mask:])
		case length >= headerSize+idSize:
			time = r.word(pos + length - 8)
			switch kind {
			case typeLost:
				r.lost.Add(r.word(pos + headerSize + 8))
			case typeLostSamples:
				r.lost.Add(r.word(pos + headerSize))
			}
		}
		r.index = append(r.index, entry{time: time, pos: pos, size: uint32(length), sample: kind == typeSample})
		if last := len(r.index) - 1; last > r.next && r.index[last-1].time > time {
			r.sink(last)
		}
		pos += length
	}
	r.scanned = head
	return nil
}

// word returns the 8 bytes at pos.
func (r *ring) word(pos uint64) uint64 {
	return order.Uint64(r.data[pos&uint64(len(r.data)-1):])
}

// sink moves an entry before those that are younger. An interrupt between the moment when a record gets its time and the one when
// it gets its place puts younger records before it, but seldom and not far.
func (r *ring) sink(i int) {
	r.mixed = true
	e := r.index[i]
	for ; i > r.next && r.index[i-1].time > e.time; i-- {
		r.index[i] = r.index[i-1]
	}
	r.index[i] = e
}

// bytes returns the record of an entry, valid until the next call and the next publish.
func (r *ring) bytes(e *entry) []byte {
	if e.held {
		return r.held[e.pos : e.pos+uint64(e.size)]
	}
	start := e.pos & uint64(len(r.data)-1)
	end := start + uint64(e.size)
	if end <= uint64(len(r.data)) {
		return r.data[start:end:end]
	}
	r.scratch = append(append(r.scratch[:0], r.data[start:]...), r.data[:end-uint64(len(r.data))]...)
	return r.scratch
}

// advance is called after the first entry was delivered.
func (r *ring) advance() {
	r.due += int(r.index[r.next].size)
	r.next++
	if r.due >= len(r.data)/8 {
		r.publish()
	}
}

// publish gives the kernel the room of what was delivered.
func (r *ring) publish() {
	r.due = 0
	tail := r.scanned
	for _, e := range r.index[r.next:] {
		if e.held {
			continue
		}
		tail = min(tail, e.pos)
		if !r.mixed {
			break
		}
	}
	old := atomic.LoadUint64(r.tail)
	// A record is lost when it does not fit, and the ring stays that full until now. Records have less than 64 KiB.
	if room := uint64(len(r.data)) - (atomic.LoadUint64(r.head) - old); room < min(1<<16, uint64(len(r.data)/4)) {
		r.full = true
	}
	if tail != old {
		atomic.StoreUint64(r.tail, tail)
	}
	if r.next == len(r.index) {
		r.mixed = false
	}
}

// settle ends a delivery: it gives all room back that it can, and copies away what is left to wait for its time if that is
// more than a quarter of the ring.
func (r *ring) settle() {
	r.publish()
	if r.scanned-atomic.LoadUint64(r.tail) > uint64(len(r.data)/4) {
		r.hold()
		r.publish()
	}
}

// hold copies all records that wait out of the ring.
func (r *ring) hold() {
	to := r.spare[:0]
	for i := r.next; i < len(r.index); i++ {
		e := &r.index[i]
		b := r.bytes(e)
		e.pos, e.held = uint64(len(to)), true
		to = append(to, b...)
	}
	r.held, r.spare = to, r.held
}

// unread is how many bytes came since the last scan.
func (r *ring) unread() uint64 {
	return atomic.LoadUint64(r.head) - r.scanned
}
