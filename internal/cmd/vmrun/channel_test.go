package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
)

// collect returns what a reader finds, as "stream:bytes " per frame.
func collect(r *channelReader) (string, error) {
	var b bytes.Buffer
	err := r.Next(func(s stream, p []byte) error {
		fmt.Fprintf(&b, "%d:%s ", s, p)
		return nil
	})
	return b.String(), err
}

func TestChannel(t *testing.T) {
	mem := make([]byte, channelHeader+statusReserve+100)
	c := memoryChannel(mem)
	r := &channelReader{file: bytes.NewReader(mem)}
	if got, err := collect(r); got != "" || err != nil {
		t.Errorf("new channel: %q, %v", got, err)
	}
	io.WriteString(c.writer(streamOutput), "hello")
	io.WriteString(c.writer(streamStatus), "{}")
	if got, err := collect(r); got != "1:hello 2:{} " || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	io.WriteString(c.writer(streamOutput), "more")
	if got, err := collect(r); got != "1:more " || err != nil {
		t.Errorf("second look: %q, %v", got, err)
	}
}

func TestChannelFull(t *testing.T) {
	c := memoryChannel(make([]byte, channelHeader+statusReserve+100))
	if _, err := c.writer(streamOutput).Write(make([]byte, 101-frameHeader)); !errors.Is(err, errChannelFull) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := c.writer(streamOutput).Write(make([]byte, 100-frameHeader)); err != nil {
		t.Error(err)
	}
	if _, err := c.writer(streamStatus).Write([]byte("{}")); err != nil {
		t.Errorf("a report in a full channel: %v", err)
	}
}

func TestChannelBroken(t *testing.T) {
	for _, words := range [][3]uint64{{channelSize + 1}, {16, 1 | 9<<32}} {
		var mem bytes.Buffer
		binary.Write(&mem, binary.LittleEndian, words)
		mem.Write(make([]byte, 64))
		if _, err := collect(&channelReader{file: bytes.NewReader(mem.Bytes())}); !errors.Is(err, errChannelBroken) {
			t.Errorf("%v: got %v", words, err)
		}
	}
}

// A line brings frames in pieces.
func TestChannelLine(t *testing.T) {
	var sent bytes.Buffer
	c := lineChannel(&sent)
	io.WriteString(c.writer(streamOutput), "hello")
	io.WriteString(c.writer(streamStatus), "{}")
	here := 0
	r := &channelReader{file: bytes.NewReader(sent.Bytes()), size: func() (int64, error) { return int64(here), nil }}
	var got string
	for ; here <= sent.Len(); here++ {
		more, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[int]string{frameHeader + 5: "1:hello ", sent.Len(): "2:{} "}[here]; more != want {
			t.Errorf("after %d bytes: %q, want %q", here, more, want)
		}
		got += more
	}
	if got != "1:hello 2:{} " {
		t.Errorf("got %q", got)
	}
}
