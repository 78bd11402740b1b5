package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// scriptFile writes a script.
func scriptFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.skp")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRunScript runs scripts: of probes with an argument, of a tool, and of a
// graph with the program that it traces.
func TestRunScript(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	program := clitest.Link(t, "traffic")
	probes := scriptFile(t, "# sends of one size\nprobe udp_sendmsg \\\n  len sk:sock\nprobe inet_sendmsg len=size\nwhere len == $1\n\n-- $2 send+127.0.0.1:9+20 send+127.0.0.1:9+21\n")
	events := clitest.Do(t, "run", "--format=json", probes, "21", program).OK().Events()
	count := map[any]int{}
	for _, e := range events {
		count[e["event"]]++
		if e["len"] != 21 {
			t.Errorf("%v", e)
		}
	}
	if count["udp_sendmsg"] != 1 || count["inet_sendmsg"] != 1 {
		t.Errorf("%v", count)
	}
	tool := scriptFile(t, "udp\nsend\nformat json\ncount 1\n")
	r := clitest.Start(t, "run", tool)
	if err := unix.Sendto(udpSocket(t, unix.AF_INET), []byte("x"), 0, discard4); err != nil {
		t.Fatal(err)
	}
	if events := r.Wait().OK().Events(); len(events) != 1 || events[0]["event"] != "udp.sendmsg" {
		t.Errorf("%v", events)
	}
	graph := scriptFile(t, "graph udp_sendmsg\ngraph ip_make_skb\nformat json\n-- "+program+" send+127.0.0.1:9+20\n")
	if events := clitest.Do(t, "run", graph).OK().Events(); len(events) != 2 {
		t.Errorf("%v", events)
	}
}

// TestCheckScript tells what a script becomes on each recorded kernel.
func TestCheckScript(t *testing.T) {
	out := clitest.Do(t, "check", scriptFile(t, "probe udp_sendmsg len\nwhere len > 10\n")).OK().Stdout
	for _, want := range []string{"# 6.1.", "p:skprobe/udp_sendmsg_0 udp_sendmsg len=%dx:x64", "len=%x2:x64", "  filter: len > 10"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestBadScript(t *testing.T) {
	needs(t)
	bad := func(status int, text string, says ...string) {
		t.Helper()
		for i := range says {
			says[i] = strings.ReplaceAll(says[i], "FILE", "x.skp")
		}
		badCase{[]string{"run", scriptFile(t, text)}, status, says}.run(t)
	}
	bad(2, "", "FILE:1:1: nothing to do")
	bad(2, "probe udp_sendmsg lenn", "FILE:1:19: ", `did you mean "len"?`)
	bad(2, "probe udp_sendmsg len\nwher len == 1", "FILE:2:1: ", "did you mean where?")
	bad(2, "probe udp_sendmsg len\nwhere lenn == 1", "FILE:2:7: ", `no field "lenn"`)
	bad(2, "probe udp_sendmsg len:prt", "FILE:1:23: ", "unknown kind")
	bad(2, "probe udp_sendmsg\ncount x", "FILE:2:7: count", "invalid syntax")
	bad(2, "probe udp_sendmsg\nwhere", "FILE:2:1: where needs a value")
	bad(3, "probe udp_sendmsgg", "FILE:1:7: ", "did you mean udp_sendmsg")
	bad(2, "probe udp_sendmsg\nrport $1", "FILE:2:7: $1: the script was given 0 arguments")
	badCase{[]string{"run", "/no/such/script"}, 1, []string{"no such file"}}.run(t)
	badCase{[]string{"run"}, 2, []string{"a script is needed"}}.run(t)
}
