package ktype

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

const testRelease = "6.1.0-test"

// install puts a file where a distribution would.
func install(t *testing.T, root, path, file string) string {
	t.Helper()
	to := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestFindDWARF(t *testing.T) {
	file := compile(t, "-gdwarf-5")
	d, err := OpenDWARF(file)
	if err != nil {
		t.Fatal(err)
	}
	k := Kernel{testRelease, d.BuildID(), "amd64"}
	if len(k.BuildID) != 40 {
		t.Fatalf("build id %q", k.BuildID)
	}
	for _, path := range vmlinuxPlaces("", k) {
		root := t.TempDir()
		installed := install(t, root, path, file)
		d, err := findDWARF(root, k)
		if err != nil || d.Source() != "DWARF "+installed {
			t.Errorf("%s: %v, %v", path, d, err)
		}
	}
	root := t.TempDir()
	if _, err := findDWARF(root, k); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "install the debug package") {
		t.Error(err)
	}
	install(t, root, "usr/lib/debug/boot/vmlinux-"+testRelease, file)
	k.BuildID = "0123456789abcdef0123456789abcdef01234567"
	if _, err := findDWARF(root, k); err == nil || !strings.Contains(err.Error(), "of another kernel: its build id is "+d.BuildID()) {
		t.Error(err)
	}
	o := Options{Kernel: k, DWARF: file}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "of another kernel") {
		t.Error(err)
	}
	o.Force = true
	if l, err := Open(o); err != nil || l.Source() != "DWARF "+file {
		t.Error(err)
	}
}

func TestDWARFModules(t *testing.T) {
	root := t.TempDir()
	dir := t.TempDir()
	vmlinux := gcc(t, filepath.Join(dir, "vmlinux"), "-O2", "-g", "-fPIC", "-nostdlib", "-shared", "-o", filepath.Join(dir, "vmlinux"), "testdata/elsewhere.c")
	module := compile(t, "-g", "-r")
	for path, text := range map[string]string{
		"proc/modules": "odd_mod 16384 0 - Live 0x0\nstripped 16384 0 - Live 0x0\n",
		"lib/modules/" + testRelease + "/modules.dep": "kernel/net/odd-mod.ko.xz: kernel/lib/stripped.ko\nkernel/lib/stripped.ko:\n",
	} {
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	install(t, root, "usr/lib/debug/lib/modules/"+testRelease+"/kernel/net/odd-mod.ko.debug", module)
	d, err := OpenDWARF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.FuncNamed("caller"); !errors.Is(err, fetchargs.ErrNoType) {
		t.Error(err)
	}
	d.modules = newModuleFiles(root, testRelease, d.vmlinux)
	for _, name := range []string{"caller", "odd-mod:caller", "odd_mod:caller"} {
		if f, err := d.FuncNamed(name); err != nil || f.String() != "int caller(struct odd *o)" {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if s, err := d.TypeNamed("struct odd"); err != nil || s.Size != 160 {
		t.Errorf("%v, %v", s, err)
	}
	if len(d.used) != 1 || !d.used["odd_mod"] {
		t.Errorf("used %v", d.used)
	}
	if _, err := d.FuncNamed("stripped:caller"); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "no debug information of this module is installed") {
		t.Error(err)
	}
	if _, err := d.FuncNamed("../x:caller"); !errors.Is(err, fetchargs.ErrNoType) {
		t.Error(err)
	}
	// Another build of the module is loaded.
	notes := filepath.Join(root, "sys/module/odd_mod/notes")
	if err := os.MkdirAll(notes, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(notes, ".note.gnu.build-id"), []byte("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\xde\xad\xbe\xef"), 0o644); err != nil {
		t.Fatal(err)
	}
	withID := install(t, root, "usr/lib/debug/lib/modules/"+testRelease+"/kernel/net/odd-mod.ko", compile(t, "-g")) // has a build id
	d.modules = newModuleFiles(root, testRelease, d.vmlinux)
	os.Remove(withID + ".debug")
	if _, err := d.FuncNamed("odd_mod:caller"); err == nil || !strings.Contains(err.Error(), "another build of the module") {
		t.Error(err)
	}
}

// TestCacheOfDWARF: the second run reads no debug information.
func TestCacheOfDWARF(t *testing.T) {
	d, err := OpenDWARF(compile(t, "-g"))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Kernel: Kernel{testRelease, d.BuildID(), "amd64"}, OnlyDWARF: true, CacheDir: t.TempDir(), Program: "test"}
	see := func(c *chain) string {
		l := &Layout{rec: NewRecorder(c), chain: c, opts: o}
		s, err := l.TypeNamed("struct odd")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.FuncNamed("defined")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Save(); err != nil {
			t.Fatal(err)
		}
		return dump(s, 0) + f.String() + dump(f.Members[0].Type.Elem(), 0)
	}
	want := see(&chain{opts: o, src: d, missed: true})
	l, err := Open(o) // reads the cache: there is no such debug information in the usual places
	if err != nil {
		t.Fatal(err)
	}
	if got := see(l.chain); got != want || l.chain.src != nil {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if want := d.Source() + " (kept from an earlier run)"; l.Source() != want {
		t.Errorf("source %q, want %q", l.Source(), want)
	}
	// What DWARF gave is not mixed with what BTF gives without being asked.
	o.OnlyDWARF = false
	if p := readCache(o, sysDir); p != nil {
		t.Error("used without --layout dwarf")
	}
}
