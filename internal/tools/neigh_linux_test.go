package tools_test

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A neighbour that answers is looked for and found, grows stale, is doubted
// when it is used again, and confirmed; one that is not there fails; one that is
// set by hand is permanent.
func TestNeigh(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ping"), testkernel.Program("ip"), testkernel.Since("5.1"))
	a, b := testkernel.NetNSPair(t)
	run := clitest.Start(t, "neigh", "--format", "json")
	a.Do(func() {
		ping := func(to string) { _ = exec.Command("ping", "-c", "1", "-W", "10", to).Run() }
		for _, to := range []string{b.Addr4.String(), b.Addr6.String()} {
			ping(to)
			if out, err := exec.Command("ip", "neigh", "change", to, "dev", a.Dev, "nud", "stale").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			ping(to)
		}
		_ = exec.Command("ping", "-c", "1", "-W", "1", "192.0.2.77").Run()
		if out, err := exec.Command("ip", "neigh", "add", "192.0.2.78", "lladdr", "02:00:00:00:00:78", "dev", a.Dev, "nud", "permanent").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	// From DELAY to PROBE to REACHABLE it takes some seconds.
	if clitest.Calibrated() {
		time.Sleep(6 * time.Second)
	} else {
		until(t, "they are confirmed, or not", func() bool {
			shown := run.Shown()
			for _, end := range []clitest.Event{{"addr": b.Addr4.String(), "newstate": "REACHABLE"}, {"addr": b.Addr6.String(), "newstate": "REACHABLE"}} {
				if len(clitest.Select(shown, end.With("dev", a.Dev))) < 2 {
					return false
				}
			}
			return len(clitest.Select(shown, clitest.Event{"addr": "192.0.2.77", "newstate": "FAILED"})) > 0
		})
	}
	events := run.Stop().OK().Events()

	way := func(dev, addr string) (states []string) {
		for _, e := range clitest.Select(events, clitest.Event{"dev": dev, "addr": addr}) {
			old, _ := e["oldstate"].(string)
			states = append(states, old+" "+e["newstate"].(string))
			if known := e["newstate"] != "INCOMPLETE" && e["newstate"] != "FAILED"; known != (e["mac"] != nil) {
				t.Errorf("mac: %v", e)
			}
		}
		return states
	}
	for _, addr := range []string{b.Addr4.String(), b.Addr6.String()} {
		want := []string{"NONE INCOMPLETE", "INCOMPLETE REACHABLE", "REACHABLE STALE", "STALE DELAY", "DELAY PROBE", "PROBE REACHABLE"}
		// Traffic that comes back confirms a neighbour without a probe.
		confirmed := []string{"NONE INCOMPLETE", "INCOMPLETE REACHABLE", "REACHABLE STALE", "STALE DELAY", "DELAY REACHABLE"}
		got := way(a.Dev, addr)
		if clitest.Calibrated() { // which does not know struct neighbour: what neigh_update does, then
			want = []string{"INCOMPLETE REACHABLE", "REACHABLE STALE"}
			got = got[:min(2, len(got))]
		}
		if !slices.Equal(got, want) && !slices.Equal(got, confirmed) {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if got, want := way(a.Dev, "192.0.2.77"), []string{"NONE INCOMPLETE", "INCOMPLETE FAILED"}; !slices.Equal(got, want) && !clitest.Calibrated() {
		t.Errorf("nobody: %q, want %q", got, want)
	}
	if e := clitest.Select(events, clitest.Event{"addr": "192.0.2.78", "oldstate": "NONE", "newstate": "PERMANENT", "mac": "02:00:00:00:00:78", "comm": "ip"}); len(e) != 1 {
		t.Errorf("set by hand: %v", e)
	}
	if t.Failed() {
		for _, e := range events {
			t.Log(e)
		}
	}
}
