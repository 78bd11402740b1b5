package timemerge

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// numbers is a queue whose records are their times.
type numbers struct {
	left []uint64
	to   *[]uint64
	fail uint64 // the record that cannot be delivered
}

var errFail = errors.New("fail")

func (n *numbers) Oldest() (uint64, bool) {
	if len(n.left) == 0 {
		return 0, false
	}
	return n.left[0], true
}

func (n *numbers) Deliver(until uint64) error {
	for len(n.left) > 0 && n.left[0] <= until {
		if n.left[0] == n.fail {
			return errFail
		}
		*n.to = append(*n.to, n.left[0])
		n.left = n.left[1:]
	}
	return nil
}

// Whatever the queues hold, what is delivered is all of it up to the limit, sorted; the rest comes with the next limit.
func TestDeliver(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var got, want []uint64
		var m Merger
		for range random.IntN(7) {
			q := &numbers{to: &got}
			for range random.IntN(20) {
				q.left = append(q.left, random.Uint64N(40)+1)
			}
			slices.Sort(q.left)
			want = append(want, q.left...)
			m.Queues = append(m.Queues, q)
		}
		slices.Sort(want)
		for _, limit := range []uint64{random.Uint64N(50), 50} {
			if err := m.Deliver(limit); err != nil {
				t.Fatal(err)
			}
			n, _ := slices.BinarySearch(want, limit+1)
			if !slices.Equal(got, want[:n]) {
				t.Fatalf("round %d, up to %d: %v, not %v", round, limit, got, want[:n])
			}
		}
	}
}

// An error ends the delivery, and a later one goes on where it stopped.
func TestDeliverError(t *testing.T) {
	var got []uint64
	q := &numbers{left: []uint64{1, 3, 5}, to: &got, fail: 3}
	m := Merger{Queues: []Queue{q, &numbers{left: []uint64{2, 4}, to: &got}}}
	if err := m.Deliver(9); !errors.Is(err, errFail) || !slices.Equal(got, []uint64{1, 2}) {
		t.Fatalf("%v, %v", got, err)
	}
	q.fail = 0
	if err := m.Deliver(9); err != nil || !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		t.Fatalf("%v, %v", got, err)
	}
}
