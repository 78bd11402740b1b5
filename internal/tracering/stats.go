package tracering

import (
	"strconv"
	"strings"
)

// parseLost adds up the losses in the text of per_cpu/cpuN/stats (tracing_stats_read in kernel/trace/trace.c): records that were
// overwritten, that could not be finished because too many interrupts came between, and that found the ring full.
func parseLost(text string) uint64 {
	var sum uint64
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "overrun", "commit overrun", "dropped events":
			if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
				sum += n
			}
		}
	}
	return sum
}
