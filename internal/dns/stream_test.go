package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestStream(t *testing.T) {
	message := func(id byte, rest string) string {
		return string([]byte{0, id, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0}) + rest
	}
	with := func(m string) string { return string([]byte{byte(len(m) >> 8), byte(len(m))}) + m }
	long := message(3, strings.Repeat("x", 300))
	for i, c := range []struct {
		bytes string
		want  []string
	}{
		{"", nil},
		{"\x00\x20", nil},
		{message(1, "a"), []string{message(1, "a")}},
		{with(message(1, "a")), []string{message(1, "a")}},
		{with(message(1, "a")) + with(long) + with(message(2, "")), []string{message(1, "a"), long, message(2, "")}},
		{with(message(1, "a")) + with(long)[:100], []string{message(1, "a"), long[:98]}},
		{with(message(1, "a")) + with(long)[:13], []string{message(1, "a")}},
		{with(message(1, "a")) + "something else, longer than a header", []string{message(1, "a")}},
		{message(1, "")[:11], nil},
		{"\x00\x01" + message(1, ""), nil}, // a length that is none
		{"GET / HTTP/1.1\r\nHost: example.test\r\n", nil},
	} {
		got := slices.Collect(Stream([]byte(c.bytes)))
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
}
