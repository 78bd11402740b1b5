package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// printTables prints what each tool has seen and what it costs.
func printTables(w io.Writer, c *comparison, tools []*tool, base time.Duration, seen map[*tool]*sight) {
	fmt.Fprintf(w, "%d connections, a quarter each over loopback and over a link that loses %d %% of the packets, IPv4 and IPv6; skprobe's tools at once, and then the others.\n\n", c.connections, c.loss)
	fmt.Fprintln(w, "| | events | seen | missing | too many |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|")
	for _, t := range tools {
		s := seen[t]
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d |\n", t.name, s.expected, s.expected-s.missing, s.missing, s.more)
	}
	fmt.Fprintf(w, "\n%d connections over loopback, one after the other, %.0f µs each without a tool; each tool alone, medians of %d runs.\n\n",
		c.connections, float64(base.Microseconds())/float64(c.connections), c.repeat)
	fmt.Fprintln(w, "| | until it shows the first, ms | slow-down | memory, MB | program and libraries, MB |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|")
	for _, t := range tools {
		fmt.Fprintf(w, "| %s | %d | %.2f× | %.1f | %.1f |\n", t.name, t.started.Milliseconds(), float64(t.elapsed)/float64(base), float64(t.resident)/1e6, float64(t.size)/1e6)
	}
	fmt.Fprintln(w)
}

// median returns the middle one of some times.
func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
