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

// What the guest says travels to the host in frames, one after the other: uint32 stream, uint32 length, bytes. The guest appends and
// never takes one back, so that all it said is there whatever happens to it.
//
// Usually they lie in a piece of memory that both see: the guest as the second BAR of QEMU's ivshmem device, which needs no driver, the
// host as a file. QEMU has no part in it, and 8 MB take no time; a serial line took twenty seconds. A kernel that is locked down lets nobody
// map a device's memory: there the frames go over a serial line, which QEMU writes to the file.
//
// In the memory the frames are preceded by an uint64, the length of what follows that is valid.
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
	put func(s stream, frame []byte) error
	end func() error // nil for nothing
}

// close returns when the host has all.
func (c *channel) close() error {
	if c.end == nil {
		return nil
	}
	return c.end()
}

// writer returns a writer whose every Write is one frame, on its way to the host when Write returns.
func (c *channel) writer(s stream) io.Writer { return channelWriter{c, s} }

type channelWriter struct {
	c *channel
	s stream
}

func (w channelWriter) Write(p []byte) (int, error) {
	frame := make([]byte, frameHeader, frameHeader+len(p))
	binary.LittleEndian.PutUint32(frame, uint32(w.s))
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(p)))
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if err := w.c.put(w.s, append(frame, p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

var errChannelFull = fmt.Errorf("the guest's output is larger than %d MiB", channelSize>>20)

// memoryChannel is a channel through memory.
func memoryChannel(mem []byte) *channel {
	n := uint64(0)
	return &channel{put: func(s stream, frame []byte) error {
		at, room := channelHeader+n, uint64(len(mem))
		if s != streamStatus {
			room -= statusReserve
		}
		if at+uint64(len(frame)) > room {
			return errChannelFull
		}
		copy(mem[at:], frame)
		n += uint64(len(frame))
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&mem[0])), n)
		return nil
	}}
}

// lineChannel is a channel over a line.
func lineChannel(w io.Writer) *channel {
	return &channel{put: func(_ stream, frame []byte) error {
		_, err := w.Write(frame)
		return err
	}}
}

// A channelReader is the host's end.
type channelReader struct {
	file io.ReaderAt
	// size is of a line how much has come; nil: the frames are in memory.
	size func() (int64, error)
	read uint64
}

// errChannelBroken says that something else than frames has come.
var errChannelBroken = errors.New("what the guest has written makes no sense")

// Next calls f with each frame that is new since the last call.
func (r *channelReader) Next(f func(stream, []byte) error) error {
	valid, start, err := r.valid()
	if err != nil {
		return err
	}
	for r.read < valid {
		var head [frameHeader]byte
		if r.size != nil && r.read+frameHeader > valid {
			return nil // the rest is on its way
		}
		at := int64(start + r.read)
		if _, err := r.file.ReadAt(head[:], at); err != nil {
			return err
		}
		s, n := stream(binary.LittleEndian.Uint32(head[:])), binary.LittleEndian.Uint32(head[4:])
		if r.read+frameHeader+uint64(n) > valid {
			if r.size != nil && n <= channelSize {
				return nil
			}
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

// valid is how many bytes of frames there are, and where they start.
func (r *channelReader) valid() (n, start uint64, err error) {
	if r.size != nil {
		size, err := r.size()
		return uint64(size), 0, err
	}
	var head [channelHeader]byte
	if _, err := r.file.ReadAt(head[:], 0); err != nil {
		return 0, 0, err
	}
	if n = binary.LittleEndian.Uint64(head[:]); n > channelSize {
		return 0, 0, errChannelBroken
	}
	return n, channelHeader, nil
}
