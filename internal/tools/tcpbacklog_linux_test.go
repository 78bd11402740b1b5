package tools_test

import (
	"encoding/csv"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A socket with room for three connections has them. A fourth client sends its
// SYN again and again, until one is accepted.
func TestTCPBacklog(t *testing.T) {
	needsKprobes(t)
	attempts(t, tcpBacklog)
}

func tcpBacklog(t *attempt) {
	testkernel.NetNS(t)
	table := clitest.Start(t, "tcpbacklog", "--format", "csv")
	histogram := clitest.Start(t, "tcpsynbl", "--format", "json")
	run := clitest.Start(t, "tcpbacklog", "--format", "json")
	wire := listenWire(t)
	l := listenTCP(t, loopback["inet"], 2)
	for n := range uint32(3) {
		dial(t, l.local)
		until(t, "the connection is in the queue", func() bool { return l.unacked() == n+1 })
	}
	began := time.Now()
	late := dial(t, l.local)
	var syns []segment
	until(t, "three SYNs are sent", func() bool {
		syns = append(syns, synsOf(wire.segments(), late)...)
		return len(syns) >= 3
	})
	accepted := time.Since(began)
	l.accept()
	// The client is connected before its last packet has come.
	until(t, "its connection is in the queue", func() bool { return l.unacked() == 3 })
	took := time.Since(began)
	syns = append(syns, synsOf(wire.segments(), late)...)
	l.close()
	events := run.Stop().OK().Events()

	common := clitest.Event{"pid": os.Getpid(), "family": "inet", "laddr": "127.0.0.1", "lport": int(l.local.Port()),
		"raddr": "127.0.0.1", "rport": int(late.local.Port()), "accept_limit": 2, "syn_queue": 0}
	var want []clitest.Event
	for i := range syns {
		if i < len(syns)-1 {
			want = append(want, clitest.Event{"event": "syn", "syns": i + 1, "accept_queue": 3, "answer": "none"},
				clitest.Event{"event": "overflow", "accept_queue": 3, "queue": "accept"})
		} else {
			want = append(want, clitest.Event{"event": "syn", "syns": i + 1, "accept_queue": 2, "answer": "syn-ack"},
				clitest.Event{"event": "established", "syns": i + 1, "accept_queue": 2, "syn_queue": 1})
		}
	}
	var got []clitest.Event
	for _, e := range events {
		if e["rport"] == int(late.local.Port()) {
			got = append(got, e)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		for key, v := range common {
			if _, own := want[i][key]; !own {
				want[i][key] = v
			}
		}
		if !got[i].Has(want[i]) {
			t.Errorf("event %d: %v, want %v", i, got[i], want[i])
		}
	}
	ms, _ := got[len(got)-1]["duration_ms"].(float64)
	// From the first SYN on, which softirq may have got late, until after there was room.
	if d := time.Duration(ms * 1e6); d > took+time.Millisecond || d < accepted-2*time.Second {
		t.Errorf("it took %v, in truth more than %v, and %v at most", d, accepted, took)
	}
	last := clitest.Event{}
	if len(events) > 0 {
		last = events[len(events)-1]
	}
	if sum := (clitest.Event{"event": "listener", "pid": os.Getpid(), "laddr": "127.0.0.1", "lport": int(l.local.Port()), "syn_queue": 1, "accept_queue": 3,
		"accept_limit": 2, "syns": 3 + len(syns), "connections": 4, "overflows": len(syns) - 1}); !last.Has(sum) {
		t.Errorf("at the end: %v, want %v", last, sum)
	}
	if n := counter(t, "TcpExt:ListenOverflows"); n != len(syns)-1 {
		t.Errorf("%d overflows shown, %d counted by the kernel", len(syns)-1, n)
	}

	if rows := histogram.Stop().OK().Events(); len(rows) != 1 || !rows[0].Has(clitest.Event{"accept_limit": 2, "count": 3 + len(syns)}) {
		t.Errorf("tcpsynbl: %v, want %d SYNs", rows, 3+len(syns))
	}
	rows, err := csv.NewReader(strings.NewReader(table.Stop().OK().Stdout)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := "time,event,cpu,pid,tid,comm,family,laddr,lport,raddr,rport,syn_queue,accept_queue,accept_limit,answer,queue,syns,connections,overflows,duration_ms"
	if got := strings.Join(rows[0], ","); got != head {
		t.Errorf("CSV: %s", got)
	}
	if len(rows)-1 != len(events) {
		t.Errorf("CSV: %d lines, and %d events", len(rows)-1, len(events))
	}
}

// synsOf are the SYNs that a socket has sent.
func synsOf(all []segment, s *tcpSocket) (list []segment) {
	for _, x := range all {
		if x.flags&(syn|ack) == syn && x.src.Port() == s.local.Port() {
			list = append(list, x)
		}
	}
	return list
}

// All other ways in which connections come to nothing, or nevertheless to
// something.
func TestTCPBacklogQueues(t *testing.T) {
	needsKprobes(t)
	for name, test := range map[string]func(t *attempt, wire *wire) []clitest.Event{
		"last packet": lateLastPacket, "syn queue": fullSynQueue, "cookie": cookies, "namespace": manyRequests,
	} {
		t.Run(name, func(t *testing.T) { attempts(t, func(t *attempt) { backlogQueue(t, test) }) })
	}
}

func backlogQueue(t *attempt, test func(t *attempt, wire *wire) []clitest.Event) {
	testkernel.NetNS(t)
	run := clitest.Start(t, "tcpbacklog", "--format", "json")
	want := test(t, listenWire(t))
	drops := counter(t, "TcpExt:ListenDrops")
	lost := 0
	var last clitest.Event
	events := run.Stop().OK().Events()
	after := counter(t, "TcpExt:ListenDrops")
	for _, e := range events {
		if e["event"] == "overflow" || e["event"] == "drop" {
			lost++
			if last["rport"] == e["rport"] && last["event"] == "syn" && last["answer"] != "none" {
				t.Errorf("%v after %v", e, last)
			}
		}
		last = e
		for i := range want {
			if want[i] != nil && e.Has(want[i]) {
				want[i] = nil
				break
			}
		}
	}
	for _, w := range want {
		if w != nil {
			t.Errorf("not shown: %v", w)
		}
	}
	// A client may try again while skprobe ends.
	if lost < drops || lost > after {
		t.Errorf("%d overflows and drops shown, %d to %d counted by the kernel", lost, drops, after)
	}
}

// lateLastPacket lets the accept queue become full while two handshakes wait for
// their last packets.
func lateLastPacket(t *attempt, wire *wire) []clitest.Event {
	l := listenTCP(t, loopback["inet6"], 2)
	for n := range uint32(2) {
		dial(t, l.local)
		until(t, "the connection is in the queue", func() bool { return l.unacked() == n+1 })
	}
	a, b := dialDeaf(t, l.local), dialDeaf(t, l.local)
	answered := map[uint16]bool{}
	until(t, "both SYNs are answered", func() bool {
		for _, s := range wire.segments() {
			if s.flags&(syn|ack) == syn|ack {
				answered[s.dst.Port()] = true
			}
		}
		return answered[a.local.Port()] && answered[b.local.Port()]
	})
	a.deaf(false)
	b.deaf(false)
	until(t, "a last packet is dropped", func() bool { return counter(t, "TcpExt:ListenOverflows") > 0 })
	for range 4 {
		l.accept()
	}
	return []clitest.Event{
		{"event": "overflow", "family": "inet6", "raddr": "::1", "queue": "accept", "accept_queue": 3, "accept_limit": 2},
		{"event": "established", "rport": int(a.local.Port()), "raddr": "::1"},
		{"event": "established", "rport": int(b.local.Port()), "raddr": "::1"},
		{"event": "listener", "connections": 4, "accept_queue": 3, "family": "inet6", "laddr": "::1"},
	}
}

// fullSynQueue fills the other queue, without syncookies.
func fullSynQueue(t *attempt, _ *wire) []clitest.Event {
	sysctl(t, "net.ipv4.tcp_syncookies", "0")
	l := listenTCP(t, loopback["inet"], 2)
	for range 4 {
		dialDeaf(t, l.local)
	}
	until(t, "a SYN is dropped", func() bool { return counter(t, "TcpExt:ListenDrops") > 0 })
	return []clitest.Event{{"event": "syn", "answer": "syn-ack", "syn_queue": 0}, {"event": "syn", "answer": "syn-ack", "syn_queue": 1},
		{"event": "overflow", "queue": "syn", "accept_queue": 0, "accept_limit": 2}}
}

// cookies answer SYNs while the queue is full; the listening socket hears both
// families.
func cookies(t *attempt, _ *wire) []clitest.Event {
	l := listenTCP(t, netip.MustParseAddrPort("[::]:0"), 1)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.local.Port())
	for range 3 {
		dialDeaf(t, to)
	}
	testkernel.Delivered(t) // the next SYN may be sent on another CPU
	c := dial(t, to)
	until(t, "there is a connection", c.isConnected)
	l.accept()
	common := clitest.Event{"family": "inet6", "laddr": "127.0.0.1", "raddr": "127.0.0.1", "rport": int(c.local.Port()), "syns": 1}
	if clitest.Calibrated() { // whether it is a cookie is not known
		return []clitest.Event{common.With("event", "syn", "answer", "syn-ack")}
	}
	return []clitest.Event{common.With("event", "syn", "answer", "cookie"), common.With("event", "established")}
}

// manyRequests are more than tcp_max_syn_backlog allows to clients that are not
// known, though the queue has room.
func manyRequests(t *attempt, _ *wire) []clitest.Event {
	sysctl(t, "net.ipv4.tcp_syncookies", "0")
	sysctl(t, "net.ipv4.tcp_max_syn_backlog", "4")
	l := listenTCP(t, loopback["inet"], 100)
	for range 6 {
		dialDeaf(t, l.local)
	}
	until(t, "a SYN is dropped", func() bool { return counter(t, "TcpExt:ListenDrops") > 0 })
	return []clitest.Event{
		{"event": "syn", "answer": "syn-ack"},
		{"event": "syn", "answer": "none", "accept_limit": 100},
		{"event": "drop", "syn_queue": 4, "accept_limit": 100},
	}
}
