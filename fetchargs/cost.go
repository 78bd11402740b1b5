package fetchargs

import "slices"

// What a probe takes of the traced program's time, in instructions, on Linux
// 6.1 (amd64, perf's rings): for each argument, for the first address that it
// reads and for each further one, and for arrays. Bytes in the record cost next
// to nothing, and arguments that are further apart than a word are cheaper one by
// one.
const (
	costArg     = 107
	costRead    = 65
	costFollow  = 82
	costArray   = 11
	costElement = 103 // for each but the first
)

// split divides reads of one object, in the order of their places, into those
// that are fetched together, so that all cost the least.
func (p *Planner) split(plan *Plan, items []item) [][]item {
	type best struct{ cost, first int } // of the last part
	upTo := make([]best, len(items)+1)
	for n := 1; n <= len(items); n++ {
		for first := n - 1; first >= 0; first-- {
			start, size := extent(items[first:n])
			if size > MaxArray*8 {
				break
			}
			cost := upTo[first].cost + p.cost(plan, items[first].ref.at(start), size)
			if first == n-1 || cost < upTo[n].cost {
				upTo[n] = best{cost, first}
			}
		}
	}
	var parts [][]item
	for n := len(items); n > 0; n = upTo[n].first {
		parts = append(parts, items[upTo[n].first:n])
	}
	slices.Reverse(parts)
	return parts
}

// extent is where some reads of one object begin, and how many bytes they and
// what is between them have.
func extent(items []item) (start int64, size int) {
	start, end := items[0].ref.off, items[0].ref.off
	for _, it := range items {
		start, end = min(start, it.ref.off), max(end, it.ref.off+int64(it.size))
	}
	return start, int(end - start)
}

// cost is that of size bytes at ref.
func (p *Planner) cost(plan *Plan, ref Ref, size int) int {
	one := costArg + costRead + costFollow*len(ref.loads)
	words := (size + 7) / 8
	switch {
	case words > 1 && p.dialect.Arrays:
		return one + costArray + costElement*(words-1)
	case words > 1:
		return one * words
	case slices.ContainsFunc(plan.Args, ref.arg(p.number(wordSize(size), false)).sameBytes):
		return 0 // a scalar
	}
	return one
}
