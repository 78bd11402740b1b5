package testkernel

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Main is the TestMain of a package whose tests open things in the kernel. After the tests it fails the test binary if they left
// file descriptors open, or events or tracing instances of ours:
//
//	func TestMain(m *testing.M) { testkernel.Main(m) }
func Main(m *testing.M) {
	before := takeStock()
	code := m.Run()
	if code == 0 { // a failed test may well have left something, and that is not the news
		for _, leak := range leaks(before, takeStock()) {
			fmt.Fprintln(os.Stderr, "leaked by the tests:", leak)
			code = 1
		}
	}
	os.Exit(code)
}

// A stock is what a process can leave behind, each with how often it is there.
type stock map[string]int

func takeStock() stock {
	s := stock{}
	openFiles(s)
	ownEvents(s)
	ownInstances(s)
	return s
}

// leaks describes what there is more of after than before.
func leaks(before, after stock) []string {
	var found []string
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if n := after[what] - before[what]; n > 0 {
			found = append(found, fmt.Sprintf("%s (%d)", what, n))
		}
	}
	return found
}

// openFiles counts file descriptors by what they lead to. The Go runtime's poller stays open once it is used.
func openFiles(s stock) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // no /proc: nothing can be said
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		switch {
		case err != nil: // the one that ReadDir itself had
		case target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]":
		default:
			s["file descriptor of "+target]++
		}
	}
}

// ownEvents counts the dynamic events that nobody will remove: of this process, and of processes that have ended.
func ownEvents(s stock) {
	names := []string{"kprobe_events", "uprobe_events"}
	if _, err := os.Stat(filepath.Join(tracingDir, "dynamic_events")); err == nil {
		names = []string{"dynamic_events"} // which has them all, and event probes
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(tracingDir, name))
		if err != nil {
			continue // without tracefs, or the right to read it, there are no events of ours
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			definition, _, _ := strings.Cut(sc.Text(), " ")
			if abandoned(groupOwner(definition)) {
				s["event "+definition]++
			}
		}
		f.Close()
	}
}

// ownInstances counts the tracing instances that nobody will remove.
func ownInstances(s stock) {
	entries, err := os.ReadDir(filepath.Join(tracingDir, "instances"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if abandoned(groupOwner("i:" + e.Name())) {
			s["tracing instance "+e.Name()]++
		}
	}
}

// abandoned tells whether nobody will remove what this process owns: it is this one, or has ended.
func abandoned(owner int) bool {
	return owner == os.Getpid() || owner > 0 && errors.Is(unix.Kill(owner, 0), unix.ESRCH)
}

// groupOwner returns the process in a definition such as p:skprobe_812_77123/udp, and 0 for other people's.
func groupOwner(definition string) int {
	_, name, _ := strings.Cut(definition, ":")
	owner, ok := strings.CutPrefix(name, "skprobe_")
	if !ok {
		return 0
	}
	owner, _, _ = strings.Cut(owner, "_")
	pid, err := strconv.Atoi(owner)
	if err != nil {
		return 0
	}
	return pid
}
