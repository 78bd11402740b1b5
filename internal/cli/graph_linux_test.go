package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// topTracer is the tracer of the whole system, which is never ours.
func topTracer(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"current_tracer", "set_ftrace_filter", "set_ftrace_pid", "set_graph_function", "tracing_on", "trace_clock"} {
		b, err := os.ReadFile("/sys/kernel/tracing/" + file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// canTraceHere tells whether this kernel has the tracer for an instance.
func canTraceHere() bool { return testkernel.Since("6.11")() == nil }

// TestGraph draws the calls of a send, by both methods: who calls whom, how
// long it takes, and for whom.
func TestGraph(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	before := topTracer(t)
	for _, method := range session.GraphMethods {
		if method == session.GraphTracer && !canTraceHere() {
			badCase{[]string{"graph", "udp_sendmsg", "--method", "tracer", "--duration", "1ns"}, 3, []string{"function_graph tracer for the whole system only"}}.run(t)
			continue
		}
		t.Run(method, func(t *testing.T) {
			r := clitest.Start(t, "graph", "--method", method, "--format", "json", "inet_sendmsg", "udp_*", "ip_make_skb", "--pid", fmt.Sprint(os.Getpid()))
			for i := range 3 {
				if err := unix.Sendto(fd, make([]byte, 100+i), 0, discard4); err != nil {
					t.Fatal(err)
				}
			}
			events := r.Stop().OK().Events()
			calls := map[string]int{}
			var outer float64
			for _, e := range events {
				caller, _ := e["caller"].(string)
				calls[fmt.Sprintf("%s>%s@%v", caller, e["function"], e["depth"])]++
				duration := asFloat(e["duration_us"])
				if e["pid"] == nil {
					continue // an interrupt
				}
				if e["pid"] != os.Getpid() || duration <= 0 || duration > 60e6 {
					t.Errorf("%v", e)
				}
				if e["depth"] == 0 {
					outer = duration
				} else if duration > outer {
					t.Errorf("%v took longer than what called it, %v", e, outer)
				}
			}
			for _, want := range []string{">inet_sendmsg@0", "inet_sendmsg>udp_sendmsg@1", "udp_sendmsg>ip_make_skb@2"} {
				if calls[want] != 3 {
					t.Errorf("%s: %d times, want 3", want, calls[want])
				}
			}
			if t.Failed() {
				t.Logf("%v", events)
			}
			nothingLeft(t)
		})
	}
	if after := topTracer(t); after != before {
		t.Errorf("the system's tracer was %s, and is %s", before, after)
	}
}

func asFloat(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return -1
}

// TestGraphTable shows a tree for reading, of a program from its first call on,
// with its levels limited.
func TestGraphTable(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	program := clitest.Link(t, "traffic")
	for _, method := range []string{"auto", "probes"} {
		r := clitest.Do(t, "graph", "--method", method, "inet_sendmsg", "udp_sendmsg", "ip_make_skb", "--root", "udp_sendmsg", "--depth", "2",
			"--", program, "send+127.0.0.1:9+20").OK()
		var lines []string
		for line := range strings.Lines(r.Stdout) {
			words := strings.Fields(line)
			lines = append(lines, strings.Join(words[2:4], " ")+line[strings.LastIndexByte(strings.TrimRight(line, "\n"), ' '):])
			if i := strings.Index(line, "ip_make_skb"); i > 0 && line[i-2:i] != "  " {
				t.Errorf("not indented: %q", line)
			}
		}
		if len(lines) != 3 || !strings.Contains(lines[1], "udp_sendmsg") || !strings.Contains(lines[2], "ip_make_skb") || !strings.HasPrefix(lines[1], "traffic ") {
			t.Errorf("%s:\n%s", method, r.Stdout)
		}
	}
}

// TestGraphList draws the calls of functions that a file lists, of which one does
// not exist.
func TestGraphList(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	list := t.TempDir() + "/list"
	if err := os.WriteFile(list, []byte("# of a send\ninet_sendmsg\n\nudp_sendm*\n  vmlinux:ip_make_skb\nno_such_function\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := clitest.Start(t, "graph", "--format", "json", "@"+list, "--pid", fmt.Sprint(os.Getpid()))
	for range 3 {
		if err := unix.Sendto(fd, make([]byte, 10), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	res := r.Stop().OK()
	if calls := callsOf(res); len(calls) != 3 || calls[">inet_sendmsg"] != 3 || calls["inet_sendmsg>udp_sendmsg"] != 3 || calls["udp_sendmsg>ip_make_skb"] != 3 {
		t.Errorf("%v", calls)
	}
	if probed, matched, refused := summary(t, res.Stderr, "@"+list); probed != 3 || matched != 4 || refused != "1 do not exist here" {
		t.Errorf("%d of %d, %s", probed, matched, refused)
	}
	nothingLeft(t)
	for text, says := range map[string]string{
		"":                      "no functions are listed there",
		"ok\nudp_sendmsg len\n": ":2: \"udp_sendmsg len\": one function or pattern a line is needed",
		"udp_sendmsg+4\n":       ":1: ",
	} {
		if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		badCase{[]string{"graph", "@" + list}, 2, []string{list, says}}.run(t)
	}
	badCase{[]string{"graph", "@/nosuch"}, 2, []string{"list of functions: open /nosuch"}}.run(t)
}

// callsOf counts the calls of a graph: "CALLER>FUNCTION".
func callsOf(res *clitest.Result) map[string]int {
	calls := map[string]int{}
	for _, e := range res.Events() {
		caller, _ := e["caller"].(string)
		calls[fmt.Sprintf("%s>%s", caller, e["function"])]++
	}
	return calls
}

// TestGraphCounts counts calls, and adds up their time.
func TestGraphCounts(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	r := clitest.Start(t, "graph", "udp_*", "--format", "json", "--count-by", "function", "--sum", "duration_us", "--pid", fmt.Sprint(os.Getpid()))
	for range 5 {
		if err := unix.Sendto(fd, make([]byte, 100), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range r.Stop().OK().Events() {
		if e["function"] == "udp_sendmsg" {
			if e["count"] != 5 {
				t.Errorf("%v", e)
			}
			return
		}
	}
	t.Error("udp_sendmsg was not counted")
}

func TestBadGraph(t *testing.T) {
	needs(t)
	bad := func(status int, says string, args ...string) badCase {
		return badCase{append([]string{"graph", "--duration", "1ns"}, args...), status, []string{says}}
	}
	for _, c := range []badCase{
		bad(2, "a function or a pattern is needed"),
		bad(3, "did you mean udp_sendmsg", "udp_sendmsgg"),
		bad(3, "no functions match", "zzz_*", "--method", "probes"),
		bad(3, "zzz_*: no functions match", "zzz_*"),
		bad(2, "and nothing else", "udp_sendmsg len"),
		bad(2, "and nothing else", "t:sched:sched_switch"),
		bad(2, "cannot be negative", "udp_*", "--depth", "-1"),
		bad(2, "one of auto, tracer, probes", "udp_*", "--method", "x"),
	} {
		c.run(t)
	}
}

// TestGraphValues shows arguments and results of calls, by the types that the
// functions have.
func TestGraphValues(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	if err := testkernel.Since("7.0")(); err == nil {
		graphTracedArgs(t, fd)
	} else {
		badCase{[]string{"graph", "udp_sendmsg", "--args", "--method", "tracer", "--duration", "1ns"}, 3, []string{"function_graph tracer"}}.run(t)
	}
	r := clitest.Start(t, "graph", "--args", "--retval", "--format", "json", "udp_sendmsg", "ip_make_skb", "--pid", fmt.Sprint(os.Getpid()))
	if err := unix.Sendto(fd, make([]byte, 123), 0, discard4); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, make([]byte, 80000), 0, discard4); err != unix.EMSGSIZE {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range r.Stop().OK().Events() {
		args, _ := e["args"].(string)
		switch {
		case e["function"] == "udp_sendmsg" && strings.HasPrefix(args, "sk=0xff") && strings.Contains(args, " msg=0xff") && strings.HasSuffix(args, " len=123") && e["retval"] == 123:
			seen["sent"]++
		case e["function"] == "udp_sendmsg" && strings.HasSuffix(args, " len=80000") && e["retval"] == -int(unix.EMSGSIZE):
			seen["too long"]++
		case e["function"] == "ip_make_skb" && strings.HasPrefix(args, "sk=0xff") && strings.Contains(args, " length=131 ") && e["caller"] == "udp_sendmsg":
			seen["made"]++
		}
		if t.Failed() {
			t.Log(e)
		}
	}
	if seen["sent"] != 1 || seen["too long"] != 1 || seen["made"] != 1 {
		t.Errorf("%v: %s", seen, r.Stdout())
	}
	// Debian builds kernels without results in the records of the tracer.
	badCase{[]string{"graph", "udp_sendmsg", "--retval", "--method", "tracer", "--duration", "1ns"}, 3, []string{"function_graph tracer"}}.run(t)
}

// graphTracedArgs shows the arguments that the tracer records, which has its options for itself.
func graphTracedArgs(t *testing.T, fd int) {
	before := topTracer(t) + tracerOptions(t)
	r := clitest.Start(t, "graph", "--args", "-v", "--method", "tracer", "--format", "json", "udp_sendmsg", "ip_make_skb", "--pid", fmt.Sprint(os.Getpid()))
	if err := unix.Sendto(fd, make([]byte, 123), 0, discard4); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	events := r.Stop().OK().Events()
	for _, e := range events {
		args, _ := e["args"].(string)
		switch {
		case e["function"] == "udp_sendmsg" && strings.HasPrefix(args, "sk=0xff") && strings.Contains(args, " msg=0xff") && strings.HasSuffix(args, " len=123"):
			seen["sent"]++
		case e["function"] == "ip_make_skb" && strings.HasPrefix(args, "sk=0xff") && strings.Contains(args, " length=131 ") && e["caller"] == "udp_sendmsg":
			seen["made"]++
		}
	}
	if seen["sent"] != 1 || seen["made"] != 1 {
		t.Errorf("%v: %v", seen, events)
	}
	if after := topTracer(t) + tracerOptions(t); after != before {
		t.Errorf("the system's tracer was %s, and is %s", before, after)
	}
}

// tracerOptions are those of the system's function_graph tracer.
func tracerOptions(t *testing.T) string {
	files, err := filepath.Glob("/sys/kernel/tracing/options/funcgraph-*")
	if err != nil || files == nil {
		t.Fatal(files, err)
	}
	var all strings.Builder
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s", filepath.Base(file), value)
	}
	return all.String()
}
