package ktype

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenDWARFErrors(t *testing.T) {
	good, err := os.ReadFile(compile(t, "-gdwarf-5"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stripped := filepath.Join(dir, "stripped")
	if err := os.WriteFile(stripped, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("strip", stripped).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, text)
	}
	bare, err := os.ReadFile(stripped)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, v byte) []byte {
		c := append([]byte{}, good...)
		c[at] = v
		return c
	}
	old, err := os.ReadFile(compile(t, "-gdwarf-5", "-gz=zlib-gnu"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "not an ELF file"},
		"text":       {[]byte("hello, world"), "not an ELF file"},
		"vmlinuz.gz": {[]byte("\x1f\x8b......"), "gunzip"},
		"head":       {good[:100], "damaged ELF file"},
		"half":       {good[:len(good)/2], "damaged ELF file"},
		"stripped":   {bare, "has no debug information (install the debug package"},
		"32 bits":    {change(4, 1), ""},
		"machine":    {change(18, 8), "made for another machine (EM_MIPS"},
		"zlib-gnu":   {old, "compressed in the old way"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := OpenDWARF(file)
		if _, ok := errors.AsType[*FileError](err); !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := OpenDWARF(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := OpenDWARF(dir); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Error(err)
	}
}
