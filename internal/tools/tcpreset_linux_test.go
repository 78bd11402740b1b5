package tools_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Resets are sent and received: for want of a socket, by a process that does not
// linger or leaves data unread; with whose they are and where they come from.
func TestTCPReset(t *testing.T) {
	tcpNeeds(t)
	attempts(t, tcpResets)
}

func tcpResets(t *attempt) {
	testkernel.NetNS(t)
	d := newDialer(t)
	early := d.connected(tcpFamilies[0])
	run := clitest.Start(t, "tcpreset", "--format", "json")
	type wanted struct {
		what, event string
		local, peer uint16
		pid         any
		state       any
		caller      []string // one of these
		reason      string   // from 6.10
	}
	var want []wanted
	for _, f := range tcpFamilies {
		// Nobody listens: the answer to a SYN.
		fd := d.socket(f, 0)
		own := closedPort(t, f.addr)
		if err := unix.Bind(fd, f.sockaddr(own)); err != nil {
			t.Fatal(err)
		}
		none := closedPort(t, f.addr)
		if err := unix.Connect(fd, f.sockaddr(none)); err != unix.ECONNREFUSED {
			t.Fatal(err)
		}
		unix.Close(fd)
		want = append(want,
			wanted{f.name + ", refuses", "tcp.send_reset", none.Port(), own.Port(), nil, nil, []string{"tcp_v4_rcv", "tcp_v6_rcv"}, "SK_RST_REASON_NO_SOCKET"},
			wanted{f.name + ", is refused", "tcp.receive_reset", own.Port(), none.Port(), d.pid, "SYN_SENT", []string{"tcp_rcv_synsent_state_process", "tcp_rcv_state_process"}, ""})

		// The client does not linger.
		p := d.connected(f)
		reset(p.client)
		arrived(t, p.server)
		want = append(want,
			wanted{f.name + ", does not linger", "tcp.send_reset", p.from.Port(), p.to.Port(), d.pid, "CLOSE", []string{"tcp_disconnect"}, ""},
			wanted{f.name + ", of a client that does not linger", "tcp.receive_reset", p.to.Port(), p.from.Port(), d.pid, "ESTABLISHED", []string{"tcp_validate_incoming", "tcp_rcv_established"}, ""})
		unix.Close(p.server)

		// The server leaves data unread.
		p = d.connected(f)
		if _, err := unix.Write(p.client, []byte("unread")); err != nil {
			t.Fatal(err)
		}
		arrived(t, p.server)
		unix.Close(p.server)
		arrived(t, p.client)
		want = append(want,
			wanted{f.name + ", leaves data unread", "tcp.send_reset", p.to.Port(), p.from.Port(), d.pid, "CLOSE", []string{"__tcp_close", "tcp_close"}, "SK_RST_REASON_TCP_ABORT_ON_CLOSE"},
			wanted{f.name + ", of a server that leaves data unread", "tcp.receive_reset", p.from.Port(), p.to.Port(), d.pid, "ESTABLISHED", []string{"tcp_validate_incoming", "tcp_rcv_established"}, ""})
		unix.Close(p.client)
	}
	// A connection of before tracing belongs to who closes it. The other end was
	// not used since.
	reset(early.client)
	arrived(t, early.server)
	want = append(want,
		wanted{"from before tracing", "tcp.send_reset", early.from.Port(), early.to.Port(), d.pid, "CLOSE", []string{"tcp_disconnect"}, ""},
		wanted{"from before tracing, the other end", "tcp.receive_reset", early.to.Port(), early.from.Port(), nil, "ESTABLISHED", []string{"tcp_validate_incoming", "tcp_rcv_established"}, ""})
	unix.Close(early.server)

	events := run.Stop().OK().Events()
	for _, w := range want {
		i := slices.IndexFunc(events, func(e clitest.Event) bool {
			return e["event"] == w.event && e["lport"] == int(w.local) && e["rport"] == int(w.peer)
		})
		if i < 0 {
			t.Errorf("%s: not shown", w.what)
			continue
		}
		e := events[i]
		events = slices.Delete(events, i, i+1)
		family := "inet"
		if strings.HasPrefix(w.what, "inet6") || strings.HasPrefix(w.what, "mapped") && w.state != nil {
			family = "inet6"
		}
		addr := "127.0.0.1"
		if strings.HasPrefix(w.what, "inet6") {
			addr = "::1"
		}
		caller, _, _ := strings.Cut(fmt.Sprint(e["caller"]), "+")
		if e["pid"] != w.pid || e["state"] != w.state || e["family"] != family || e["laddr"] != addr || e["raddr"] != addr || !slices.Contains(w.caller, caller) {
			t.Errorf("%s: %v; want pid %v, state %v, family %v, address %s, caller %v", w.what, e, w.pid, w.state, family, addr, w.caller)
		}
		if has := testkernel.Since("6.12")() == nil && w.event == "tcp.send_reset" && !clitest.Calibrated(); has && w.reason != "" && e["reason"] != w.reason || !has && e["reason"] != nil {
			t.Errorf("%s: reason %v, want %s", w.what, e["reason"], w.reason)
		}
	}
	for _, e := range events {
		t.Errorf("shown although nobody did it: %v", e)
	}
}

// A program is refused by another host; only what is asked for is shown.
func TestTCPResetPrograms(t *testing.T) {
	tcpNeeds(t)
	testkernel.Needs(t, testkernel.Program("nc"))
	a, b := testkernel.NetNSPair(t)
	attempts(t, func(t *attempt) {
		run := clitest.Start(t, "tcpreset", "--format", "json", "--received", "--rport", "81", "--netns", a.Path())
		a.Do(func() {
			for _, port := range []string{"81", "82"} {
				testkernel.Start(t, nil, "nc", "-z", b.Addr6.String(), port).Wait()
			}
		})
		events := run.Stop().OK().Events()
		if len(events) != 1 || events[0]["comm"] != "nc" || events[0]["raddr"] != b.Addr6.String() || events[0]["netns"] != int(a.Inode()) {
			t.Errorf("%v", events)
		}
	})
}
