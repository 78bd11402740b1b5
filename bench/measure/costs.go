package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// costs is the table of what the load took under each program.
type costs struct {
	base *sending
	rows []row
}

var costsHead = []string{"", "slow-down", "load, µs per send", "of it in the sender", "reader's own, µs per event"}

// add adds a line; own is nil where nobody reads or nobody knows.
func (t *costs) add(what string, s *sending, own *time.Duration) {
	cells := []string{
		fmt.Sprintf("%.2f×", ratio(s.Elapsed, t.base.Elapsed)),
		fmt.Sprintf("%.2f", perEvent(s.Elapsed, s.Sends)),
		fmt.Sprintf("%.2f", perEvent(s.CPU, s.Sends)),
		"",
	}
	if own != nil {
		cells[3] = fmt.Sprintf("%.2f", perEvent(*own, s.Sends))
	}
	t.rows = append(t.rows, row{what, cells})
}

// middle returns the run with the middle elapsed time.
func middle[T interface{ elapsed() time.Duration }](of []T) T {
	sorted := slices.SortedFunc(slices.Values(of), func(a, b T) int { return cmp.Compare(a.elapsed(), b.elapsed()) })
	return sorted[len(sorted)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// perEvent is in microseconds.
func perEvent(d time.Duration, events int) float64 { return float64(d) / 1e3 / float64(events) }

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
