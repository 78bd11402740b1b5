package event

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// A Place is one of several functions that share a definition.
type Place struct {
	Event string // the name of its events, "" where they are not wanted
	Addr  uint64 // of the function
}

// places tells by a record's address which of them it is from, sorted by
// address. A probe may be some bytes into the function, behind what the compiler
// put before its code (endbr64, the call of ftrace).
type places []Place

// maxEntry is how far into a function its entry may be.
const maxEntry = 32

// Share makes the compiled probe that of several functions, for all of which the
// kernel records the same arguments: see [Compiled.Key].
func (c *Compiled) Share(all []Place) {
	c.places = slices.SortedFunc(slices.Values(all), func(a, b Place) int { return cmp.Compare(a.Addr, b.Addr) })
}

// find returns the index of the place that an address is at, -1 for none.
func (p places) find(addr uint64) int {
	i, exact := slices.BinarySearchFunc(p, addr, func(at Place, addr uint64) int { return cmp.Compare(at.Addr, addr) })
	if !exact {
		i--
	}
	if i < 0 || addr-p[i].Addr >= maxEntry {
		return -1
	}
	return i
}

// of returns the place that a record is from, -1 for none: behind the common
// header, entries have the address of the probe, and returns that of the
// function (struct kprobe_trace_entry_head and kretprobe_trace_entry_head of the
// kernel, 3.10 to 7.x).
func (p places) of(record []byte) int {
	if len(record) < 16 {
		return -1
	}
	return p.find(binary.LittleEndian.Uint64(record[8:]))
}

// Key is the same for compiled probes that can share a definition: those of one
// pattern whose arguments and filters are the same. Build must have been called.
func (c *Compiled) Key() string {
	var b strings.Builder
	b.WriteString(c.Of)
	for _, h := range c.Halves() {
		b.WriteString("\n" + h.Filter)
		for _, a := range h.Plan.Args {
			b.WriteString(" " + a.String())
		}
	}
	return b.String()
}
