package tracefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/internal/testkernel"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerEnv) != "" {
		beOwner()
	}
	testkernel.Main(m)
}

func TestParseMounts(t *testing.T) {
	const text = `proc /proc proc rw 0 0
debugfs /sys/kernel/debug debugfs rw 0 0
tracefs /sys/kernel/debug/tracing tracefs rw 0 0
tracefs /mnt/a\040b tracefs rw 0 0
none /d debugfs rw 0 0
`
	want := []string{"/sys/kernel/debug/tracing", "/mnt/a b", "/sys/kernel/debug/tracing", "/d/tracing"}
	if diff := cmp.Diff(want, parseMounts(strings.NewReader(text))); diff != "" {
		t.Error(diff)
	}
	for in, want := range map[string]string{`a\`: `a\`, `a\04`: `a\04`, `\134x`: `\x`, `a\999`: `a\999`} {
		if got := unescapeMount(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

// mountTable is what this process, in all its threads, sees mounted.
func mountTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	namespaces := map[string]bool{}
	// A thread with a mount namespace of its own is on its way out.
	for range 3000 {
		clear(namespaces)
		tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tasks {
			if ns, err := os.Readlink(name); err == nil {
				namespaces[ns] = true
			}
		}
		if len(namespaces) == 1 {
			return string(text)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("threads in several mount namespaces: %v", namespaces)
	return string(text)
}

// A private mount works as tracefs does, and nobody sees it.
func TestMountPrivate(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	before := mountTable(t)
	for name, mount := range map[string]func() (*FS, error){
		"as the kernel can": MountPrivate,
		"in a namespace": func() (*FS, error) {
			keep, err := mountInNamespace()
			if err != nil {
				return nil, err
			}
			return fromMount(keep)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := mount()
			if err != nil {
				t.Fatal(err)
			}
			if !f.Private() {
				t.Error("not private")
			}
			if format, err := f.Format("sched", "sched_switch"); err != nil || format.Field("next_pid") == nil {
				t.Errorf("format of sched_switch: %+v, %v", format, err)
			}
			if diff := cmp.Diff(before, mountTable(t)); diff != "" {
				t.Errorf("the mount shows: %s", diff)
			}
			root := f.Root()
			for range 2 {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, err := f.Events(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Close: %v", err)
			}
			if ok, err := isTracing(root); ok {
				t.Errorf("%s is still there: %v", root, err)
			}
			if diff := cmp.Diff(before, mountTable(t)); diff != "" {
				t.Errorf("Close left: %s", diff)
			}
		})
	}
}

// Every format of this kernel can be read.
func TestAllFormats(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	names, err := filepath.Glob(f.path("events", "*", "*", "format"))
	if err != nil || len(names) < 100 {
		t.Fatalf("%d formats, %v", len(names), err)
	}
	for _, name := range names {
		event := filepath.Base(filepath.Dir(name))
		group := filepath.Base(filepath.Dir(filepath.Dir(name)))
		format, err := f.Format(group, event)
		if group == "ftrace" && format != nil {
			continue // their names differ from their folders
		}
		if err != nil || format.Name != event {
			t.Errorf("%s: %+v, %v", name, format, err)
		}
	}
}

// open returns the machine's tracefs.
func open(t *testing.T) *FS {
	t.Helper()
	f, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
