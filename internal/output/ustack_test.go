package output

import (
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

// TestUserStack has events with and without a program's stack, of which some
// frame's file has a name with what does not print.
func TestUserStack(t *testing.T) {
	schema := &event.Schema{Columns: []event.Column{{Name: "n", Kind: number}}}
	e := event.Event{Name: "x", Values: []event.Value{{Set: true, Num: 5}}, UserStack: []string{"send+0x1f [libc.so.6]", "0x10 [a\x1b\"b]"}}
	none := event.Event{Name: "x", Values: []event.Value{{Set: true, Num: 6}}}
	for format, want := range map[string]string{
		"json":  `"n":5,"ustack":["send+0x1f [libc.so.6]","0x10 [a\u001b\"b]"]}` + "\n" + `{"time":"1970-01-01T00:00:00.000000000Z","event":"x","cpu":0,"n":6}` + "\n",
		"csv":   `,5,"send+0x1f [libc.so.6];0x10 [a\x1b""b]"` + "\n1970-01-01T00:00:00.000000000Z,x,0,,,,6,\n",
		"table": "5\n        send+0x1f [libc.so.6]\n        0x10 [a\\x1b\"b]\n",
	} {
		if got := write(t, format, schema, Options{UserStack: true}, e, none); !strings.Contains(got, want) {
			t.Errorf("%s: %s", format, got)
		}
	}
}
