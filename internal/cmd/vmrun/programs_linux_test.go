package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLdd(t *testing.T) {
	got, err := parseLdd("/usr/bin/dig", `	linux-vdso.so.1 (0x00007ffd7e5f2000)
	libisc-9.18.so => /lib/x86_64-linux-gnu/libisc-9.18.so (0x00007f1)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)
	/lib64/ld-linux-x86-64.so.2 (0x00007f3)
`)
	want := []string{"/lib/x86_64-linux-gnu/libisc-9.18.so", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := parseLdd("/usr/bin/dig", "\tlibx.so => not found\n"); err == nil {
		t.Error("a missing library is no error")
	}
}

func TestGuestPath(t *testing.T) {
	for host, want := range map[string]string{
		"/bin/sh": "/usr/bin/sh", "/lib64/ld.so": "/usr/lib64/ld.so", "/usr/bin/dig": "/usr/bin/dig", "/tmp/bin/x": "/tmp/bin/x", "/binary": "/binary",
	} {
		if got := guestPath(host); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestShebang(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for text, want := range map[string]string{
		"#!/bin/sh\necho": "/bin/sh", "#! /bin/bash -e\n": "/bin/bash", "\x7fELF": "", "": "", "#!\n": "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := shebang(file); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestGuestEnv(t *testing.T) {
	got := guestEnv([]string{"PATH=/mine", "SKPROBE_X=1", "SECRET=2", "GOTRACEBACK=all", "GOTRACEBACKX=1"})
	want := []string{"SKPROBE_X=1", "GOTRACEBACK=all"}
	if diff := cmp.Diff(want, got[len(got)-2:]); diff != "" {
		t.Error(diff)
	}
}

func TestParseFlags(t *testing.T) {
	o, err := parseFlags([]string{"-kernel", "k", "-program", "dig,nc", "-program", "ip", "-file", "a=/b", "-file", "c", "-icount", "--", "sh", "-c", "x"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dig", "nc", "ip"}, o.programs); diff != "" {
		t.Error(diff)
	}
	if o.files[0] != (pair{"a", "/b"}) || o.files[1] != (pair{"c", "c"}) {
		t.Errorf("files: %v", o.files)
	}
	if o.smp != 1 {
		t.Errorf("-icount with %d processors does not boot", o.smp)
	}
	if diff := cmp.Diff([]string{"sh", "-c", "x"}, o.args); diff != "" {
		t.Error(diff)
	}
	for _, argv := range [][]string{{"-kernel", "k"}, {"-kernel", "", "true"}} {
		if _, err := parseFlags(argv); err == nil {
			t.Errorf("%q: no error", argv)
		}
	}
}
