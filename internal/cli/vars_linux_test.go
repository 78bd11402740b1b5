package cli_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/tools"
)

// TestVars shows parameters with the registers that the ABI has for them, and
// members at the offsets that the header on the wire has.
func TestVars(t *testing.T) {
	needs(t)
	registers := map[string][]string{"amd64": {"%di", "%si", "%dx", "%cx"}, "arm64": {"%x0", "%x1", "%x2", "%x3"}}[runtime.GOARCH]
	lines := shownLines(clitest.Do(t, "vars", "ip_rcv").OK().Stdout)
	for i, parameter := range []string{"struct sk_buff *skb", "struct net_device *dev", "struct packet_type *pt", "struct net_device *orig_dev"} {
		if want := registers[i] + " " + parameter; !lines[want] {
			t.Errorf("no %q in %v", want, lines)
		}
	}
	lines = shownLines(clitest.Do(t, "vars", "struct tcphdr").OK().Stdout)
	for _, want := range []string{"struct tcphdr, 20 bytes", "0 2 __be16 source", "2 2 __be16 dest", "4 4 __be32 seq", "14 2 __be16 window"} {
		if !lines[want] {
			t.Errorf("no %q in %v", want, lines)
		}
	}
}

// TestList lists all tools, and functions by pattern.
func TestList(t *testing.T) {
	needs(t)
	if lines := shownLines(clitest.Do(t, "list", "udp_sendms*").OK().Stdout); !lines["udp_sendmsg"] {
		t.Errorf("%v", lines)
	}
	lines := shownLines(clitest.Do(t, "list").OK().Stdout)
	for _, tool := range tools.All() {
		if want := tool.Name + " " + tool.Short; !lines[want] {
			t.Errorf("no %q in %v", want, lines)
		}
	}
}

// shownLines are lines with single spaces.
func shownLines(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		all[strings.Join(strings.Fields(line), " ")] = true
	}
	return all
}
