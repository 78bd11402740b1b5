package tools_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// What is sent again in all ways that there are is what a packet socket sees
// twice, and what the kernel's counters say.
func TestTCPRetrans(t *testing.T) {
	needsKprobes(t)
	for family, addr := range loopback {
		t.Run(family, func(t *testing.T) { attempts(t, func(t *attempt) { tcpRetrans(t, family, addr) }) })
	}
}

func tcpRetrans(t *attempt, family string, addr netip.AddrPort) {
	testkernel.NetNS(t)
	args := []string{"tcpretrans", "--format", "json"}
	if !clitest.Calibrated() { // in which tcp_sock.tlp_high_seq is not sought
		args = append(args, "--loss-probes")
	}
	run := clitest.Start(t, args...)
	wire := listenWire(t)
	sendAgain(t, addr)
	events := run.Stop().OK().Events()
	segs, probes := counter(t, "Tcp:RetransSegs"), counter(t, "TcpExt:TCPLossProbes")

	segments := wire.segments()
	events = slices.DeleteFunc(events, func(e clitest.Event) bool { return !ofWire(segments, e) })
	want := sentAgain(segments, true)
	var got []string
	types := map[any]int{}
	for _, e := range events {
		types[e["type"]]++
		if e["family"] == nil && e["type"] == "syn-ack" && clitest.Calibrated() {
			e["family"] = family // the tracepoint of old kernels does not have it
		}
		if e["pid"] != os.Getpid() || e["family"] != family {
			t.Errorf("not ours: %v", e)
		}
		if e["seq"] != nil {
			got = append(got, fmt.Sprint(flowOf(e), " seq ", e["seq"]))
		}
		state := map[any]any{"retransmit": "ESTABLISHED", "loss-probe": "ESTABLISHED", "syn": "SYN_SENT"}[e["type"]]
		if e["state"] != state && e["type"] != "syn-ack" {
			t.Errorf("state %v, want %v: %v", e["state"], state, e)
		}
		if e["type"] == "retransmit" && !e.Has(clitest.Event{"ca_state": "Loss"}) {
			t.Errorf("after a timeout: %v", e)
		}
	}
	slices.Sort(got)
	if testkernel.Symbol("__tcp_retransmit_skb.part.0")() == nil && !clitest.Calibrated() {
		// The compiler has split the function that has a loss probe's seq at
		// hand: it is not called.
		for _, e := range clitest.Select(events, clitest.Event{"type": "loss-probe", "seq": nil}) {
			got = append(got, fmt.Sprint(flowOf(e), " seq ", lastSeq(want, flowOf(e))))
		}
		slices.Sort(got)
	}
	if clitest.Calibrated() {
		segs, probes = segs-probes, 0
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("segments seen twice (-), shown (+)\n%s", diff)
	}
	if len(got) != segs || types["loss-probe"] != probes {
		t.Errorf("%d segments of %d, %d loss probes of %d", len(got), segs, types["loss-probe"], probes)
	}
	for _, typ := range []string{"retransmit", "syn", "syn-ack"} {
		if types[typ] == 0 {
			t.Errorf("no %s: %v", typ, types)
		}
	}
}

// ofWire tells whether an event is of a flow that was seen on the wire: sockets
// that other tests have left, in their own namespaces, may go on.
func ofWire(segments []segment, e clitest.Event) bool {
	flow := flowOf(e)
	return slices.ContainsFunc(segments, func(s segment) bool {
		return flow == fmt.Sprint(s.src.Addr(), " ", s.src.Port(), " > ", s.dst.Addr(), " ", s.dst.Port())
	})
}

// lastSeq is the highest sequence number of a flow in what sentAgain returns.
func lastSeq(segments []string, flow string) string {
	last := ""
	for _, s := range segments {
		if seq, ok := strings.CutPrefix(s, flow+" seq "); ok {
			last = seq
		}
	}
	return last
}

// Without kprobes tracepoints tell all but sequence numbers and owners.
func TestTCPRetransTracepoint(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs)
	t.Setenv("SKPROBE_KPROBES", "no")
	t.Setenv("SKPROBE_DIALECT", "") // where there is no such tracepoint
	// Retransmissions happen in softirq, often of an idle CPU. A running machine
	// (6.18) was seen on which perf records no softirq of one CPU's idle task,
	// while tracefs does.
	t.Setenv("SKPROBE_BACKEND", "tracefs")
	testkernel.NetNS(t)
	run := clitest.Start(t, "tcpretrans", "-v", "--format", "json")
	wire := listenWire(t)
	sendAgain(t, loopback["inet"])
	ended := run.Stop().OK()
	if !strings.Contains(ended.Stderr, "tracepoint tcp:tcp_retransmit_skb") {
		t.Errorf("not by the tracepoint:\n%s", ended.Stderr)
	}
	var got []string
	segments := wire.segments()
	for _, e := range ended.Events() {
		if !ofWire(segments, e) {
			continue
		}
		if e["pid"] != nil || e["state"] == nil && e["type"] != "syn-ack" {
			t.Errorf("%v", e)
		}
		got = append(got, flowOf(e))
	}
	slices.Sort(got)
	if diff := cmp.Diff(sentAgain(segments, false), got); diff != "" {
		t.Errorf("segments seen twice (-), shown (+)\n%s", diff)
	}
}

