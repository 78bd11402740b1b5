// Measure runs the load of bench/load untraced, traced by skprobe and by its peers, prints what each costs as a table, and holds
// the numbers against skprobe's limits. Its exit status is 1 when one is broken, so that it can stand in CI.
//
// All ratios are of one run in one boot. One processor and a clock that counts instructions (vmrun -icount) give numbers that
// repeat on any machine; with more processors only the ratios and the counts of events mean something:
//
//	measure -skprobe ./skprobe -load ./load one     cost, on one processor
//	measure -skprobe ./skprobe -load ./load two     losses, on two or more
//	measure -skprobe ./skprobe -load ./load arm     probes of hundreds of functions, made and removed
//	measure -skprobe ./skprobe -load ./load drop    cost of watching packets and their drops, on one processor
//
// It needs root. It makes kprobe events, in a group called measure, and removes them.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
)

// A measurement is one run of this program.
type measurement struct {
	skprobe string
	load    string
	sends   int
	vary    int // how many different datagrams
	repeat  int
	tmp     string
	checks  []check
}

func main() {
	m := &measurement{vary: 1}
	flag.StringVar(&m.skprobe, "skprobe", "./skprobe", "the `program` to measure")
	flag.StringVar(&m.load, "load", "./load", "the `program` of bench/load")
	flag.IntVar(&m.sends, "sends", 0, "datagrams of one run of the load, 0 for 20,000 on one processor and 100,000 on two")
	flag.IntVar(&m.repeat, "repeat", 3, "`runs` of each; the median counts")
	flag.Parse()
	broken, err := m.run(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	if broken > 0 {
		fmt.Fprintf(os.Stderr, "measure: %d limits are broken\n", broken)
		os.Exit(1)
	}
}

func (m *measurement) run(what string) (broken int, err error) {
	if m.tmp, err = os.MkdirTemp("", "measure"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(m.tmp)
	sends, run := 20_000, m.oneCPU
	switch what {
	case "one":
	case "two":
		sends, run = 100_000, m.twoCPUs
	case "arm":
		run = m.arming
	case "drop":
		run = m.drops
	default:
		return 0, fmt.Errorf("%q is none of one, two, arm and drop", what)
	}
	if m.sends == 0 {
		m.sends = sends
	}
	if err := m.loopback(); err != nil {
		return 0, err
	}
	if _, err := m.send(); err != nil { // the first run of a program reads it
		return 0, err
	}
	if err := run(); err != nil {
		return 0, err
	}
	return printChecks(os.Stdout, m.checks), nil
}

func (m *measurement) check(what string, value, limit float64, unit string) {
	m.checks = append(m.checks, check{what: what, value: value, limit: limit, unit: unit})
}

func (m *measurement) checkExactly(what string, value, limit int) {
	m.checks = append(m.checks, check{what: what, value: float64(value), limit: float64(limit), exact: true})
}

// median returns the middle one of some numbers.
func median[T ~int64 | ~float64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
