package kernel

import (
	"bytes"
	"io"
	"slices"
)

// Near returns up to three of the candidates that the writer of name may have
// meant, the likeliest first: those within a few typing errors (a letter
// missing, added, wrong or two swapped), and those that contain it.
func Near(name string, candidates []string) []string {
	n := nearest{want: name, word: []byte(name)}
	for _, c := range candidates {
		n.add(c)
	}
	return n.names()
}

// NearFunctions is Near over the functions of kallsyms.
func NearFunctions(r io.Reader, name string) ([]string, error) {
	n := nearest{want: name, word: []byte(name)}
	err := scanSymbols(r, func(l symLine) bool {
		if l.probeable() && n.score(l.name) < n.bar() {
			n.add(string(l.name))
		}
		return true
	})
	return n.names(), err
}

const nearCount = 3

// nearest keeps the best few names seen.
type nearest struct {
	want string
	word []byte // want
	best []scored
	rows [3][]int // of the distance table, used again
}

type scored struct {
	name  string
	score int
}

const far = 1 << 30

// bar is the score that a name must be under to be kept.
func (n *nearest) bar() int {
	if len(n.best) < nearCount {
		return far
	}
	return n.best[len(n.best)-1].score
}

func (n *nearest) add(name string) {
	s := n.score([]byte(name))
	if s >= n.bar() || slices.ContainsFunc(n.best, func(b scored) bool { return b.name == name }) {
		return
	}
	n.best = append(n.best, scored{name, s})
	slices.SortStableFunc(n.best, func(a, b scored) int { return a.score - b.score })
	n.best = n.best[:min(len(n.best), nearCount)]
}

func (n *nearest) names() []string {
	var list []string
	for _, b := range n.best {
		list = append(list, b.name)
	}
	return list
}

// score is lower the nearer the name is, and far for a name that cannot be
// meant. A typing error counts 16, so that names that contain the wanted one
// are in order of the length of what they have more.
func (n *nearest) score(name []byte) int {
	w := n.want
	if len(w) == 0 || string(name) == w {
		return far
	}
	limit := min(3, (len(w)+2)/3) // a short name is near to too much
	if d := len(name) - len(w); d <= limit && -d <= limit {
		if e := n.distance(name, limit); e <= limit {
			return e * 16
		}
	}
	if len(w) >= 4 && len(name) > len(w) && bytes.Contains(name, n.word) {
		return 24 + len(name) - len(w)
	}
	if len(name) >= 4 && len(w) > len(name) && bytes.HasPrefix(n.word, name) {
		return 24 + len(w) - len(name)
	}
	return far
}

// distance is the number of letters to insert, delete, replace or swap with
// the next one, or more than limit when it is (optimal string alignment).
func (n *nearest) distance(b []byte, limit int) int {
	a := n.want
	for i := range n.rows {
		n.rows[i] = slices.Grow(n.rows[i][:0], len(b)+1)[:len(b)+1]
	}
	before, last, row := n.rows[0], n.rows[1], n.rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
			least = min(least, d)
		}
		if least > limit {
			return least
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
