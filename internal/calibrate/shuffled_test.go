package calibrate

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestShuffled finds the members in structs with layouts of no kernel: pieces
// of the real ones in another order, and among them pieces of noise.
func TestShuffled(t *testing.T) {
	for name, load := range recordings(t) {
		truth := claims(Solve(load()))
		for range 30 {
			r := load()
			want := map[string]Found{}
			for key, f := range truth {
				want[key] = f
			}
			for _, kind := range []string{"sock", "skb", "dev", "net", "neigh"} {
				shuffle(r, kind, truth, want)
			}
			got := claims(Solve(r))
			agree(t, name+", shuffled", got, want)
			for key := range want {
				if _, ok := got[key]; !ok {
					t.Errorf("%s, shuffled: %s is not found", name, key)
				}
			}
		}
	}
}

// shuffle reorders the words of one kind of memory, leaving those together
// that members share, and tells where members then are.
func shuffle(r *Recording, kind string, truth, want map[string]Found) {
	size := 0
	r.memory(kind, func(mem []byte) { size = len(mem) })
	if kind == "sock" {
		size = 960 // beyond are things to which the socket points
	}
	words := size / 8
	joined := make([]bool, words+1) // with the word before
	for key, f := range truth {
		if k, _, _ := strings.Cut(key, "."); k == kind {
			for w := f.Offset/8 + 1; w <= (f.Offset+f.Size-1)/8 && w < words; w++ {
				joined[w] = true
			}
		}
	}
	for _, together := range [][]string{{"skb.transport_header", "skb.network_header", "skb.mac_header"},
		{"sock.ack_backlog", "sock.max_ack_backlog"}, {"sock.type", "sock.protocol"}} {
		lo, hi := size, 0
		for _, key := range together {
			if k, _, _ := strings.Cut(key, "."); k == kind {
				lo, hi = min(lo, truth[key].Offset), max(hi, truth[key].Offset)
			}
		}
		for w := lo/8 + 1; w <= hi/8 && w < words; w++ {
			joined[w] = true
		}
	}
	// A member that crosses the end keeps its neighbours in place.
	var blocks [][2]int
	for w := 0; w < words; {
		end := w + 1
		for end <= words && joined[min(end, words)] {
			end++
		}
		blocks = append(blocks, [2]int{w, min(end, words)})
		w = end
	}
	if joined[words] {
		blocks = blocks[:len(blocks)-1]
	}
	rand.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	to := map[int]int{}
	at := 0
	for _, b := range blocks {
		for w := b[0]; w < b[1]; w++ {
			to[w] = at
			at++
		}
	}
	r.memory(kind, func(mem []byte) {
		old := bytes.Clone(mem)
		for from, dest := range to {
			copy(mem[8*dest:8*dest+8], old[8*from:])
		}
	})
	for key, f := range truth {
		if k, _, _ := strings.Cut(key, "."); k != kind {
			continue
		}
		if dest, ok := to[f.Offset/8]; ok {
			f.Offset = 8*dest + f.Offset%8
			want[key] = f
		}
	}
}
