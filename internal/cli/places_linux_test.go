package cli_test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestProbeTracepoint shows what tracepoints record: fields that are named, with
// the names that the kernel has for their numbers, and all fields of one for
// which none is named.
func TestProbeTracepoint(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	r := clitest.Start(t, "probe", "--format", "json", "t:sock:inet_sock_set_state newstate dport daddr", "t:syscalls:sys_enter_connect",
		"t:sched:sched_process_fork", "--pid", fmt.Sprint(os.Getpid()))
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	if err := unix.Connect(c, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		t.Fatal(err)
	}
	if p, err := os.StartProcess("/proc/self/exe", []string{"traffic"}, &os.ProcAttr{}); err == nil {
		p.Wait()
	}
	events := r.Stop().OK().Events()
	find := func(want clitest.Event) {
		t.Helper()
		if !slices.ContainsFunc(events, func(e clitest.Event) bool {
			for k, v := range want {
				if e[k] != v {
					return false
				}
			}
			return true
		}) {
			t.Errorf("no %v among %v", want, events)
		}
	}
	find(clitest.Event{"event": "t:sock:inet_sock_set_state", "newstate": "TCP_SYN_SENT", "daddr": "127.0.0.1", "dport": port})
	find(clitest.Event{"event": "t:syscalls:sys_enter_connect", "fd": c, "addrlen": unix.SizeofSockaddrInet4, "pid": os.Getpid()})
	find(clitest.Event{"event": "t:sched:sched_process_fork", "parent_pid": events[0]["tid"], "pid": os.Getpid()})
}

// summary is the line about a pattern.
func summary(t *testing.T, stderr, pattern string) (probed, matched int, refused string) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(pattern) + `: (\d+) of (\d+) \w+ probed(?:; (.*))?$`).FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("nothing about %s in %s", pattern, stderr)
	}
	probed, _ = strconv.Atoi(m[1])
	matched, _ = strconv.Atoi(m[2])
	return probed, matched, m[3]
}

// TestProbePatterns probes all functions that match: with their names, and with
// those fields that they have, at entry and return.
func TestProbePatterns(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	r := clitest.Start(t, "probe", "--format", "json", "udp_s*", "inet_send* size", "udp_send*%return len ret=$retval:errno", "--pid", fmt.Sprint(os.Getpid()))
	definitions := definitions(t)
	for i := range 3 {
		if err := unix.Sendto(fd, make([]byte, 100+i), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	res := r.Stop().OK()
	count := map[any]int{}
	for _, e := range res.Events() {
		count[e["event"]]++
		switch e["event"] {
		case "inet_sendmsg":
			if size, _ := e["size"].(int); size < 100 || size > 102 {
				t.Errorf("%v", e)
			}
		case "udp_sendmsg%return":
			if size, _ := e["len"].(int); size < 100 || size > 102 || e["ret"] != size {
				t.Errorf("%v", e)
			}
		}
	}
	if count["inet_sendmsg"] != 3 || count["udp_sendmsg"] != 3 || count["udp_sendmsg%return"] != 3 {
		t.Errorf("%v", count)
	}
	probed, matched, _ := summary(t, res.Stderr, "udp_s*")
	if probed < 3 || matched < probed {
		t.Errorf("%d of %d: %s", probed, matched, res.Stderr)
	}
	probed, matched, refused := summary(t, res.Stderr, "udp_send*%return")
	if probed < 1 || matched <= probed || !strings.Contains(refused, "cannot give len") {
		t.Errorf("%d of %d: %s", probed, matched, res.Stderr)
	}
	if strings.Contains(res.Stderr, "cannot be had") {
		t.Errorf("more than one line for what a pattern cannot have: %s", res.Stderr)
	}
	// Functions of one pattern share a definition where the kernel can do that.
	events := map[string]int{}
	for _, line := range definitions {
		events[strings.Fields(line)[0]]++
	}
	if shared := len(events) < len(definitions); shared != (testkernel.Since("5.4")() == nil) {
		t.Errorf("%d places in %d events", len(definitions), len(events))
	}
	nothingLeft(t)
}

// TestProbeTraced probes so many functions that the function tracer records
// them, beside one that is probed: the same events, and nothing is left.
func TestProbeTraced(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	before := topTracer(t)
	r := clitest.Start(t, "probe", "-v", "--backend", "auto", "--format", "json", "tcp_*", "tcp_v4_connect uaddr:sockaddr", "--pid", fmt.Sprint(os.Getpid()))
	if n := len(definitions(t)); n != 1 {
		t.Errorf("%d definitions, want that of tcp_v4_connect alone", n)
	}
	for range 3 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(c, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}); err != unix.ECONNREFUSED {
			t.Errorf("connect: %v", err)
		}
		unix.Close(c)
	}
	res := r.Stop().OK()
	count := map[string]int{}
	for _, e := range res.Events() {
		name, _ := e["event"].(string)
		if e["port"] != nil {
			name += " with its address"
		}
		count[name]++
		if !strings.HasPrefix(name, "tcp_") || e["pid"] != nil && e["pid"] != os.Getpid() {
			t.Errorf("%v", e)
		}
	}
	for _, want := range []string{"tcp_v4_connect", "tcp_v4_connect with its address", "tcp_close"} {
		if count[want] != 3 {
			t.Errorf("%s: %d times, want 3", want, count[want])
		}
	}
	probed, matched, _ := summary(t, res.Stderr, "tcp_*")
	if probed < 50 || matched < probed || !strings.Contains(res.Stderr, fmt.Sprintf("tcp_*: %d functions by the function tracer", probed)) {
		t.Errorf("%d of %d: %s", probed, matched, res.Stderr)
	}
	if after := topTracer(t); after != before {
		t.Errorf("the system's own tracer was changed:\n%s\n%s", before, after)
	}
	nothingLeft(t)
}

