package tracering

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

var order = binary.NativeEndian

// A layout is where the parts of a ring's page are, as events/header_page tells it (struct buffer_data_page in
// kernel/trace/ring_buffer.c): a time stamp, how much of the page is used, and records.
type layout struct {
	commit, commitSize int // the word that tells how much is used
	data               int // where the records begin
	size               int // of the page
}

// maxPage is the largest page that is believed: buffer_subbuf_size_kb (6.8) and pages of 64 KiB.
const maxPage = 1 << 20

// parseLayout parses the text of events/header_page.
func parseLayout(r io.Reader) (layout, error) {
	l := layout{commit: -1, data: -1}
	stamp := -1
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		declaration, attributes, _ := strings.Cut(lines.Text(), ";")
		words := strings.Fields(declaration)
		if len(words) == 0 {
			continue
		}
		numbers := map[string]int{}
		for attribute := range strings.SplitSeq(attributes, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(attribute), ":")
			if n, err := strconv.Atoi(value); err == nil {
				numbers[key] = n
			}
		}
		offset, size := numbers["offset"], numbers["size"]
		if offset < 0 || size < 0 || offset > maxPage || size > maxPage {
			return l, fmt.Errorf("header_page: no sensible numbers in %q", lines.Text())
		}
		switch words[len(words)-1] {
		case "timestamp":
			stamp = offset
		case "commit":
			l.commit, l.commitSize = offset, size
		case "data":
			l.data, l.size = offset, offset+size
		}
	}
	if err := lines.Err(); err != nil {
		return l, err
	}
	if stamp != 0 || l.commit < 8 || l.commitSize != 4 && l.commitSize != 8 || l.data < l.commit+l.commitSize || l.size <= l.data {
		return l, fmt.Errorf("header_page describes pages that are not known")
	}
	return l, nil
}

// Flags in the word that tells how much of a page is used (RB_MISSED_EVENTS and RB_MISSED_STORED in kernel/trace/ring_buffer.c, 2.6.34
// to 7.1): records were lost before this page, and behind its last record is how many.
const (
	missedEvents = 1 << 31
	missedStored = 1 << 30
	lengthMask   = 1<<27 - 1
)

// unknownLoss is a loss whose size the page does not tell.
const unknownLoss = ^uint64(0)

// open begins to read a page. lost is how many records were lost before it.
func (l layout) open(page []byte) (c cursor, lost uint64, err error) {
	if len(page) < l.data {
		return cursor{}, 0, fmt.Errorf("a page of %d bytes", len(page))
	}
	commit := uint64(order.Uint32(page[l.commit:]))
	if l.commitSize == 8 {
		commit = order.Uint64(page[l.commit:])
	}
	used := int(commit & lengthMask)
	if used > len(page)-l.data {
		return cursor{}, 0, fmt.Errorf("a page of %d bytes that says it has %d", len(page), used)
	}
	end := l.data + used
	if commit&missedEvents != 0 {
		lost = unknownLoss
		if commit&missedStored != 0 && len(page)-end >= 8 {
			lost = order.Uint64(page[end:])
		}
	}
	return cursor{page: page[:end], pos: l.data, time: order.Uint64(page)}, lost, nil
}

// Kinds of entries above those with data: enum ring_buffer_type in include/linux/ring_buffer.h, and events/header_event.
const (
	entryPadding    = 29
	entryTimeExtend = 30
	entryTimeStamp  = 31
)

// A cursor is a place in a page.
type cursor struct {
	page []byte // up to the end of the last record
	pos  int
	time uint64
}

// An entry is a record in a page.
type entry struct {
	time     uint64
	pos, end int
}

// next returns the next record; ok is false at the end of the page. Every length is checked against the page.
//
// An entry is a word with 5 bits of kind or length and 27 bits of nanoseconds since the entry before, then what the kind says.
// See struct ring_buffer_event and rb_update_read_stamp in kernel/trace/ring_buffer.c.
func (c *cursor) next() (e entry, ok bool, err error) {
	for len(c.page)-c.pos >= 4 {
		word := order.Uint32(c.page[c.pos:])
		kind, delta := word&31, uint64(word>>5)
		at := c.pos + 4
		if kind > 0 && kind < entryPadding {
			end := at + int(kind)*4
			if end > len(c.page) {
				return e, false, c.torn(kind)
			}
			c.time += delta
			c.pos = end
			return entry{c.time, at, end}, true, nil
		}
		if kind == entryPadding && delta == 0 {
			break // nothing more in this page
		}
		if len(c.page)-at < 4 {
			return e, false, c.torn(kind)
		}
		array := order.Uint32(c.page[at:])
		switch kind {
		case entryTimeExtend:
			c.time += uint64(array)<<27 + delta
			c.pos = at + 4
		case entryTimeStamp:
			c.time = absolute(uint64(array)<<27+delta, c.time)
			c.pos = at + 4
		case entryPadding:
			// A record that was discarded, for example by a filter. A difference of 1 stands for 0, which has another
			// meaning here.
			if array > uint32(len(c.page)-at) {
				return e, false, c.torn(kind)
			}
			if delta != 1 {
				c.time += delta
			}
			c.pos = at + max(4, int(array+3)&^3)
		default: // the length is in a word of its own, and counts it
			end := at + int(array+3)&^3
			if array < 4 || array > uint32(len(c.page)-at) || end > len(c.page) {
				return e, false, c.torn(kind)
			}
			c.time += delta
			c.pos = end
			return entry{c.time, at + 4, at + int(array)}, true, nil
		}
	}
	return e, false, nil
}

func (c *cursor) torn(kind uint32) error {
	return fmt.Errorf("a page of %d bytes with a torn entry of kind %d at %d", len(c.page), kind, c.pos)
}

// absolute gives a time stamp of 59 bits the upper bits of the time before it (rb_fix_abs_ts, 5.18).
func absolute(stamp, before uint64) uint64 {
	const upper = uint64(0xf8) << 56
	if before&upper == 0 {
		return stamp
	}
	stamp |= before & upper
	if stamp < before {
		stamp += 1 << 59
	}
	return stamp
}
