package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The channel carries everything from the guest to the host. It is a piece of memory that both see: the guest as the
// second BAR of QEMU's ivshmem device, which needs no driver, the host as a file. The guest appends frames and never takes one back,
// so that all it said is there whatever happens to it, and QEMU has no part in it. A serial line took
// twenty seconds for 8 MB.
//
//	0   uint64    length of what follows that is valid
//	8   frames    uint32 stream, uint32 length, bytes
const (
	channelSize   = 256 << 20
	channelHeader = 8
	frameHeader   = 8
	statusReserve = 64 << 10 // kept free for reports, so that a guest that prints too much can still say so
)

// A stream is one kind of what the guest says.
type stream uint32

const (
	streamOutput stream = iota + 1 // what the programs print, raw
	streamStatus                   // one JSON report per frame
	streamFiles                    // parts of a tar archive of job.Out
)

// A channel is the guest's end.
type channel struct {
	mu  sync.Mutex
	mem []byte
	n   uint64
}

var errChannelFull = fmt.Errorf("the guest's output is larger than %d MiB", channelSize>>20)

// writer returns a writer whose every Write is one frame, visible to the host when Write returns.
func (c *channel) writer(s stream) io.Writer { return channelWriter{c, s} }

type channelWriter struct {
	c *channel
	s stream
}

func (w channelWriter) Write(p []byte) (int, error) {
	c := w.c
	c.mu.Lock()
	defer c.mu.Unlock()
	at, room := channelHeader+c.n, uint64(len(c.mem))
	if w.s != streamStatus {
		room -= statusReserve
	}
	if at+frameHeader+uint64(len(p)) > room {
		return 0, errChannelFull
	}
	binary.LittleEndian.PutUint32(c.mem[at:], uint32(w.s))
	binary.LittleEndian.PutUint32(c.mem[at+4:], uint32(len(p)))
	copy(c.mem[at+frameHeader:], p)
	c.n += frameHeader + uint64(len(p))
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&c.mem[0])), c.n)
	return len(p), nil
}

// A channelReader is the host's end.
type channelReader struct {
	file io.ReaderAt
	read uint64
}

// errChannelBroken says that the memory holds something else than frames.
var errChannelBroken = errors.New("what the guest has written makes no sense")

// Next calls f with each frame that is new since the last call.
func (r *channelReader) Next(f func(stream, []byte) error) error {
	var head [8]byte
	if _, err := r.file.ReadAt(head[:], 0); err != nil {
		return err
	}
	valid := binary.LittleEndian.Uint64(head[:])
	if valid > channelSize {
		return errChannelBroken
	}
	for r.read < valid {
		at := int64(channelHeader + r.read)
		if _, err := r.file.ReadAt(head[:], at); err != nil {
			return err
		}
		s, n := stream(binary.LittleEndian.Uint32(head[:])), binary.LittleEndian.Uint32(head[4:])
		if r.read+frameHeader+uint64(n) > valid {
			return errChannelBroken
		}
		p := make([]byte, n)
		if _, err := r.file.ReadAt(p, at+frameHeader); err != nil {
			return err
		}
		if err := f(s, p); err != nil {
			return err
		}
		r.read += frameHeader + uint64(n)
	}
	return nil
}
