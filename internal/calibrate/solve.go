package calibrate

import (
	"bytes"
	"slices"
)

// A sample is a struct as it was seen once, with what its members held then.
type sample struct {
	addr uint64 // of the struct
	mem  []byte
	want map[string][]byte
}

// minEvidence is how many bits of different values a member must have shown. A
// constant such as AF_INET in 16 bits is found all over a struct.
const minEvidence = 32

// offsets returns the places, multiples of align, at which all samples hold
// what the member must hold, and how many bits of different values tell so.
// Zeros tell nothing, but must be there; a small number tells nothing as long as
// it is always the same.
func offsets(samples []sample, key string, align int) (places []int, evidence int) {
	var values [][]byte
	first := true
	for _, s := range samples {
		want := s.want[key]
		if want == nil {
			continue
		}
		if !slices.ContainsFunc(values, func(v []byte) bool { return bytes.Equal(v, want) }) {
			values = append(values, want)
		}
		if first {
			for off := 0; off+len(want) <= len(s.mem); off += align {
				places = append(places, off)
			}
			first = false
		}
		places = slices.DeleteFunc(places, func(off int) bool {
			return off+len(want) > len(s.mem) || !bytes.Equal(s.mem[off:off+len(want)], want)
		})
	}
	for _, v := range values {
		if len(bytes.Trim(v, "\x00")) > 0 {
			evidence += 8 * len(v)
		}
	}
	if len(values) < 2 && evidence < 64 {
		evidence = 0
	}
	return places, evidence
}

// count is how many samples tell of a member.
func count(samples []sample, key string) int {
	n := 0
	for _, s := range samples {
		if s.want[key] != nil {
			n++
		}
	}
	return n
}

// A place is where a member was found, or why it was not.
type place struct {
	off, size  int
	ok         bool
	candidates []int
	samples    int
	evidence   int
}

// find looks for a member of a known size.
func find(samples []sample, key string, size, align int) place {
	at, evidence := offsets(samples, key, align)
	p := place{size: size, candidates: at, samples: count(samples, key), evidence: evidence}
	if len(at) == 1 && evidence >= minEvidence && p.samples >= 2 {
		p.off, p.ok = at[0], true
	}
	return p
}
