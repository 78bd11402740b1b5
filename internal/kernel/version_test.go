package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRelease(t *testing.T) {
	for release, want := range map[string]string{
		"3.10.0-1160.el7.x86_64":          "3.10.0",
		"4.18.0-147.5.1.el8_1.aarch64":    "4.18.0",
		"4.19.90-24.4.v2101.ky10.aarch64": "4.19.90",
		"5.10.0-35-cloud-amd64":           "5.10.0",
		"6.18.44-fc-v669":                 "6.18.44",
		"7.1-rc3":                         "7.1.0",
		"7.1.5+deb14":                     "7.1.5",
		"6.1.":                            "6.1.0",
		"":                                "",
		"6":                               "",
		"linux-6.1":                       "",
		"99999999999999999999.1":          "",
	} {
		v, err := ParseRelease(release)
		got := v.String()
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", release, got, err, want)
		}
	}
	v := Version{5, 10, 3}
	if !v.AtLeast(5, 10) || !v.AtLeast(4, 20) || v.AtLeast(5, 11) || v.AtLeast(6, 0) {
		t.Error("5.10.3 is not in its place among versions")
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (FS{dir}).Identity(); err == nil {
		t.Error("a folder without /proc has a release")
	}
	write("proc/sys/kernel/osrelease", "6.1.0-38-amd64\n")
	// A note of Xen, then the build id.
	write("sys/kernel/notes", "\x04\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00Xen\x00linux\x00\x00\x00"+
		"\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\xde\xad\xbe\xef")
	id, err := (FS{dir}).Identity()
	if err != nil || id.Release != "6.1.0-38-amd64" || id.BuildID != "deadbeef" {
		t.Errorf("%v, %v", id, err)
	}
}

func FuzzBuildID(f *testing.F) {
	f.Add("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\xde\xad\xbe\xef")
	f.Add(strings.Repeat("\xff", 12))
	f.Fuzz(func(t *testing.T, notes string) { BuildID([]byte(notes)) })
}
