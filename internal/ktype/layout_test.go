package ktype

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
)

// testOptions are those of a run with a cache of its own.
func testOptions(t testing.TB) Options {
	kernelBTF(t)
	return Options{Kernel: Kernel{"6.1.0-test", "0123456789abcdef0123", "amd64"}, CacheDir: t.TempDir(), Program: "test"}
}

// run asks for the types that a tool needs and returns what it saw.
func run(t testing.TB, o Options, deep bool) (l *Layout, seen string) {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.FuncNamed("udp_sendmsg")
	if err != nil {
		t.Fatal(err)
	}
	sock := f.Members[0].Type.Elem()
	seen = dump(sock, 0)
	if _, err := l.FuncNamed("no_such_function"); !errors.Is(err, fetchargs.ErrNoType) {
		t.Fatal(err)
	}
	if deep {
		prot, ok := sock.Member("sk_socket")
		if !ok {
			t.Fatal("no sk_socket")
		}
		seen += dump(prot.Type.Elem(), 0)
	}
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	return l, seen
}

func TestCache(t *testing.T) {
	o := testOptions(t)
	first, want := run(t, o, false)
	if first.chain.saved != nil || first.chain.src == nil {
		t.Fatal("the first run did not read BTF")
	}
	second, got := run(t, o, false)
	if second.chain.src != nil {
		t.Error("the second run read BTF")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// A run that looks further reads BTF once, and extends the cache.
	third, wantDeep := run(t, o, true)
	if third.chain.src == nil || !strings.HasPrefix(wantDeep, want) {
		t.Error("the third run did not look into BTF for more")
	}
	fourth, got := run(t, o, true)
	if fourth.chain.src != nil {
		t.Error("the fourth run read BTF")
	}
	if d := cmp.Diff(wantDeep, got); d != "" {
		t.Error(d)
	}
	if dir, _ := os.ReadDir(o.CacheDir); len(dir) != 1 {
		t.Errorf("%d files in the cache", len(dir))
	}
}

func TestCacheNotUsed(t *testing.T) {
	o := testOptions(t)
	run(t, o, false)
	file := cacheFile(o)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(file); st.Mode().Perm() != 0o600 {
		t.Errorf("cache file has mode %o", st.Mode().Perm())
	}
	write := func(data []byte) func(*testing.T, *Options) {
		return func(t *testing.T, o *Options) {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, change := range map[string]func(*testing.T, *Options){
		"empty":          write(nil),
		"truncated":      write(good[:len(good)/2]),
		"noise":          write([]byte(strings.Repeat("\x00\xff", 500))),
		"other kernel":   write([]byte(strings.Replace(string(good), o.Kernel.BuildID, "fedcba98765432100000", 1))),
		"other program":  func(t *testing.T, o *Options) { o.Program = "next" },
		"group-writable": func(t *testing.T, o *Options) { os.Chmod(file, 0o620) },
		"world-writable": func(t *testing.T, o *Options) { os.Chmod(file, 0o602) },
		"of another user": func(t *testing.T, o *Options) {
			if err := os.Chown(file, 12345, -1); err != nil {
				t.Skip(err)
			}
		},
		"symbolic link": func(t *testing.T, o *Options) {
			os.Rename(file, file+".real")
			if err := os.Symlink(file+".real", file); err != nil {
				t.Fatal(err)
			}
		},
		"changed module": write([]byte(strings.Replace(string(good), `"functions"`, `"modules": {"no_such_module": "aa"}, "functions"`, 1))),
		"folder":         func(t *testing.T, o *Options) { os.Remove(file); os.Mkdir(file, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			os.RemoveAll(file)
			write(good)(t, &o)
			os.Chmod(file, 0o600)
			changed := o
			change(t, &changed)
			if p := readCache(changed, sysDir); p != nil {
				t.Error("was used")
			}
		})
	}
	os.RemoveAll(file)
	write(good)(t, &o)
	if readCache(o, sysDir) == nil {
		t.Error("the good one is not used")
	}
	// Other modules are loaded now: what was missing may be there.
	if p := readCache(o, t.TempDir()); p == nil || len(p.absent) != 0 {
		t.Error("names are still missing with other modules")
	}
}

func TestOpenProfile(t *testing.T) {
	o := testOptions(t)
	l, want := run(t, o, true)
	o.Profile = filepath.Join(t.TempDir(), "p.json")
	f, err := os.Create(o.Profile)
	if err != nil {
		t.Fatal(err)
	}
	l.Profile().WriteTo(f)
	f.Close()
	if _, got := run(t, o, true); got != want {
		t.Error(cmp.Diff(want, got))
	}
	o.Kernel.BuildID = "ff"
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "the profile is of kernel 6.1.0-test amd64, build id 0123") {
		t.Error(err)
	}
	o.Force = true
	if _, err := Open(o); err != nil {
		t.Error(err)
	}
}

func BenchmarkOpen(b *testing.B) {
	o := testOptions(b)
	run(b, o, true)
	for b.Loop() {
		run(b, o, true)
	}
}
