package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// firstRegister holds a function's first argument.
var firstRegister = map[string]string{"amd64": "%di", "arm64": "%x0"}[runtime.GOARCH]

// dynamic is a file of definitions that this kernel has, and the places for its probes.
type dynamic struct {
	file, place, other, nowhere string
}

// kprobes or, on a kernel without (this one may be a developer's), uprobes, which share the code.
func dynamicEvents(t *testing.T, f *FS) dynamic {
	t.Helper()
	if ok, _ := f.Has(kprobeEvents); ok {
		return dynamic{kprobeEvents, "vfs_read", "vfs_write", "no_such_function"}
	}
	if testkernel.InVM() {
		t.Fatal("no kprobe_events")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return dynamic{"uprobe_events", self + ":0x1000", self + ":0x2000", "/no/such/file:0x10"}
}

func TestDefine(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	d := dynamicEvents(t, f)
	group, err := f.Group()
	if err != nil {
		t.Fatal(err)
	}
	line := func(event, place, args string) string { return fmt.Sprintf("p:%s/%s %s %s", group, event, place, args) }
	before, err := f.events(d.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.define(d.file, line("one", d.place, "len="+firstRegister+":u32")); err != nil {
		t.Fatal(err)
	}
	defer f.remove(d.file, group, "one")

	format, err := f.Format(group, "one")
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.ID(group, "one")
	if err != nil || uint64(format.ID) != id || format.Name != "one" {
		t.Errorf("ID %d, format %+v, %v", id, format, err)
	}
	if field := format.Field("len"); field == nil || field.Size != 4 || field.Signed || field.Type != "u32" {
		t.Errorf("field len: %+v", field)
	}

	t.Run("twice", func(t *testing.T) {
		if err := f.define(d.file, line("one", d.other, "")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("listed", func(t *testing.T) {
		after, err := f.events(d.file)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(after, func(e DynamicEvent) bool { return e.Group == group && e.Event == "one" })
		if len(after) != len(before)+1 || i < 0 || after[i].Type != "p" || after[i].Args != "len="+firstRegister+":u32" {
			t.Errorf("got %+v", after)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		err := f.define(d.file, line("two", d.nowhere, "a="+firstRegister))
		checkRefusal(t, f, err, syscall.ENOENT, d.nowhere)
	})
	t.Run("syntax", func(t *testing.T) {
		err := f.define(d.file, line("two", d.place, " a=%nosuch"))
		checkRefusal(t, f, err, syscall.EINVAL, "%nosuch")
	})
	t.Run("filter", func(t *testing.T) {
		if err := f.CheckFilter(group, "one", "len == 5 && common_pid != 0"); err != nil {
			t.Error(err)
		}
		err := f.CheckFilter(group, "one", "nosuch == 1")
		var refused *FilterError
		if !errors.As(err, &refused) || !errors.Is(err, syscall.EINVAL) || refused.Msg == "" || refused.Expr != "nosuch == 1" {
			t.Errorf("got %#v", err)
		}
		text, err := os.ReadFile(f.path("events", group, "one", "filter"))
		if err != nil || strings.TrimSpace(string(text)) != "none" {
			t.Errorf("the filter is left as %q, %v", text, err)
		}
		if err := f.SetFilter(group, "nosuch", "0"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no event: %v", err)
		}
	})
	t.Run("removed", func(t *testing.T) {
		if err := f.remove(d.file, group, "one"); err != nil {
			t.Fatal(err)
		}
		if err := f.remove(d.file, group, "one"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("again: %v", err)
		}
		if _, err := f.Format(group, "one"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("format: %v", err)
		}
		after, err := f.events(d.file)
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("left %+v, %v", after, err)
		}
	})
}

// checkRefusal expects the errno and, where there is an error_log, the kernel's words and a caret under the word at fault.
func checkRefusal(t *testing.T, f *FS, err error, errno syscall.Errno, at string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Errorf("got %v", err)
	}
	var syntax *SyntaxError
	if hasLog, _ := f.Has("error_log"); !hasLog {
		t.Logf("no error_log here: %v", err)
		return
	}
	if !errors.As(err, &syntax) || syntax.Msg == "" || !strings.HasPrefix(syntax.Line[syntax.Offset:], at) {
		t.Errorf("got %+v", err)
	}
	t.Logf("%+v", err)
}

func TestRemoveRefuses(t *testing.T) {
	f := New(t.TempDir())
	for _, name := range []string{"", "*", "a b", "a/b", "a\n"} {
		if err := f.Remove("g", name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
		if err := f.Remove(name, "e"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTry(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Kprobes)
	f := open(t)
	if err := f.Try("p:anything vfs_read len=" + firstRegister + ":u32"); err != nil {
		t.Error(err)
	}
	if err := f.Try("p no_such_function"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no function: %v", err)
	}
	if err := f.Try("r:a/b vfs_read ret=$retval"); err != nil {
		t.Error(err)
	}
	// Old kernels take maxactive and drop the name; then nothing may stay behind.
	before, err := f.Events()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Try("r8:a/b vfs_read"); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if after, err := f.Events(); err != nil || !slices.Equal(before, after) {
		t.Errorf("left %+v, %v", after, err)
	}
}

// Event probes follow the pointers of a static event. They are in another file than kprobes.
func TestEventProbe(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Kprobes, testkernel.Since("5.15"))
	f := open(t)
	group, err := f.Group()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Define("e:" + group + "/drop skb.kfree_skb a=$location:x64 b=+8($skbaddr):x64[2]"); err != nil {
		t.Fatal(err)
	}
	defer f.Remove(group, "drop")
	if err := f.Define("e:" + group + "/drop skb.kfree_skb"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("again: %v", err)
	}
	format, err := f.Format(group, "drop")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := format.Field("a"), format.Field("b"); a == nil || a.Size != 8 || b == nil || b.Size != 16 {
		t.Errorf("format %+v", format)
	}
	var syntax *SyntaxError
	if err := f.Define("e:" + group + "/bad skb.kfree_skb a=$nosuch"); !errors.As(err, &syntax) || syntax.Msg == "" {
		t.Errorf("an unknown field: %+v", err)
	}
	if err := f.Define("e:" + group + "/bad skb.no_such_event"); err == nil {
		t.Error("an unknown event is taken")
	}
	if err := f.Try("e:a/b skb.kfree_skb a=+0($skbaddr):x64"); err != nil {
		t.Error(err)
	}
	if err := f.Remove(group, "drop"); err != nil {
		t.Error(err)
	}
	if err := f.Remove(group, "drop"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// Event probes of the dead are swept as kprobes are, after the instance in which they are enabled.
func TestSweepEventProbe(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Kprobes, testkernel.Since("5.15"))
	f := open(t)
	dead := owner{pid: 4194303, start: 5}
	if err := f.Define("e:" + dead.group() + "/drop skb.kfree_skb a=$location:x64"); err != nil {
		t.Fatal(err)
	}
	defer f.Remove(dead.group(), "drop")
	dir := f.path(instancesDir, dead.instanceName(1))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if err := New(dir).Set("events/"+dead.group()+"/drop/enable", "1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(dead.group(), "drop"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("removed while enabled: %v", err)
	}
	swept, err := f.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(swept.Removed, func(e DynamicEvent) bool { return e.Type == "e" && e.Group == dead.group() }) {
		t.Errorf("swept %+v", swept)
	}
	if has, err := f.Has("events/" + dead.group()); has || err != nil {
		t.Errorf("the group is there: %v, %v", has, err)
	}
}

func TestProfile(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Kprobes)
	f := open(t)
	group, err := f.Group()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Define("p:" + group + "/reads vfs_read"); err != nil {
		t.Fatal(err)
	}
	defer f.Remove(group, "reads")
	stop := use(t, f, group, "reads")
	defer stop()
	if err := f.Remove(group, "reads"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("removed while in use: %v", err)
	}
	for range 10 {
		if _, err := os.ReadFile("/proc/version"); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := f.Profile()
	if err != nil {
		t.Fatal(err)
	}
	if c := counts[Name{group, "reads"}]; c.Hits < 10 {
		t.Errorf("got %+v", counts)
	}
}

// use counts the hits of an event in this process, with perf. The event's file "enable" would do too, but it also makes the kernel follow
// sched_switch, and changing that function's code while it runs has crashed a 6.12 guest in QEMU.
func use(t *testing.T, f *FS, group, event string) (stop func()) {
	t.Helper()
	id, err := f.ID(group, event)
	if err != nil {
		t.Fatal(err)
	}
	attr := &unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: id, Bits: unix.PerfBitInherit}
	runtime.LockOSThread() // perf counts for a thread
	fd, err := unix.PerfEventOpen(attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		runtime.UnlockOSThread()
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		unix.Close(fd)
		runtime.UnlockOSThread()
	})
}
