package session

import "bytes"

// A stackCutter takes the kernel's own tracing from the stacks of event probes,
// whose records are made while the static event is recorded. What is left begins
// where the event happened, as the stacks of other probes do.
type stackCutter struct {
	symbol func(dst []byte, addr uint64) []byte
	ends   map[uint64]bool // whether the tracing ends with a place
	text   []byte
}

// maxTracing is how deep the kernel's tracing may be.
const maxTracing = 12

func (c *stackCutter) cut(stack []uint64) []uint64 {
	for i, addr := range stack[:min(len(stack), maxTracing)] {
		if c.isEnd(addr) {
			return stack[i+1:]
		}
	}
	return stack
}

// isEnd tells of a place in the function that records a static event
// (include/trace/trace_events.h).
func (c *stackCutter) isEnd(addr uint64) bool {
	end, known := c.ends[addr]
	if !known && c.symbol != nil {
		if len(c.ends) >= 1<<16 || c.ends == nil {
			c.ends = map[uint64]bool{}
		}
		c.text = c.symbol(c.text[:0], addr)
		end = bytes.Contains(c.text, []byte("trace_event_raw_event_"))
		c.ends[addr] = end
	}
	return end
}
