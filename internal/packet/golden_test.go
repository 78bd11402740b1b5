package packet

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden decodes each testdata/*.hex as it is received. Most are frames of
// a real kernel.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatal("no frames: ", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		t.Run(name, func(t *testing.T) {
			frame := readHex(t, file)
			w := received(frame, 14, uint16(frame[12])<<8|uint16(frame[13])).window(-64, 160)
			got := text(decode(t, w))
			golden := strings.TrimSuffix(file, ".hex") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			checkPrefixes(t, w)
		})
	}
}

// readHex reads lines of hexadecimal digits; # begins a comment.
func readHex(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var frame []byte
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if frame, err = hex.AppendDecode(frame, line); err != nil {
			t.Fatal(err)
		}
	}
	return frame
}
