package tracefs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// instances lists the tracing instances.
func instances(t *testing.T, f *FS) []string {
	t.Helper()
	entries, err := os.ReadDir(f.path(instancesDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Instances of one process have names that tell their owner, are apart from each other, and go with Remove.
func TestInstance(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	before := instances(t, f)
	a, err := f.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	group, err := f.Group()
	if err != nil || a.Name != group || b.Name != group+"_2" {
		t.Errorf("instances %s and %s of %s, %v", a.Name, b.Name, group, err)
	}
	if err := a.Set("tracing_on", "0"); err != nil {
		t.Error(err)
	}
	for i, want := range map[*Instance]string{a: "0", b: "1"} {
		if got, err := i.Get("tracing_on"); got != want || err != nil {
			t.Errorf("tracing_on of %s is %q, %v", i.Name, got, err)
		}
	}
	if err := a.Set("trace_clock", "nosuch"); err == nil || !strings.Contains(err.Error(), "trace_clock") {
		t.Errorf("an unknown clock: %v", err)
	}
	if err := a.Set("nosuch", "1"); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unknown setting: %v", err)
	}
	if swept, err := f.sweepInstances(); err != nil || slices.ContainsFunc(swept, func(i SweptInstance) bool { return i.Name == a.Name }) {
		t.Errorf("sweep: %+v, %v", swept, err)
	}
	for _, i := range []*Instance{a, b, b} {
		if err := i.Remove(); err != nil {
			t.Error(err)
		}
	}
	if now := instances(t, f); slices.Contains(now, a.Name) || slices.Contains(now, b.Name) {
		t.Errorf("before %v, now %v", before, now)
	}
}

// Instances of dead owners are swept, with what is enabled in them; others stay.
func TestSweepInstances(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	dead := owner{pid: 4194303, start: 3}
	gone := []string{dead.instanceName(1), dead.instanceName(2)}
	stay := []string{"skprobe_test_other", "skprobe_4194303_3_x"}
	for _, name := range append(stay, gone...) {
		dir := f.path(instancesDir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
		if err := New(dir).Set("events/task/task_rename/enable", "1"); err != nil {
			t.Fatal(err)
		}
	}
	swept, err := f.sweepInstances()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range swept {
		if i.Err != nil || !slices.Contains(gone, i.Name) && !strings.HasPrefix(i.Name, groupPrefix) {
			t.Errorf("swept %+v", i)
		}
	}
	now := instances(t, f)
	for _, name := range gone {
		if slices.Contains(now, name) {
			t.Errorf("%s remains", name)
		}
	}
	for _, name := range stay {
		if !slices.Contains(now, name) {
			t.Errorf("%s was swept", name)
		}
	}
}

func TestParseInstance(t *testing.T) {
	o := owner{pid: 812, start: 77123}
	for n := 1; n < 4; n++ {
		if got, ok := parseInstance(o.instanceName(n)); !ok || got != o {
			t.Errorf("%s: %+v, %v", o.instanceName(n), got, ok)
		}
	}
	for _, name := range []string{"", "_", "skprobe_1", "skprobe_1_2_1", "skprobe_1_2_02", "skprobe_1_2_-2", "skprobe_1_2_3_4", "other_1_2"} {
		if got, ok := parseInstance(name); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
