package perfring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// kernel writes records to a ring as the kernel does.
type kernel struct {
	ring       *ring
	head, tail uint64
	lost       uint64 // records that did not fit since the last that did
	allLost    uint64
}

func newKernel(cpu, size int) *kernel {
	k := &kernel{}
	k.ring = &ring{cpu: cpu, data: make([]byte, size), head: &k.head, tail: &k.tail}
	// Positions never turn back; start near where a counter of 32 bits would.
	k.head = 1<<32 - 512
	k.tail, k.ring.scanned = k.head, k.head
	return k
}

// write appends a record, in front of it one about losses if there were any. It reports whether there was room.
func (k *kernel) write(b []byte) bool {
	if k.lost > 0 {
		b = append(rec(typeLost, 0, u64(0, k.lost), id(0, 0, k.timeOf(b))), b...)
	}
	if uint64(len(b)) > uint64(len(k.ring.data))-(k.head-k.tail) {
		k.lost++
		k.allLost++
		return false
	}
	for _, c := range b {
		k.ring.data[k.head%uint64(len(k.ring.data))] = c
		k.head++
	}
	k.lost = 0
	return true
}

func (k *kernel) timeOf(b []byte) uint64 { return order.Uint64(b[headerSize+8:]) }

func newMerger(kernels ...*kernel) *merger {
	m := &merger{}
	for _, k := range kernels {
		m.rings = append(m.rings, k.ring)
	}
	return m
}

// look does what Rings.upTo does.
func (m *merger) look(limit uint64, fn func(*Record) error) error {
	for _, r := range m.rings {
		if err := r.scan(); err != nil {
			return err
		}
	}
	err := m.deliver(limit, fn)
	for _, r := range m.rings {
		r.settle()
	}
	return err
}

// Records of several rings, some of them out of order in their ring, come out in order, once each, and whole, whatever wraps.
func TestMergeOrder(t *testing.T) {
	for _, cpus := range []int{1, 2, 3, 7} {
		for _, size := range []int{4096, 1 << 16} {
			t.Run(fmt.Sprintf("%d rings of %d", cpus, size), func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(cpus)))
				var kernels []*kernel
				for cpu := range cpus {
					kernels = append(kernels, newKernel(cpu, size))
				}
				m := newMerger(kernels...)
				const horizon = 50
				var now, last uint64 = 1000, 0
				written, read := map[uint64]int{}, map[uint64]bool{} // on which CPU
				number := uint64(0)
				check := func(r *Record) error {
					if r.Kind != Sample {
						return nil
					}
					n := order.Uint64(r.Raw)
					if r.Time < last {
						t.Errorf("record %d of time %d after time %d", n, r.Time, last)
					}
					last = r.Time
					if cpu, ok := written[n]; read[n] || !ok || cpu != int(r.CPU) {
						t.Errorf("record %d of CPU %d again, or never written there", n, r.CPU)
					}
					read[n] = true
					for i, c := range r.Raw[8 : 8+n%61] {
						if c != byte(n)+byte(i) {
							t.Fatalf("record %d is damaged", n)
						}
					}
					return nil
				}
				for range 2000 {
					for range random.IntN(40) {
						now += uint64(random.IntN(3))
						k := kernels[random.IntN(cpus)]
						number++
						raw := u64(number)
						for i := range number % 61 {
							raw = append(raw, byte(number)+byte(i))
						}
						// A time may be a little older than the place says.
						if k.write(sample(1, 1, now-uint64(random.IntN(horizon/2)), raw)) {
							written[number] = k.ring.cpu
						}
					}
					if err := m.look(now-horizon, check); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.look(math.MaxUint64, check); err != nil {
					t.Fatal(err)
				}
				if len(read) != len(written) || m.late != 0 {
					t.Errorf("read %d of %d, %d late", len(read), len(written), m.late)
				}
				var lost, told uint64
				for _, k := range kernels {
					lost += k.allLost - k.lost
					told += k.ring.lost.Load()
					if k.tail != k.head {
						t.Errorf("CPU %d: %d bytes are still taken", k.ring.cpu, k.head-k.tail)
					}
				}
				if lost != told {
					t.Errorf("%d were lost, %d are told", lost, told)
				}
				if uint64(len(written))+lost < number-uint64(cpus) {
					t.Errorf("%d written, %d lost, of %d", len(written), lost, number)
				}
			})
		}
	}
}

