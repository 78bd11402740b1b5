package tools_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A TCP connection goes through its states, at both ends, in either family,
// by the tracepoint (on any kernel) and by tcp_set_state (with kprobes).
func TestTCPStates(t *testing.T) {
	t.Run("tracepoint", func(t *testing.T) {
		testkernel.Needs(t, testkernel.Root)
		t.Setenv("SKPROBE_DIALECT", "") // where there is no such tracepoint
		testTCPStates(t, "tracepoint sock:inet_sock_set_state")
	})
	t.Run("function", func(t *testing.T) {
		udpNeeds(t)
		t.Setenv("SKPROBE_TRACEPOINTS", "no")
		testTCPStates(t, "tcp_set_state")
	})
}

func testTCPStates(t *testing.T, how string) {
	for _, network := range []string{"tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) { attempts(t, func(t *attempt) { tcpStates(t, how, network) }) })
	}
}

func tcpStates(t *attempt, how, network string) {
	run := clitest.Start(t, "tcpstates", "-v", "--format", "json")
	server, client, addr := connection(t, network, 150*time.Millisecond)
	ended := run.Stop().OK()
	if !strings.Contains(ended.Stderr, how) {
		t.Fatalf("not by %s:\n%s", how, ended.Stderr)
	}
	events := ended.Events()
	family := map[string]string{"tcp4": "inet", "tcp6": "inet6"}[network]

	// The state in which a socket was before, and for how long, is
	// told from its second change on.
	path := func(lport, rport int) (states []string, waited float64) {
		for _, e := range events {
			if e["lport"] != lport || e["rport"] != rport || e["newstate"] == "LISTEN" {
				continue
			}
			if e["family"] != family || e["laddr"] != addr || e["raddr"] != addr || e["pid"] != nil || e["c_comm"] == nil {
				t.Errorf("%v", e)
			}
			states = append(states, fmt.Sprint(e["oldstate"], " ", e["newstate"]))
			if ms, ok := e["duration_ms"].(float64); ok && e["oldstate"] == "ESTABLISHED" {
				waited = ms
			}
		}
		return states, waited
	}
	passive, waited := path(server, client)
	want := []string{"SYN_RECV ESTABLISHED", "ESTABLISHED CLOSE_WAIT", "CLOSE_WAIT LAST_ACK", "LAST_ACK CLOSE"}
	if !slices.Equal(tail(passive, 4), want) {
		t.Errorf("the server's end: %q, want %q", passive, want)
	}
	if waited < 150 {
		t.Errorf("the server's end was established for %v ms, at least 150 in truth", waited)
	}
	active, _ := path(client, server)
	want = []string{"SYN_SENT ESTABLISHED", "ESTABLISHED FIN_WAIT1", "FIN_WAIT1 FIN_WAIT2"}
	if len(active) < 3 || !slices.Equal(active[:3], want) {
		t.Errorf("the client's end: %q, want %q first", active, want)
	}
}

func tail(s []string, n int) []string { return s[max(0, len(s)-n):] }

// connection makes a connection on the loopback, holds it for a time, and closes
// the client's end first. It returns the ports.
func connection(t testing.TB, network string, hold time.Duration) (server, client int, addr string) {
	t.Helper()
	addr = map[string]string{"tcp4": "127.0.0.1", "tcp6": "::1"}[network]
	l, err := net.Listen(network, net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(hold)
	c.Close()
	s.SetReadDeadline(time.Now().Add(patience))
	s.Read(make([]byte, 1))
	s.Close()
	return l.Addr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port, addr
}
