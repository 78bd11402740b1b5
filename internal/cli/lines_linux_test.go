package cli_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// debugKernel is a vmlinux of the running kernel with debug information, which
// `make test-dwarf` gives the guest.
func debugKernel(t *testing.T) string {
	t.Helper()
	file := os.Getenv("SKPROBE_DEBUG_VMLINUX")
	if file == "" {
		t.Skip("make test-dwarf gives the guest the debug information that this needs")
	}
	needs(t)
	return file
}

// TestLinesVars lists what lives at places of the source.
func TestLinesVars(t *testing.T) {
	vmlinux := debugKernel(t)
	for place, says := range map[string][]string{
		"udp_sendmsg:3":             {"udp_sendmsg at net/ipv4/udp.c:", "struct msghdr *msg", "size_t len", "struct flowi4 fl4_stack", "optimised out here; alive at lines "},
		"__sys_sendto:33":           {"%di at entry int fd\n", "at entry: as __sys_sendto was called; "},
		"tcp_rcv_established%step5": {"tcp_rcv_established at net/ipv4/tcp_input.c:", "struct tcp_sock *tp"},
		"tcp_data_snd_check":        {"tcp_data_snd_check at net/ipv4/tcp_input.c:", ", inlined into tcp_rcv_established\n", ", inlined into tcp_rcv_state_process\n", "struct sock *sk"},
	} {
		out := clitest.Do(t, "vars", "--vmlinux", vmlinux, place).OK().Stdout
		t.Logf("%s\n%s", place, out)
		for _, s := range says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: no %q", place, s)
			}
		}
	}
	for place, says := range map[string]string{
		"udp_sendmsg%nolabel": "there are back_from_confirm, do_append_data, do_confirm, out, out_free",
		"udp_sendmsg:99999":   "; the last is at line ",
		"net/ipv4/nope.c:1":   "no code of such a file",
	} {
		badCase{[]string{"vars", "--vmlinux", vmlinux, place}, 3, []string{says}}.run(t)
	}
	badCase{[]string{"probe", "--vmlinux", vmlinux, "udp_sendmsg:3 daddr"}, 2, []string{"daddr: optimised out here; alive at lines "}}.run(t)
}

