package tools_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/tools"
)

// Doctor tells of each tool what it lacks in the way in which these tests run.
// Every tool works. What it says is printed for docs/kernels.md.
func TestDoctor(t *testing.T) {
	udpNeeds(t)
	result := clitest.Do(t, "doctor", "--format", "json").OK()
	var all struct {
		Tools []struct{ Tool, Answer, Why string }
	}
	var line bytes.Buffer
	if err := json.Unmarshal([]byte(result.Stdout), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&line, []byte(result.Stdout)); err != nil {
		t.Fatal(err)
	}
	t.Logf("doctor: %s", &line)
	if len(all.Tools) != len(tools.All()) {
		t.Errorf("doctor tells of %d tools of %d", len(all.Tools), len(tools.All()))
	}
	for _, tool := range all.Tools {
		if tool.Answer == "no" {
			t.Errorf("%s works here: %s (%s)", tool.Tool, tool.Answer, tool.Why)
		}
	}
}
