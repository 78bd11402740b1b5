package dns

import (
	"encoding/binary"
	"iter"
)

// headerSize is that of a message's header.
const headerSize = 12

// Stream returns the messages with one question that lie in bytes of a
// connection, where each has its length before it in two bytes. Those may be
// missing at the beginning: a program can send them, or read them, by
// themselves. The last message may go on beyond the end of b; what does not
// begin with a message has none.
func Stream(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		// Two bytes are how many questions there are. Where a length is
		// before the header, flags are in their place, and never this.
		if len(b) >= headerSize && oneQuestion(b) {
			yield(b)
			return
		}
		for len(b) >= 2+headerSize && oneQuestion(b[2:]) {
			n := int(binary.BigEndian.Uint16(b))
			if n < headerSize || !yield(b[2:min(2+n, len(b))]) {
				return
			}
			b = b[min(2+n, len(b)):]
		}
	}
}

func oneQuestion(header []byte) bool { return header[4] == 0 && header[5] == 1 }
