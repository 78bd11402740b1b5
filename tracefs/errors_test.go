package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const errorLog = `[ 1205.424503] trace_kprobe: error: Invalid probed address or symbol
  Command: p:foo/bar nosuch
                     ^
[ 1205.424643] trace_uprobe: error: Invalid register name
  Command: p:foo/bar /bin/ls:0x10 zz=%foo
                                     ^
[ 1206.000001] event filter parse error: error: Field not found
  Command: nosuch == 1
                  ^
`

func TestParseErrorLog(t *testing.T) {
	got, err := ParseErrorLog(strings.NewReader(errorLog))
	if err != nil {
		t.Fatal(err)
	}
	want := []LogEntry{
		{"trace_kprobe", "Invalid probed address or symbol", "p:foo/bar nosuch", 10},
		{"trace_uprobe", "Invalid register name", "p:foo/bar /bin/ls:0x10 zz=%foo", 26},
		{"event filter parse error", "Field not found", "nosuch == 1", 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseErrorLog(f *testing.F) {
	f.Add(errorLog)
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := ParseErrorLog(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Offset < 0 {
				t.Errorf("%+v", e)
			}
		}
	})
}

// fakeFS is a folder with some files.
func fakeFS(t *testing.T, files map[string]string) *FS {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return New(root)
}

func TestRefusal(t *testing.T) {
	f := fakeFS(t, map[string]string{"error_log": errorLog})
	err := f.refusal("p:foo/bar  nosuch", &os.PathError{Op: "write", Path: "kprobe_events", Err: syscall.ENOENT})
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) {
		t.Fatalf("got %#v", err)
	}
	const want = "Invalid probed address or symbol (no such file or directory)\n  p:foo/bar nosuch\n            ^"
	if got := fmt.Sprintf("%+v", err); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	const line = `Invalid probed address or symbol: "p:foo/bar nosuch", at character 11: no such file or directory`
	if got := fmt.Sprintf("%v", err); got != line {
		t.Errorf("got  %q\nwant %q", got, line)
	}

	// 6.12 says EINVAL, with the same words.
	err = f.refusal("p:foo/bar nosuch", syscall.EINVAL)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) || !errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EBUSY) {
		t.Errorf("got %v", err)
	}

	// Somebody else's entry is not ours, and an old kernel has no log: the errno is explained.
	for _, f := range []*FS{f, fakeFS(t, nil)} {
		err = f.refusal("p:foo/other nosuch", syscall.ENOENT)
		if errors.As(err, &syntax) || !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), Explain(syscall.ENOENT)) {
			t.Errorf("got %v", err)
		}
	}
}

func TestParseFilterError(t *testing.T) {
	msg, offset := parseFilterError("nosuch == 1\n       ^\nparse_error: Field not found\n")
	if msg != "Field not found" || offset != 7 {
		t.Errorf("got %q, %d", msg, offset)
	}
	if msg, offset := parseFilterError("none\n"); msg != "" || offset != -1 {
		t.Errorf("got %q, %d", msg, offset)
	}
}

func TestCheckLine(t *testing.T) {
	for _, line := range []string{
		"p:g/e f\np:g/other f",
		"p:g/e f # comment",
		"p:g/e f\x00",
		"p:e f",
		"p f",
		"p:g/1e f",
		"p:g/e" + strings.Repeat(" f", maxLine/2),
		"-:g/e",
		"",
	} {
		_, err := checkLine(line)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%.40q: got %v", line, err)
		}
		_ = fmt.Sprintf("%+v", err)
	}
	if _, err := checkLine("p:skprobe_1_2/udp udp_sendmsg sk=%di:x64"); err != nil {
		t.Error(err)
	}
}

// A kernel that drops the name of a return probe with maxactive (3.10, 4.4).
func TestMisnamed(t *testing.T) {
	before := "p:other/a vfs_read\nr:kprobes/r_tcp_connect_0 tcp_connect\n"
	f := fakeFS(t, map[string]string{kprobeEvents: before + "r:kprobes/r_udp_sendmsg_0 udp_sendmsg+0\n"})
	known, err := ParseEvents(strings.NewReader(before))
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParseEvent("r8:g/x udp_sendmsg")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.misnamed(kprobeEvents, want, known); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(f.path(kprobeEvents))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "\n-:kprobes/r_udp_sendmsg_0\n") || strings.Count(string(text), "-:") != 1 {
		t.Errorf("got %q", text)
	}
}