// TestLinesLocals reads variables in the middle of functions, and checks them
// against what was sent.
func TestLinesLocals(t *testing.T) {
	vmlinux := debugKernel(t)
	testkernel.NetNS(t)
	fd := udpSocket(t, unix.AF_INET)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	port := localPort(t, fd)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	tcpPort := server.Addr().(*net.TCPAddr).Port

	r := clitest.Start(t, "probe", "--format", "json", "--vmlinux", vmlinux,
		"udp_sendmsg:3 len lport=inet->sk.__sk_common.skc_num dport=usin->sin_port:port",
		"__sys_sendto:33 fd len",
		"tcp_rcv_established%step5 lport=sk->__sk_common.skc_num len",
		"tcp_data_snd_check lport=sk->__sk_common.skc_num")
	for range 50 {
		if err := unix.Sendto(fd, make([]byte, 321), 0, discard4); err != nil {
			t.Fatal(err)
		}
		talk(t, server)
		if seen(r, `"event":"udp_sendmsg:3"`) && seen(r, `"event":"tcp_rcv_established%step5"`) && seen(r, `"event":"tcp_data_snd_check"`) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	res := r.Stop().OK()
	if !strings.Contains(res.Stderr, "tcp_data_snd_check: ") || !strings.Contains(res.Stderr, " places probed") {
		t.Errorf("how many places are probed is not told:\n%s", res.Stderr)
	}
	events := res.Events()
	for _, want := range []clitest.Event{
		{"event": "udp_sendmsg:3", "len": 321, "lport": port, "dport": 9, "pid": os.Getpid()},
		{"event": "__sys_sendto:33", "len": 321, "fd": fd, "pid": os.Getpid()},
		{"event": "tcp_rcv_established%step5", "lport": tcpPort},
		{"event": "tcp_data_snd_check", "lport": tcpPort},
	} {
		if len(clitest.Select(events, want)) == 0 {
			t.Errorf("no event has %v", want)
		}
	}
	if t.Failed() {
		t.Log(res.Stdout)
	}
}

// TestLinesGraph draws the calls of the functions of a file of the kernel, and of one
// of a module.
func TestLinesGraph(t *testing.T) {
	vmlinux := debugKernel(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Module("dummy"))
	testkernel.NetNS(t)
	files := map[string]int{"fs/eventfd.c": 5, "dummy:net/dummy.c": 5}
	r := clitest.Start(t, "graph", "--vmlinux", vmlinux, "--format", "json", "fs/eventfd.c", "dummy:net/dummy.c")
	for range 3 {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	if out, err := exec.Command("ip", "link", "add", "dummy7", "type", "dummy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	res := r.Stop().OK()
	calls := callsOf(res)
	if calls["__x64_sys_eventfd2>do_eventfd"] < 3 || calls[">dummy:dummy_setup"] != 1 || calls[">dummy:dummy_dev_init"] != 1 {
		t.Errorf("%v", calls)
	}
	for file, least := range files {
		if probed, matched, _ := summary(t, res.Stderr, file); probed < least || matched < probed {
			t.Errorf("%s: %d of %d", file, probed, matched)
		}
	}
	badCase{[]string{"graph", "--vmlinux", vmlinux, "net/ipv4/nosuch.c"}, 3, []string{"net/ipv4/nosuch.c: ", "no code of such a file"}}.run(t)
	badCase{[]string{"graph", "--vmlinux", vmlinux, "core.c"}, 3, []string{"core.c: there are several files of the name", "give more of the path"}}.run(t)
}

// TestLinesNearest probes the statement after a line that has none.
func TestLinesNearest(t *testing.T) {
	vmlinux := debugKernel(t)
	testkernel.NetNS(t)
	out := clitest.Do(t, "vars", "--vmlinux", vmlinux, "udp_sendmsg:0").OK().Stdout
	_, at, _ := strings.Cut(out, " at net/ipv4/udp.c:")
	var line int
	if _, err := fmt.Sscan(strings.SplitN(at, ",", 2)[0], &line); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	place := fmt.Sprintf("net/ipv4/udp.c:%d", line-1) // before the function
	r := clitest.Start(t, "probe", "--format", "json", "--vmlinux", vmlinux, place+" len", "--pid", fmt.Sprint(os.Getpid()))
	if err := send("127.0.0.1:9", 77); err != nil {
		t.Fatal(err)
	}
	res := r.Stop().OK()
	_, said, _ := strings.Cut(res.Stderr, place+": no statement begins there; the next is at line ")
	var next int
	if _, err := fmt.Sscan(said, &next); err != nil || next < line || next > line+3 {
		t.Errorf("which line is probed is not told:\n%s", res.Stderr)
	}
	if events := res.Events(); len(events) != 1 || events[0]["len"] != 77 {
		t.Errorf("%v", events)
	}
}

// TestLinesCookbook runs the entries of the cookbook that need debug information,
// which is where its package puts it.
func TestLinesCookbook(t *testing.T) {
	vmlinux := debugKernel(t)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	const dir = "/usr/lib/debug/boot"
	installed := dir + "/vmlinux-" + unix.ByteSliceToString(uts.Release[:])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(vmlinux, installed); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(installed) // of which TestLinesWithout must see nothing
	cookAll(t, func(r *recipe) bool { return r.debuginfo })
}

// talk sends some bytes over a connection, both ways.
func talk(t *testing.T, server net.Listener) {
	t.Helper()
	c, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := make([]byte, 10)
	for _, way := range [][2]net.Conn{{c, s}, {s, c}} {
		if _, err := way[0].Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := way[1].Read(b); err != nil {
			t.Fatal(err)
		}
	}
}

func localPort(t *testing.T, fd int) int {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa.(*unix.SockaddrInet4).Port
}

func seen(r *clitest.Run, text string) bool { return strings.Contains(r.Stdout(), text) }

// TestLinesWithout has no debug information.
func TestLinesWithout(t *testing.T) {
	needs(t)
	for _, place := range []string{"udp_sendmsg:3", "udp_sendmsg%out", "net/ipv4/udp.c:1000"} {
		probeBad(3, place+" len", place+": lines, labels and inlined functions need debug information", "install the debug package", "looked for /usr/lib/debug/").run(t)
		badCase{[]string{"vars", place}, 3, []string{"need debug information"}}.run(t)
	}
	badCase{[]string{"graph", "net/ipv4/udp.c"}, 3, []string{"net/ipv4/udp.c: the functions of a file need debug information", "install the debug package"}}.run(t)
}