// TestProbePatternWhere filters by the name of the event too.
func TestProbePatternWhere(t *testing.T) {
	needs(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	r := clitest.Start(t, "probe", "--format", "json", "udp*_sendmsg len", "--pid", fmt.Sprint(os.Getpid()), "--where", `event == "udp_sendmsg" && len == 7`)
	for _, size := range []int{6, 7, 8} {
		if err := unix.Sendto(fd, make([]byte, size), 0, discard4); err != nil {
			t.Fatal(err)
		}
	}
	if events := r.Stop().OK().Events(); len(events) != 1 || events[0]["len"] != 7 || events[0]["event"] != "udp_sendmsg" {
		t.Errorf("%v", events)
	}
}

// TestProbeTracepointPattern counts the system calls of a process by name.
func TestProbeTracepointPattern(t *testing.T) {
	needs(t)
	fd := udpSocket(t, unix.AF_INET)
	r := clitest.Start(t, "probe", "--format", "json", "t:syscalls:sys_enter_*sockopt", "t:syscalls:sys_*_getsockname fd", "t:syscalls:sys_exit_getpp* ret", "--pid", fmt.Sprint(os.Getpid()))
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	unix.Getppid()
	res := r.Stop().OK()
	count := map[any]int{}
	for _, e := range res.Events() {
		count[e["event"]]++
		if e["event"] == "t:syscalls:sys_exit_getppid" && e["ret"] != os.Getppid() {
			t.Errorf("%v", e)
		}
	}
	if count["t:syscalls:sys_enter_setsockopt"] != 1 || count["t:syscalls:sys_enter_getsockopt"] != 0 || count["t:syscalls:sys_exit_getppid"] != 1 {
		t.Errorf("%v", count)
	}
	if probed, matched, refused := summary(t, res.Stderr, "t:syscalls:sys_*_getsockname"); probed != 1 || matched != 2 || !strings.Contains(refused, "cannot give fd") {
		t.Errorf("%d of %d: %s", probed, matched, refused)
	}
}

// TestProbeTracepointArguments shows the arguments of a system call: an int that is
// recorded in eight bytes, and a text of which only the address is recorded.
func TestProbeTracepointArguments(t *testing.T) {
	needs(t)
	const probe = "t:syscalls:sys_enter_unlinkat"
	r := clitest.Start(t, "probe", "--format", "json", probe, "--where", "dfd == -100 && flag == 0", "--pid", fmt.Sprint(os.Getpid()))
	for range 2 {
		if err := unix.Unlinkat(unix.AT_FDCWD, "/no/such/file", 0); err != unix.ENOENT {
			t.Fatal(err)
		}
		if err := unix.Unlinkat(-1, "no/such/file", 0); err != unix.EBADF {
			t.Fatal(err)
		}
	}
	events := r.Stop().OK().Events()
	if len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
	for _, e := range events {
		if address, _ := e["pathname"].(string); e["dfd"] != unix.AT_FDCWD || !strings.HasPrefix(address, "0x") || len(address) < 6 {
			t.Errorf("%v", e)
		}
	}
	if testkernel.Since("6.1")() == nil {
		probeBad(2, probe+" pathname:ustring", "event probes cannot follow a pointer to text; probe the function that is given it").run(t)
	}
}

// TestProbeModulePattern probes the functions of a module.
func TestProbeModulePattern(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Module("veth"))
	xmit := "veth:veth_xmit"
	if testkernel.Since("5.11")() == nil { // kernels before have no types of modules
		xmit += " dev=dev->name"
	}
	r := clitest.Start(t, "probe", "--format", "json", "veth:veth_*", xmit)
	a, b := testkernel.NetNSPair(t)
	a.Do(func() {
		c, err := net.Dial("udp", net.JoinHostPort(b.Addr4.String(), "9"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	})
	// The question for the address is sent, and sometime after it the datagram.
	r.Until("two frames are shown", func() bool { return strings.Count(r.Stdout(), `"event":"veth:veth_xmit"`) >= 2 })
	res := r.Stop().OK()
	count := map[any]int{}
	for _, e := range res.Events() {
		count[e["event"]]++
	}
	if count["veth:veth_xmit"] < 2 || count["veth:veth_newlink"] == 0 {
		t.Errorf("%v, %s", count, res.Stderr)
	}
	nothingLeft(t)
}

// TestListTracepoints lists tracepoints, and what one records.
func TestListTracepoints(t *testing.T) {
	needs(t)
	if out := clitest.Do(t, "list", "t:sock:inet_sock_set_*").OK().Stdout; out != "t:sock:inet_sock_set_state\n" {
		t.Errorf("%q", out)
	}
	out := clitest.Do(t, "vars", "t:sock:inet_sock_set_state").OK().Stdout
	for _, want := range []string{"int oldstate: TCP_ESTABLISHED 1, TCP_SYN_SENT 2, ", ", … (1", "__u8 daddr[4]\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	badCase{[]string{"vars", "t:sock:inet_sock_set_stat"}, 3, []string{"did you mean sock:inet_sock_set_state"}}.run(t)
}

func TestBadPlace(t *testing.T) {
	needs(t)
	for _, c := range []badCase{
		probeBad(2, "t:sched", "t:GROUP:EVENT"),
		probeBad(3, "t:sched:sched_swich", "no tracepoint sched:sched_swich", "did you mean sched:sched_switch?"),
		probeBad(2, "t:sched:sched_switch nxt_pid", `records no "nxt_pid"`, `did you mean "next_pid"`),
		probeBad(2, "t:sched:sched_sw!tch", "cannot be in the name of a tracepoint"),
		probeBad(3, "t:nosuch:*", "no tracepoints match"),
		probeBad(3, "zzz_nosuch_*", "no functions match"),
		probeBad(3, "veth:zzz*", "no functions match"),
		probeBad(2, "*", "more than", "narrow the pattern"),
		probeBad(2, "udp_*+4", "not in all that match"),
		probeBad(3, "udp_send* nosuchparameter", "cannot give nosuchparameter"),
		probeBad(2, "udp_sendmsg len:bytes[0]", "number of elements"),
		probeBad(2, "udp_sendmsg len:port[2]", "only bytes, text"),
		probeBad(2, "udp_sendmsg sk->__sk_common.skc_family:flags", "is no enum"),
	} {
		c.run(t)
	}
}
