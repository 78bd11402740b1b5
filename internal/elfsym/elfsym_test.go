package elfsym

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build makes a file of a source, by the compiler of C or Go.
func build(t *testing.T, name, source string, command ...string) string {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, name), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:], "-o", out, in)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%v: %v: %s", cmd.Args, err, text)
	}
	return out
}

func open(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const library = `
int old_f(void) { return 1; }
int new_f(void) { return 2; }
__asm__(".symver old_f, f@V1");
__asm__(".symver new_f, f@@V2");
static int one(void) { return 1; }
int one_fast(void) { return 1; }
static void *choose(void) { return one; }
int g(void) __attribute__((ifunc("choose")));
int plain(int x) { return x + 1; }
`

func TestLibrary(t *testing.T) {
	versions := filepath.Join(t.TempDir(), "versions")
	if err := os.WriteFile(versions, []byte("V1 { global: f; g; plain; local: old_f; };\nV2 { global: f; } V1;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := build(t, "lib.c", library, "gcc", "-shared", "-fPIC", "-O1", "-Wl,--version-script="+versions)
	f := open(t, file)
	if f.Go {
		t.Error("it is no Go program")
	}
	addr := func(name string) uint64 {
		t.Helper()
		fn, err := f.Find(name)
		if err != nil {
			t.Error(err)
		}
		return fn.Addr
	}
	if now, old := addr("f"), addr("f@V1"); now != addr("new_f") || old != addr("old_f") || now == old || now != addr("f@V2") {
		t.Errorf("f is at %x, f@V1 at %x", now, old)
	}
	for name, why := range map[string]string{"g": "chosen when a program starts", "nosuch": "no function nosuch", "f@V3": "no function f@V3", "0x1": "no code is at 0x1"} {
		var none *NotFoundError
		if _, err := f.Find(name); !errors.As(err, &none) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An address and the byte of the file that is mapped there.
	at := addr("plain")
	off, ok := f.Offset(at)
	if !ok {
		t.Fatal("plain is in no segment")
	}
	for distance := range uint64(2) {
		if name, d, ok := f.Resolve(off + distance); !ok || name != "plain" || d != distance {
			t.Errorf("%s+%d, %t; want plain+%d", name, d, ok, distance)
		}
	}
	all, err := f.Match("*_f")
	if err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

const program = `package main

//go:noinline
func wait(n int) int { return n + 1 }

func main() { println(wait(1)) }
`

// A Go program has its functions in a table that stripping does not take away.
func TestGo(t *testing.T) {
	for _, flags := range []string{"", "-s -w"} {
		f := open(t, build(t, "main.go", program, "go", "build", "-ldflags="+flags))
		fn, err := f.Find("main.wait")
		if err != nil || !f.Go {
			t.Errorf("%q: %v, Go: %t", flags, err, f.Go)
			continue
		}
		off, _ := f.Offset(fn.Addr)
		if name, d, ok := f.Resolve(off + 1); name != "main.wait" || d != 1 || !ok {
			t.Errorf("%q: %s+%d, %t", flags, name, d, ok)
		}
	}
}

func TestStripped(t *testing.T) {
	f := open(t, build(t, "main.c", "int main(void) { return 0; }", "gcc", "-s", "-static"))
	if _, err := f.Find("main"); err == nil || !strings.Contains(err.Error(), "stripped") {
		t.Error(err)
	}
}

func TestNoELF(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNoELF) {
		t.Error(err)
	}
	if _, err := Open("/no/such/file"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if file, err := Open(name); err == nil {
			file.Find("main")
			file.Resolve(0x1000)
		}
	})
}
