package tracering

import (
	"fmt"
	"math"
	"testing"

	"github.com/skprobe/skprobe/internal/perfring"
)

const (
	sampleID = 300
	otherID  = 301
	stackID  = 4
)

// newRings are rings without an instance, for samples of sampleID.
func newRings(cpus int) *Rings {
	r := &Rings{layout: hostLayout, stack: stackEvent{stackID, 8, 16}}
	r.threads = threads{process: map[uint32]uint32{}, ended: map[uint32]uint64{}, lookup: func(tid uint32) uint32 { return tid }}
	r.mark(sampleID, isSample)
	for cpu := range cpus {
		q := &queue{rings: r, cpu: uint32(cpu)}
		r.queues = append(r.queues, q)
		r.merge.Queues = append(r.merge.Queues, q)
	}
	return r
}

// record makes a record: common fields and a number, or a stack of one address.
func record(id uint16, flags byte, tid uint32, n uint64) []byte {
	b := order.AppendUint16(nil, id)
	b = append(b, flags, 0)
	b = order.AppendUint32(b, tid)
	if id == stackID {
		b = order.AppendUint64(b, 1) // size
	}
	return order.AppendUint64(b, n)
}

func (r *Rings) take(t testing.TB, cpu int, w *writer, stamp, flags uint64) {
	t.Helper()
	r.queues[cpu].begin()
	p := r.page()
	copy(p.bytes, w.page(stamp, flags))
	must(t, r.queues[cpu].add(p))
}

// collect delivers up to a time, and describes the records.
func (r *Rings) collect(t testing.TB, limit uint64) (got []string) {
	t.Helper()
	r.fn = func(rec *perfring.Record) error {
		s := fmt.Sprintf("%d cpu%d", rec.Time, rec.CPU)
		if rec.Kind == perfring.Sample {
			s += fmt.Sprintf(" #%d", order.Uint64(rec.Raw[8:]))
		} else {
			s += " " + rec.Kind.String()
		}
		for _, a := range rec.Stack {
			s += fmt.Sprintf(" @%d", a)
		}
		got = append(got, s)
		return nil
	}
	must(t, r.merge.Deliver(limit))
	return got
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, not %q", got, want)
	}
}

// Records of two rings come in the order of time, up to a limit; the rest later; then all pages are free.
func TestQueues(t *testing.T) {
	r := newRings(2)
	var a, b writer
	for i := range uint64(4) {
		a.data(10, record(sampleID, 0, 7, i))
		b.data(15, record(sampleID, 0, 8, 100+i))
		b.data(0, record(otherID, 0, 8, 0)) // nobody asked for this
	}
	r.take(t, 0, &a, 1000, 0)
	r.take(t, 1, &b, 1000, missedEvents)
	expect(t, r.collect(t, 1030), "1000 cpu1 lost", "1010 cpu0 #0", "1015 cpu1 #100", "1020 cpu0 #1", "1030 cpu0 #2", "1030 cpu1 #101")
	r.queues[0].begin()
	expect(t, r.collect(t, math.MaxUint64), "1040 cpu0 #3", "1045 cpu1 #102", "1060 cpu1 #103")
	if len(r.spare) != 2 {
		t.Errorf("%d pages free", len(r.spare))
	}
}

// A stack belongs to the last record of its thread and context, across pages; without one it is nobody's.
func TestStacks(t *testing.T) {
	r := newRings(1)
	const interrupt, wish = 0x08, 0x04
	var a, b writer
	a.data(1, record(stackID, 0, 7, 90)) // its record was delivered before
	a.data(1, record(sampleID, 0, 7, 1))
	a.data(1, record(sampleID, interrupt, 7, 2))
	a.data(1, record(stackID, interrupt, 7, 92))
	b.data(1, record(stackID, wish, 7, 91))
	b.data(1, record(sampleID, 0, 7, 3))
	b.data(1, record(sampleID, 0, 7, 4))
	b.data(1, record(stackID, 0, 7, 94))
	b.data(1, record(stackID, 0, 8, 95))
	r.take(t, 0, &a, 10, 0)
	r.take(t, 0, &b, 20, 0)
	expect(t, r.collect(t, math.MaxUint64), "12 cpu0 #1 @91", "13 cpu0 #2 @92", "22 cpu0 #3", "23 cpu0 #4 @94")
	if len(r.spare) != 2 {
		t.Errorf("%d pages free", len(r.spare))
	}
}

// From pages in memory to the records, two CPUs, each with 512 KiB at a time.
func BenchmarkDeliver(b *testing.B) {
	r := newRings(2)
	r.stack.id = 0
	var w writer
	perPage := 0
	for len(w.b)+84 < 4000 {
		w.data(1000, append(record(sampleID, 0, 7, 1), make([]byte, 64)...)) // as large as udp's
		perPage++
	}
	page := w.page(0, 0)
	r.fn = func(*perfring.Record) error { return nil }
	b.ReportAllocs()
	stamp := uint64(0)
	for n := 0; n < b.N; {
		for _, q := range r.queues {
			q.begin()
			at := stamp
			for range 128 {
				p := r.page()
				copy(p.bytes, page)
				order.PutUint64(p.bytes, at)
				at += uint64(perPage) * 1000
				must(b, q.add(p))
				n += perPage
			}
		}
		stamp += 128 * uint64(perPage) * 1000
		must(b, r.merge.Deliver(math.MaxUint64))
	}
}