// sendAgain makes the kernel send again data, SYNs and SYN-ACKs, and leaves
// nothing that it would send once more.
func sendAgain(t testing.TB, addr netip.AddrPort) {
	t.Helper()
	l := listenTCP(t, addr, 10)
	client := dial(t, l.local)
	server := l.accept()
	server.deaf(true)
	if _, err := unix.Write(client.fd, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	until(t, "data is sent again", func() bool { return counter(t, "Tcp:RetransSegs") >= 3 })
	server.deaf(false)
	until(t, "the data is acknowledged", func() bool { return client.unacked() == 0 })

	l.deaf(true)
	late := dial(t, l.local)
	until(t, "a SYN is sent again", func() bool { return counter(t, "TcpExt:TCPSynRetrans") >= 1 })
	l.deaf(false)
	until(t, "it is heard", late.isConnected)

	hushed := dialDeaf(t, l.local)
	n := counter(t, "TcpExt:TCPSynRetrans")
	until(t, "a SYN-ACK is sent again", func() bool { return counter(t, "TcpExt:TCPSynRetrans") >= n+2 })
	hushed.deaf(false)
	until(t, "it is heard", hushed.isConnected)
	// A listener sends a SYN-ACK again until it has a socket for the connection,
	// which may be a little after the client has its own.
	l.accept()
	l.accept()
}

// dialDeaf begins to connect from a socket that hears nothing.
func dialDeaf(t testing.TB, to netip.AddrPort) *tcpSocket {
	t.Helper()
	s := newTCP(t, to.Addr())
	s.deaf(true)
	if err := unix.SetNonblock(s.fd, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(s.fd, sockaddrOf(to)); err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	return s.look()
}

// sentAgain are those segments with a SYN, a FIN or data that were seen before:
// their flows, and if wanted their sequence numbers.
func sentAgain(all []segment, seq bool) []string {
	var again []string
	seen := map[segment]bool{}
	for _, s := range all {
		if s.flags&(syn|fin) == 0 && s.payload == 0 {
			continue
		}
		key := segment{src: s.src, dst: s.dst, seq: s.seq}
		if seen[key] {
			what := fmt.Sprint(s.src.Addr(), " ", s.src.Port(), " > ", s.dst.Addr(), " ", s.dst.Port())
			if seq {
				what += fmt.Sprint(" seq ", s.seq)
			}
			again = append(again, what)
		}
		seen[key] = true
	}
	slices.Sort(again)
	return again
}

// Real programs on a line that loses packets: what is shown of one of two is
// its own, and all that its host's counter has.
func TestTCPRetransPrograms(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("nc"), testkernel.Program("tc"), testkernel.Program("ip"), testkernel.Module("sch_netem"))
	a, b := testkernel.NetNSPair(t)
	command := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	run := clitest.Start(t, "tcpretrans", "--format", "json", "--netns", a.Path())
	flows := clitest.Start(t, "tcpretrans", "-c", "--format", "json", "--netns", a.Path())
	b.Do(func() {
		for family, port := range map[int]uint16{4: 5001, 6: 5002} {
			testkernel.Start(t, testkernel.Listens("tcp", port), "sh", "-c", fmt.Sprintf("exec nc -%d -l -p %d >/dev/null", family, port))
		}
	})
	sends := func(addr netip.Addr, port int) *testkernel.Process {
		return testkernel.Start(t, nil, "sh", "-c", fmt.Sprintf("exec nc -N %s %d <%s", addr, port, file))
	}
	var four, six *testkernel.Process
	counters := func() (segs, probes int) {
		a.Do(func() { segs, probes = counter(t, "Tcp:RetransSegs"), counter(t, "TcpExt:TCPLossProbes") })
		return segs, probes
	}
	a.Do(func() {
		// One segment in a packet, so that there are as many of both.
		command("ip", "link", "set", "dev", a.Dev, "gso_max_segs", "1")
		command("tc", "qdisc", "add", "dev", a.Dev, "root", "netem", "loss", "10%")
		four, six = sends(b.Addr4, 5001), sends(b.Addr6, 5002)
		for _, p := range []*testkernel.Process{four, six} {
			if err := p.Wait(); err != nil {
				t.Errorf("nc: %v", err)
			}
		}
	})
	segs, probes := counters()
	events := run.Stop().OK().Events()
	most, _ := counters()
	shown := 0
	reasons, perFlow := map[any]int{}, map[string]int{}
	for _, e := range events {
		from, to, pid := a.Addr4, 5001, four.Pid
		if e["family"] == "inet6" {
			from, to, pid = a.Addr6, 5002, six.Pid
		}
		if e["laddr"] != from.String() || e["rport"] != to || e["pid"] != pid || e["comm"] != "nc" || e["netns"] != int(a.Inode()) {
			t.Errorf("of whom is %v", e)
		}
		shown++
		perFlow[flowOf(e)]++
		reasons[e["ca_state"]]++
	}
	counted := map[string]int{}
	for _, e := range flows.Stop().OK().Events() {
		counted[flowOf(e)] = e["count"].(int)
	}
	if diff := cmp.Diff(perFlow, counted); diff != "" {
		t.Errorf("of each flow (-shown +counted)\n%s", diff)
	}
	// A loss probe that sends the last segment again is not shown without -l.
	if shown > most || shown < segs-probes || segs == 0 {
		t.Errorf("%d segments shown, sent again: %d to %d, among them up to %d loss probes", shown, segs, most, probes)
	}
	if reasons["Recovery"] == 0 && !clitest.Calibrated() {
		t.Errorf("no fast retransmit: %v", reasons)
	}
}