// An error of the function ends the delivery; the next goes on behind that record.
func TestDeliverError(t *testing.T) {
	k := newKernel(0, 4096)
	for n := range uint64(10) {
		k.write(sample(1, 1, 100+n, u64(n)))
	}
	m := newMerger(k)
	var got []uint64
	stop := fmt.Errorf("enough")
	fn := func(r *Record) error {
		got = append(got, order.Uint64(r.Raw))
		if len(got)%4 == 0 {
			return stop
		}
		return nil
	}
	for _, want := range []error{stop, stop, nil} {
		if err := m.look(math.MaxUint64, fn); err != want {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	if !slices.Equal(got, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("got %v", got)
	}
}

// Records that wait for their time do not fill the ring.
func TestHold(t *testing.T) {
	k := newKernel(0, 4096)
	other := newKernel(1, 4096)
	m := newMerger(k, other)
	n := 0
	for i := range uint64(500) {
		if !k.write(sample(1, 1, 1000+i, u64(i))) {
			t.Fatalf("no room for record %d", i)
		}
		if i%20 == 0 {
			if err := m.look(900+i, func(r *Record) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := uint64(0)
	err := m.look(math.MaxUint64, func(r *Record) error {
		n++
		if v := order.Uint64(r.Raw); v != 0 && v != last+1 && last != 0 {
			t.Errorf("%d after %d", v, last)
		} else {
			last = v
		}
		return nil
	})
	if err != nil || n != 500 || last != 499 {
		t.Errorf("%d records, the last %d, %v", n, last, err)
	}
	if len(k.ring.held)+len(k.ring.spare) > 1<<16 {
		t.Errorf("the copies grew to %d and %d bytes", len(k.ring.held), len(k.ring.spare))
	}
}

// What is not a ring of records is an error.
func TestScanRefuses(t *testing.T) {
	for name, damage := range map[string]func(k *kernel){
		"no length":          func(k *kernel) { order.PutUint16(k.ring.data[k.tail%4096+6:], 0) },
		"an odd length":      func(k *kernel) { order.PutUint16(k.ring.data[k.tail%4096+6:], 43) },
		"behind the end":     func(k *kernel) { order.PutUint16(k.ring.data[k.tail%4096+6:], 1024) },
		"half a header":      func(k *kernel) { k.head += 4 },
		"more than the ring": func(k *kernel) { k.head += 8192 },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(0, 4096)
			k.write(sample(1, 1, 1, u64(1)))
			damage(k)
			if err := newMerger(k).look(math.MaxUint64, func(*Record) error { return nil }); err == nil {
				t.Error("no error")
			}
		})
	}
}

func FuzzRing(f *testing.F) {
	f.Add(append(sample(1, 1, 5, u64(1)), sample(1, 1, 4, u64(2))...), uint16(0))
	f.Add(append(rec(typeLost, 0, u64(7, 42), id(10, 11, 99)), rec(typeComm, 0, u32(1, 1), u64(65), id(1, 1, 1))...), uint16(4000))
	f.Fuzz(func(t *testing.T, b []byte, start uint16) {
		k := newKernel(0, 4096)
		k.head = uint64(start) &^ 7
		k.tail, k.ring.scanned = k.head, k.head
		for _, c := range b[:min(len(b), 4096)] {
			k.ring.data[k.head%4096] = c
			k.head++
		}
		newMerger(k).look(math.MaxUint64, func(r *Record) error { return nil })
	})
}

func BenchmarkDeliver(b *testing.B) {
	for _, cpus := range []int{1, 2, 8} {
		b.Run(fmt.Sprintf("%d rings", cpus), func(b *testing.B) {
			var kernels []*kernel
			for cpu := range cpus {
				kernels = append(kernels, newKernel(cpu, 1<<19))
			}
			m := newMerger(kernels...)
			// The records are written once, and read again and again.
			n := 0
			heads := make([]uint64, cpus)
			for {
				k := kernels[n/3%cpus] // some in a row on each CPU
				if !k.write(sample(1, 1, uint64(n), make([]byte, 60))) {
					break
				}
				n++
			}
			starts := make([]uint64, cpus)
			for i, k := range kernels {
				starts[i], heads[i] = k.tail, k.head
			}
			var sum uint64
			fn := func(r *Record) error { sum += uint64(r.Raw[0]); return nil }
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += n {
				for i, k := range kernels {
					k.tail, k.ring.scanned = starts[i], starts[i]
				}
				m.last = 0
				if err := m.look(math.MaxUint64, fn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
