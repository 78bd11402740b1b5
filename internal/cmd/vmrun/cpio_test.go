package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is what a reader of an archive sees.
type entry struct {
	Name, Mode, Data string
}

// readArchive is the kernel's reader in short: it holds the writer to the format's fixed columns and padding.
func readArchive(t *testing.T, b []byte) []entry {
	t.Helper()
	var all []entry
	padded := func(n int) int { return (n + 3) &^ 3 }
	for at := 0; ; {
		if string(b[at:at+6]) != "070701" {
			t.Fatalf("no magic at %d: %q", at, b[at:at+6])
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, nameSize := field(6), field(11)
		name := string(b[at+110 : at+110+nameSize-1])
		data := padded(at + 110 + nameSize)
		if name == "TRAILER!!!" {
			if padded(data) != len(b) {
				t.Errorf("%d bytes after the trailer", len(b)-data)
			}
			return all
		}
		all = append(all, entry{name, strconv.FormatInt(int64(field(1)), 8), string(b[data : data+size])})
		at = padded(data + size)
	}
}

func TestArchive(t *testing.T) {
	host := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(host, []byte("elf"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.File("/usr/bin/program", host)
	a.Bytes("etc/hosts", 0o644, []byte("first"))
	a.Bytes("/etc/hosts", 0o644, []byte("second"))
	a.Symlink("bin", "usr/bin")
	a.Dir("usr/bin")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"usr", "40755", ""}, {"usr/bin", "40755", ""}, {"usr/bin/program", "100755", "elf"},
		{"etc", "40755", ""}, {"etc/hosts", "100644", "first"}, {"bin", "120777", "usr/bin"},
	}
	if diff := cmp.Diff(want, readArchive(t, b.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestArchiveKeepsFirstError(t *testing.T) {
	a := newArchive(&bytes.Buffer{})
	a.File("a", "/does/not/exist")
	a.Bytes("b", 0o644, nil)
	if err := a.Close(); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
