package aggregate

import (
	"iter"
	"math"
	"math/bits"
)

// parts is in how many parts of the same width each power of two is counted. Smaller numbers than 2·parts are counted exactly.
const (
	partBits = 5
	parts    = 1 << partBits
)

// An octave counts the numbers from a power of two up to the next.
type octave [parts]uint64

// A Histogram counts numbers by their size: memory only for the powers of two that come, and a new one is all that is ever
// allocated.
type Histogram struct {
	signed   bool // numbers are int64
	count    uint64
	least    uint64
	most     uint64
	positive [65]*octave // by the length of the number in bits
	negative [65]*octave // of its magnitude
}

// A Bucket is how many numbers there were from one to another, both included. Where the histogram is of signed numbers they
// are int64.
type Bucket struct {
	From, To uint64
	Count    uint64
}

func (h *Histogram) add(n uint64) {
	if h.count == 0 || h.less(n, h.least) {
		h.least = n
	}
	if h.count == 0 || h.less(h.most, n) {
		h.most = n
	}
	h.count++
	octaves := &h.positive
	if h.signed && int64(n) < 0 {
		octaves, n = &h.negative, -n
	}
	length := bits.Len64(n)
	o := octaves[length]
	if o == nil {
		o = new(octave)
		octaves[length] = o
	}
	o[part(n, length)]++
}

// part is the part of its octave in which n is counted.
func part(n uint64, length int) uint64 {
	if length <= partBits+1 {
		return n - first(length)
	}
	return n>>(length-partBits-1) - parts
}

// first is the smallest number of a length in bits.
func first(length int) uint64 {
	if length == 0 {
		return 0
	}
	return 1 << (length - 1)
}

// last is the largest number that is counted in a part of an octave.
func last(length, part int) uint64 {
	if length <= partBits+1 {
		return first(length) + uint64(part)
	}
	return first(length) + uint64(part+1)<<(length-partBits-1) - 1
}

func (h *Histogram) less(a, b uint64) bool {
	if h.signed {
		return int64(a) < int64(b)
	}
	return a < b
}

func (h *Histogram) reset() {
	h.count, h.least, h.most = 0, 0, 0
	for _, octaves := range []*[65]*octave{&h.positive, &h.negative} {
		for _, o := range octaves {
			if o != nil {
				clear(o[:])
			}
		}
	}
}

// Count is how many numbers there were.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the largest number.
func (h *Histogram) Max() uint64 { return h.most }

// Percentile returns the number that percent of all numbers do not exceed; it may be up to 1/32 too large (below zero, too
// small in magnitude), and is exact for numbers below 64. There must be numbers.
func (h *Histogram) Percentile(percent float64) uint64 {
	rank := uint64(math.Ceil(percent / 100 * float64(h.count)))
	for n, count := range h.ascending() {
		if count >= rank {
			switch {
			case h.less(n, h.least):
				return h.least
			case h.less(h.most, n):
				return h.most
			}
			return n
		}
		rank -= count
	}
	return h.most
}

// ascending yields the largest number of each part, the smallest part first, and how many numbers it has.
func (h *Histogram) ascending() iter.Seq2[uint64, uint64] {
	return func(yield func(n, count uint64) bool) {
		for length := len(h.negative) - 1; length >= 0; length-- {
			for p := parts - 1; h.negative[length] != nil && p >= 0; p-- {
				least := first(length)
				if p > 0 {
					least = last(length, p-1) + 1
				}
				if n := h.negative[length][p]; n > 0 && !yield(-least, n) {
					return
				}
			}
		}
		for length, o := range h.positive {
			for p := 0; o != nil && p < parts; p++ {
				if o[p] > 0 && !yield(last(length, p), o[p]) {
					return
				}
			}
		}
	}
}

// Buckets yields a bucket for each power of two from the smallest number's to the largest's, as bcc and bpftrace part them:
// 0 to 1, 2 to 3, 4 to 7.
func (h *Histogram) Buckets() []Bucket {
	var all []Bucket
	add := func(from, to uint64, octaves ...*octave) {
		b := Bucket{From: from, To: to}
		for _, o := range octaves {
			for p := 0; o != nil && p < parts; p++ {
				b.Count += o[p]
			}
		}
		if b.Count > 0 || len(all) > 0 {
			all = append(all, b)
		}
	}
	add(1<<63, 1<<63, h.negative[64]) // the least that there is
	for length := 63; length > 0; length-- {
		add(-(first(length)*2 - 1), -first(length), h.negative[length])
	}
	add(0, 1, h.positive[0], h.positive[1])
	for length := 2; length < len(h.positive); length++ {
		add(first(length), first(length)*2-1, h.positive[length])
	}
	for len(all) > 0 && all[len(all)-1].Count == 0 {
		all = all[:len(all)-1]
	}
	return all
}
