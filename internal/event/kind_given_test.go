package event

import (
	"encoding/binary"
	"fmt"
	"testing"
)

func TestGiven(t *testing.T) {
	word := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	base := func(segments uint64) [][]byte {
		in := make([][]byte, givenLen4+1)
		in[givenOffset], in[givenCount], in[givenSegments] = word(0), word(3), word(segments)
		return in
	}
	buffer := base(7) // of another union
	buffer[givenBuffer] = []byte("abcdefgh")
	array := base(4)
	array[givenBase], array[givenLen] = []byte("length"), word(2)
	array[givenBase2], array[givenLen2] = []byte("first"), word(400)
	array[givenBase4], array[givenLen4] = []byte("second"), word(6)
	fewer := append([][]byte(nil), array...)
	fewer[givenSegments] = word(1)
	partly := append([][]byte(nil), buffer...)
	partly[givenOffset] = word(1)
	late := append([][]byte(nil), array...)
	late[givenBase], late[givenLen] = nil, nil // from 6.4 on
	late[givenSegments] = word(3)
	for i, c := range []struct {
		in   [][]byte
		want string
	}{
		{buffer, "abc - -"},
		{array, "le first second"},
		{fewer, "le - -"},
		{late, "- first -"},
		{partly, "- - -"},
		{base(2), "- - -"},
		{make([][]byte, givenLen4+1), "- - -"},
	} {
		out := []*Value{{}, {}, {}}
		Given.Decode.call(c.in, out)
		got := ""
		for _, v := range out {
			if text := "-"; v.Set {
				got += " " + string(v.Text)
			} else {
				got += " " + text
			}
		}
		if got[1:] != c.want {
			t.Errorf("%s: %q, want %q", fmt.Sprint(i), got[1:], c.want)
		}
	}
}
