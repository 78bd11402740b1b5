package calibrate

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// noises are what memory may look like that tells nothing.
var noises = map[string]func(r *rand.Rand) uint64{
	"random":   (*rand.Rand).Uint64,
	"zeros":    func(*rand.Rand) uint64 { return 0 },
	"numbers":  func(r *rand.Rand) uint64 { return r.Uint64N(12) | r.Uint64N(12)<<32 },
	"halves":   func(r *rand.Rand) uint64 { return r.Uint64N(20) | r.Uint64N(20)<<16 | r.Uint64N(20)<<32 },
	"pointers": func(r *rand.Rand) uint64 { return 0xffff888000000000 | r.Uint64N(1<<20)<<3 },
	"mixture": func(r *rand.Rand) uint64 {
		switch r.IntN(4) {
		case 0:
			return r.Uint64()
		case 1:
			return 0
		case 2:
			return r.Uint64N(12)
		}
		return 0xffff888000000000 | r.Uint64N(1<<20)<<3
	},
}

// TestNoise finds nothing in memory that holds nothing, be it the same in each
// dump or another. The noise is the same in each run: where a member is a small
// number of which a recording has few (ifindex), noise of small numbers has it
// by chance once in some hundred times, and nothing could tell.
func TestNoise(t *testing.T) {
	for name, load := range recordings(t) {
		for kind, noise := range noises {
			for _, constant := range []bool{true, false} {
				r := load()
				chance := rand.New(rand.NewPCG(uint64(len(name)), uint64(len(kind))))
				same := map[string][]byte{}
				for i := range r.Hits {
					for n, mem := range r.Hits[i].Mem {
						id := r.Hits[i].Func + string(rune('0'+n))
						if constant && same[id] != nil {
							copy(mem, same[id])
							continue
						}
						for at := 0; at+8 <= len(mem); at += 8 {
							binary.LittleEndian.PutUint64(mem[at:], noise(chance))
						}
						same[id] = mem
					}
				}
				for key, f := range claims(Solve(r)) {
					t.Errorf("%s, %s (constant: %t): %s is claimed at %d", name, kind, constant, key, f.Offset)
				}
			}
		}
	}
}

// TestSynthetic finds members in structs of random layout among noise, and
// claims none that is not there or of which there is a copy.
func TestSynthetic(t *testing.T) {
	testkernel.Outside(t)
	for range 2000 {
		size := []int{2, 4, 8, 16}[rand.N(4)]
		align := min(size, 8)
		mem := 64 + 8*rand.N(100)
		place := align * rand.N((mem-size)/align)
		copied, there := rand.N(4) == 0, rand.N(4) != 0
		second := align * rand.N((mem-size)/align)
		copied = copied && (second >= place+size || place >= second+size)
		var samples []sample
		for range 8 {
			s := sample{mem: make([]byte, mem), want: map[string][]byte{}}
			for i := range s.mem {
				s.mem[i] = byte(rand.N(256))
			}
			want := make([]byte, size)
			for i := range want {
				want[i] = byte(rand.N(255) + 1)
			}
			s.want["x"] = want
			if there {
				copy(s.mem[place:], want)
			}
			if there && copied {
				copy(s.mem[second:], want)
			}
			samples = append(samples, s)
		}
		p := find(samples, "x", size, align)
		switch {
		case p.ok && (!there || p.off != place):
			t.Fatalf("claimed at %d; there: %t, at %d", p.off, there, place)
		case p.ok && copied:
			t.Fatalf("claimed at %d although there is a copy at %d", p.off, second)
		case !p.ok && there && !copied:
			t.Fatalf("not found at %d: %+v", place, p)
		}
	}
}
