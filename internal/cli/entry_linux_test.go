package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestEntryValues carries what a function was called with to each hit in the call.
// Without debug information there is no place inside of a function of which it is
// known what lives there, so the place is the start of one that is called meanwhile.
func TestEntryValues(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Symbol("__sys_sendmmsg"), testkernel.Symbol("inet_sendmsg"))
	testkernel.NetNS(t)
	local := func(name string, size, param int, atEntry bool) fetchargs.Local {
		return fetchargs.Local{Name: name, Type: &fetchargs.Type{Kind: fetchargs.Int, Name: "unsigned", Size: size}, AtEntry: atEntry,
			Base: fetchargs.Base{Kind: fetchargs.Register, Name: register(param)[1:]}}
	}
	inside := func(probe, caller string, locals ...fetchargs.Local) event.Source {
		src, err := event.ParseProbe(probe)
		if err != nil {
			t.Fatal(err)
		}
		src.Probes[0].Source = nil
		src.Probes[0].Spot = &event.Spot{Symbol: "udp_sendmsg", Func: "udp_sendmsg", Entry: caller, Locals: locals}
		return src
	}
	tool := &event.Tool{Name: "probe", Exact: true, Events: []event.Source{
		inside("udp_sendmsg:1 fd vlen len", "__sys_sendmmsg", local("fd", 4, 0, true), local("vlen", 4, 2, true), local("len", 8, 2, false)),
		inside("udp_sendmsg:2 sk:pointer of=((struct socket *)sock)->sk:pointer", "inet_sendmsg", local("sk", 8, 0, false), local("sock", 8, 0, true)),
	}}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	says := &stderr{armed: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := session.Run(ctx, &session.Config{Tool: tool, PIDs: []int{os.Getpid()}, Format: "json", Stdout: out, Stderr: says, Verbose: true, Backend: os.Getenv("SKPROBE_BACKEND")})
		ended <- err
	}()
	select {
	case <-says.armed:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, says.text.String())
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd := udpSocket(t, unix.AF_INET)
	sendmmsg(t, fd, 101, 102, 103)
	if err := unix.Sendto(fd, make([]byte, 104), 0, discard4); err != nil {
		t.Fatal(err)
	}
	sendmmsg(t, fd, 105, 106)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(out.Name()); err != nil || strings.Count(string(text), "\n") >= 12 {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	events, err := clitest.ParseJSON(string(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []clitest.Event{
		{"len": 101, "fd": fd, "vlen": 3}, {"len": 102, "fd": fd, "vlen": 3}, {"len": 103, "fd": fd, "vlen": 3},
		{"len": 104, "fd": nil, "vlen": nil},
		{"len": 105, "fd": fd, "vlen": 2}, {"len": 106, "fd": fd, "vlen": 2},
	}
	hits := clitest.Select(events, clitest.Event{"event": "udp_sendmsg:1"})
	if len(hits) != len(want) {
		t.Fatalf("%d hits\n%s%s", len(hits), text, says.text.String())
	}
	for i, e := range hits {
		if e["len"] != want[i]["len"] || e["fd"] != want[i]["fd"] || e["vlen"] != want[i]["vlen"] {
			t.Errorf("%v, want %v", e, want[i])
		}
	}
	hits = clitest.Select(events, clitest.Event{"event": "udp_sendmsg:2"})
	for _, e := range hits {
		if e["sk"] == nil || e["of"] != e["sk"] {
			t.Errorf("the socket of the struct socket: %v", e)
		}
	}
	for _, s := range []string{"udp_sendmsg:1: read where __sys_sendmmsg is entered: fd, vlen\n", "udp_sendmsg: 1 hits without their entry, 0 entries given up\n"} {
		if !strings.Contains(says.text.String(), s) {
			t.Errorf("%q is not told:\n%s", s, says.text.String())
		}
	}
	if len(hits) != len(want) || t.Failed() {
		t.Errorf("%d hits\n%s", len(hits), text)
	}
}

// A stderr tells when a run is armed.
type stderr struct {
	text  strings.Builder
	armed chan struct{}
}

func (s *stderr) Write(p []byte) (int, error) {
	before := strings.Contains(s.text.String(), "tracing ")
	s.text.Write(p)
	if !before && strings.Contains(s.text.String(), "tracing ") {
		close(s.armed)
	}
	return len(p), nil
}

// sendmmsg sends datagrams of some sizes in one call.
func sendmmsg(t *testing.T, fd int, sizes ...int) {
	t.Helper()
	type message struct {
		unix.Msghdr
		sent uint32
		_    [4]byte
	}
	to := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 9 << 8, Addr: [4]byte{127, 0, 0, 1}}
	var messages []message
	for _, size := range sizes {
		iov := &unix.Iovec{Base: &make([]byte, size)[0]}
		iov.SetLen(size)
		m := message{Msghdr: unix.Msghdr{Name: (*byte)(unsafe.Pointer(&to)), Namelen: unix.SizeofSockaddrInet4, Iov: iov}}
		m.SetIovlen(1)
		messages = append(messages, m)
	}
	if n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0); errno != 0 || int(n) != len(sizes) {
		t.Fatalf("sendmmsg: %d, %v", n, errno)
	}
}
