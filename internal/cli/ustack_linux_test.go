package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestUserStack looks at the stack of this very program.
func TestUserStack(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	args := func(more ...string) []string {
		return append([]string{"probe", "--backend", "perf", "--ustack", "udp_sendmsg len", "--where", "len == 321", "--pid", fmt.Sprint(os.Getpid())}, more...)
	}
	formats := map[string]*clitest.Run{"json": clitest.Begin(t, args("--format", "json")...), "both": clitest.Begin(t, args("--stack")...)}
	for _, r := range formats {
		r.Armed()
	}
	if err := send("127.0.0.1:9", 321); err != nil {
		t.Fatal(err)
	}
	for format, r := range formats {
		res := r.Stop().OK()
		for _, function := range []string{"cli_test.send+0x", "cli_test.TestUserStack+0x", "net.(*UDPConn).WriteTo+0x"} {
			if !strings.Contains(res.Stdout, function) {
				t.Errorf("%s: no %s in\n%s", format, function, res.Stdout)
			}
		}
		if kernel := strings.Contains(res.Stdout, "udp_sendmsg+0x"); kernel != (format == "both") {
			t.Errorf("%s: the kernel's stack is there: %t\n%s", format, kernel, res.Stdout)
		}
		if format == "json" {
			events := res.Events()
			if len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			stack, _ := events[0]["ustack"].([]any)
			if len(stack) < 4 || !strings.Contains(fmt.Sprint(stack[0]), "yscall") || !strings.HasSuffix(fmt.Sprint(stack[0]), ".test]") {
				t.Errorf("ustack %v", stack)
			}
		}
	}
}

func TestNoUserStack(t *testing.T) {
	needs(t)
	udpBad(3, "stacks of programs come through perf only", "--ustack", "--backend", "tracefs").run(t)
	udpBad(2, "--ustack shows the stack of each event, and events are counted here", "--ustack", "--count-by", "pid").run(t)
}
