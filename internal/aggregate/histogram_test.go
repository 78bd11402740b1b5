package aggregate

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// samples are numbers of all sizes, small ones often.
func samples(random *rand.Rand, signed bool) []uint64 {
	all := make([]uint64, 1+random.IntN(500))
	for i := range all {
		all[i] = random.Uint64() >> random.IntN(64)
		switch random.IntN(20) {
		case 0:
			all[i] = 0
		case 1:
			all[i] = math.MaxUint64
		case 2:
			all[i] = 1 << 63
		}
		if signed && random.IntN(3) == 0 {
			all[i] = -all[i]
		}
	}
	return all
}

// Percentiles are those of the sorted numbers, but for what the width of a part allows; buckets hold exactly what lies in them.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 2000 {
		signed := round%2 == 1
		compare := func(a, b uint64) int {
			if signed {
				return cmp.Compare(int64(a), int64(b))
			}
			return cmp.Compare(a, b)
		}
		h := &Histogram{signed: signed}
		for again := range 2 {
			all := samples(random, signed)
			for _, n := range all {
				h.add(n)
			}
			slices.SortFunc(all, compare)
			if h.Count() != uint64(len(all)) || h.Max() != all[len(all)-1] {
				t.Fatalf("%d numbers, at most %d; want %d and %d", h.Count(), h.Max(), len(all), all[len(all)-1])
			}
			for _, p := range []float64{0, 1, 50, 90, 99, 99.9, 100} {
				want := all[max(0, int(math.Ceil(p/100*float64(len(all))))-1)]
				got := h.Percentile(p)
				magnitude := want
				if signed && int64(want) < 0 {
					magnitude = -want
				}
				if compare(got, want) < 0 || got-want > magnitude/parts {
					t.Fatalf("percentile %v: %d, want %d (signed: %t)", p, got, want, signed)
				}
			}
			buckets := h.Buckets()
			var sum uint64
			for i, b := range buckets {
				count := uint64(0)
				for _, n := range all {
					if compare(n, b.From) >= 0 && compare(n, b.To) <= 0 {
						count++
					}
				}
				if b.Count != count {
					t.Fatalf("from %d to %d: %d, want %d", b.From, b.To, b.Count, count)
				}
				if i > 0 && b.From != buckets[i-1].To+1 {
					t.Fatalf("a bucket from %d after one to %d", b.From, buckets[i-1].To)
				}
				sum += b.Count
			}
			if sum != h.Count() || buckets[0].Count == 0 || buckets[len(buckets)-1].Count == 0 {
				t.Fatalf("round %d: %d in buckets %v, want %d", again, sum, buckets, h.Count())
			}
			h.reset()
		}
	}
}

// Each number is in the part that ends with the largest number counted there, and the next one begins after it.
func TestParts(t *testing.T) {
	for length := range 65 {
		for p := range parts {
			if length <= partBits && p > 0 && uint64(p) >= first(length) {
				break
			}
			n := last(length, p)
			if bits.Len64(n) != length || part(n, length) != uint64(p) {
				t.Fatalf("%d ends part %d of the numbers of %d bits, and is counted in %d of %d", n, p, length, part(n, length), bits.Len64(n))
			}
		}
	}
}
