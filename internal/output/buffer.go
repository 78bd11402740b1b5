package output

import "io"

// bufferSize is how much is written at once. It is also what a pipe holds.
const bufferSize = 64 << 10

// A buffer collects output. Formats append to b and call wrote after each
// event.
type buffer struct {
	b   []byte
	w   io.Writer
	err error // the first, for ever
}

func newBuffer(w io.Writer) buffer {
	// Events are appended before the size is looked at: keep room for one.
	return buffer{b: make([]byte, 0, bufferSize+4<<10), w: w}
}

// Flush writes what has been collected.
func (b *buffer) Flush() error {
	for rest := b.b; b.err == nil && len(rest) > 0; {
		n, err := b.w.Write(rest)
		switch {
		case err != nil:
			b.err = err
		case n <= 0 || n > len(rest):
			b.err = io.ErrShortWrite
		default:
			rest = rest[n:]
		}
	}
	b.b = b.b[:0]
	return b.err
}
