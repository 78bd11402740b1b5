package tools_test

import (
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A pair is a connection whose two ends are here.
type pair struct {
	d              *dialer
	f              family
	client, server int
	from, to       netip.AddrPort
	sent           [2]int // bytes of payload, by the client and by the server
}

// connected makes a connection.
func (d *dialer) connected(f family) *pair {
	d.t.Helper()
	l, to := d.rawListener(f, f.addr)
	defer unix.Close(l)
	p := &pair{d: d, f: f, to: to, client: d.socket(f, 0)}
	if err := unix.Connect(p.client, f.sockaddr(to)); err != nil {
		d.t.Fatal(err)
	}
	p.from = d.local(p.client)
	var err error
	if p.server, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC); err != nil {
		d.t.Fatal(err)
	}
	return p
}

// send sends bytes from an end (0: the client) to the other, which reads them.
func (p *pair) send(end, size int) {
	p.d.t.Helper()
	fds := [2]int{p.client, p.server}
	chunk := make([]byte, 32<<10)
	for p.sent[end] += size; size > 0; {
		n, err := unix.Write(fds[end], chunk[:min(size, len(chunk))])
		if err != nil {
			p.d.t.Fatal(err)
		}
		for size -= n; n > 0; {
			got, err := unix.Read(fds[1-end], chunk[:n])
			if err != nil || got == 0 {
				p.d.t.Fatal(got, err)
			}
			n -= got
		}
	}
}

// end reads the end of the connection.
func (p *pair) end(fd int) {
	p.d.t.Helper()
	if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
		p.d.t.Fatalf("instead of the end: %d bytes, %v", n, err)
	}
}

// reset closes an end without a FIN.
func reset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// lives are the two ends of a connection as they were shown.
func (p *pair) lives(what string, events []clitest.Event) (client, server clitest.Event) {
	p.d.t.Helper()
	n := 0
	for _, e := range events {
		switch {
		case e["event"] != "tcp.life":
		case e["lport"] == int(p.from.Port()) && e["rport"] == int(p.to.Port()):
			client = e
			n++
		case e["lport"] == int(p.to.Port()) && e["rport"] == int(p.from.Port()):
			server = e
			n++
		}
	}
	if n < 2 && p.d.missed != nil {
		p.d.missed[what] = true
		return nil, nil
	}
	if n != 2 || client == nil || server == nil {
		p.d.t.Errorf("%s: %d events: %v, %v", what, n, client, server)
		return nil, nil
	}
	none := func(v any) bool { return v == nil || v == clitest.Unknown }
	for i, e := range []clitest.Event{client, server} {
		switch bytes := (clitest.Event{"tx_bytes": p.sent[i], "rx_bytes": p.sent[1-i]}); {
		case e.Has(bytes):
		case p.d.missed != nil && none(e["tx_bytes"]) && none(e["rx_bytes"]):
			p.d.missed[fmt.Sprintf("%s: end %d", what, i)] = true
		default:
			p.d.t.Errorf("%s: end %d: tx %v, rx %v; want %d, %d: %v", what, i, e["tx_bytes"], e["rx_bytes"], p.sent[i], p.sent[1-i], e)
		}
		if e["pid"] != p.d.pid || e["comm"] != p.d.comm || e["family"] != p.f.column() || e["laddr"] != p.f.addr.String() || e["raddr"] != p.f.addr.String() {
			p.d.t.Errorf("%s: end %d: %v", what, i, e)
		}
	}
	return client, server
}

// states fails the test where the last states of the ends are others.
func states(t *testing.T, what string, client, server clitest.Event, want ...string) {
	t.Helper()
	if client == nil {
		return
	}
	if got := fmt.Sprint(client["last_state"], " ", server["last_state"]); got != want[0] {
		t.Errorf("%s: %s, want %s", what, got, want[0])
	}
}

// Bytes are exact at both ends, whoever closes first and however, in each family,
// also those of a connection that was there before tracing.
func TestTCPLifeBytes(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	// The kernel misses a probe where an interrupt comes in the middle of another; what it missed is not shown, but the next time.
	if missed := lifeBytes(t); len(missed) > 0 {
		again := lifeBytes(t)
		for what := range missed {
			if again[what] {
				t.Errorf("%s: not shown, twice", what)
			}
		}
	}
}

// lifeBytes tests it once, and returns the connections that were not shown, and the ends that were shown without bytes.
func lifeBytes(t *testing.T) map[string]bool {
	t.Helper()
	d := newDialer(t)
	d.missed = map[string]bool{}
	var early []*pair
	for _, f := range tcpFamilies {
		p := d.connected(f)
		p.send(0, 1000)
		p.send(1, 1)
		early = append(early, p)
	}
	run := clitest.Start(t, "tcplife", "--format", "json")
	type check func(events []clitest.Event)
	var checks []check
	for i, f := range tcpFamilies {
		for _, sizes := range [][2]int{{0, 0}, {1, 0}, {0, 70000}, {300000, 12345}} {
			what := fmt.Sprint(f.name, " ", sizes)
			exchange := func() *pair {
				p := d.connected(f)
				p.send(0, sizes[0])
				p.send(1, sizes[1])
				return p
			}
			first := exchange()
			unix.Close(first.client)
			first.end(first.server)
			unix.Close(first.server)

			last := exchange()
			unix.Close(last.server)
			last.end(last.client)
			unix.Close(last.client)

			both := exchange()
			unix.Shutdown(both.client, unix.SHUT_WR)
			both.end(both.server)
			both.send(1, 500) // to the end that has sent its FIN
			unix.Close(both.server)
			both.end(both.client)
			unix.Close(both.client)

			killed := exchange()
			reset(killed.client)
			if _, err := unix.Read(killed.server, make([]byte, 1)); err != unix.ECONNRESET {
				t.Errorf("%s: %v instead of a reset", what, err)
			}
			unix.Close(killed.server)

			checks = append(checks, func(events []clitest.Event) {
				c, s := first.lives(what+", closed by the client", events)
				states(t, what, c, s, "FIN_WAIT2 LAST_ACK")
				c, s = last.lives(what+", closed by the server", events)
				states(t, what, c, s, "LAST_ACK FIN_WAIT2")
				c, s = both.lives(what+", half closed", events)
				states(t, what, c, s, "FIN_WAIT2 LAST_ACK")
				if c, s = killed.lives(what+", reset", events); c != nil && (s["error"] != -int(unix.ECONNRESET) || c["error"] != 0) {
					t.Errorf("%s, reset: errors %v, %v", what, c["error"], s["error"])
				}
				states(t, what, c, s, "ESTABLISHED ESTABLISHED")
				for _, e := range []clitest.Event{c, s} {
					if e != nil {
						between(t, what, e["duration_ms"], 0, 60e3)
					}
				}
				if c != nil && (c["opened"] != "active" || s["opened"] != "passive") {
					t.Errorf("%s: %v, %v", what, c["opened"], s["opened"])
				}
			})
		}
		p := early[i]
		p.send(0, 2000)
		p.send(1, 100000)
		unix.Close(p.client)
		p.end(p.server)
		unix.Close(p.server)
		checks = append(checks, func(events []clitest.Event) {
			c, s := p.lives(f.name+", from before tracing", events)
			for _, e := range []clitest.Event{c, s} {
				if e != nil && (e["duration_ms"] != nil || e["opened"] != nil) {
					t.Errorf("%s, from before tracing: %v", f.name, e)
				}
			}
		})
	}
	events := run.Stop().OK().Events()
	for _, check := range checks {
		check(events)
	}
	return d.missed
}

// Connections that never came about, one that a process of its own had, and how
// long they lived.
func TestTCPLifeEnds(t *testing.T) {
	tcpNeeds(t)
	testkernel.Needs(t, testkernel.Program("nc"), testkernel.Program("curl"))
	attempts(t, lifeEnds)
}

func lifeEnds(t *attempt) {
	a, b := testkernel.NetNSPair(t)
	var open netip.AddrPort
	b.Do(func() { open = serveHTTP(t, "[::]:0") })
	a.Do(func() {
		d := newDialer(t)
		run := clitest.Start(t, "tcplife", "--format", "json", "--netns", a.Path())
		f := tcpFamilies[0]
		closed := netip.AddrPortFrom(b.Addr4, 1)
		fd := d.socket(f, 0)
		if err := unix.Connect(fd, f.sockaddr(closed)); err != unix.ECONNREFUSED {
			t.Fatal(err)
		}
		unix.Close(fd)
		const held = 300 * time.Millisecond
		fd = d.socket(f, 0)
		if err := unix.Connect(fd, f.sockaddr(netip.AddrPortFrom(b.Addr4, open.Port()))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(held)
		unix.Close(fd)
		soon(run, []clitest.Event{{"pid": d.pid, "rport": int(open.Port())}}) // with the server's last FIN
		curl := testkernel.Start(t, nil, "curl", "--silent", "http://"+netip.AddrPortFrom(b.Addr6, open.Port()).String())
		if err := curl.Wait(); err != nil || curl.Output() != "hello\n" {
			t.Errorf("curl: %v, %q", err, curl.Output())
		}
		soon(run, []clitest.Event{{"pid": curl.Pid}})
		events := run.Stop().OK().Events()
		if len(events) != 3 {
			t.Errorf("%v", events)
			return
		}
		refused, mine, curls := events[0], events[1], events[2]
		if refused["pid"] != d.pid || refused["rport"] != 1 || refused["last_state"] != "SYN_SENT" || refused["duration_ms"] != nil ||
			!refused.Has(clitest.Event{"tx_bytes": 0, "rx_bytes": 0, "error": -int(unix.ECONNREFUSED)}) {
			t.Errorf("refused: %v", refused)
		}
		between(t, "mine", mine["duration_ms"], float64(held.Milliseconds()), 60e3)
		if curls["pid"] != curl.Pid || curls["comm"] != "curl" || curls["raddr"] != b.Addr6.String() || curls["netns"] != int(a.Inode()) {
			t.Errorf("curl: %v", curls)
		}
		between(t, "what curl sent", curls["tx_bytes"], 50, 1000)
		between(t, "what curl received", curls["rx_bytes"], 50, 1000)

		// One that was there before tracing belongs to who closes it.
		nc := testkernel.Start(t, testkernel.Prints("succeeded"), "nc", "-v", b.Addr4.String(), fmt.Sprint(open.Port()))
		run = clitest.Start(t, "tcplife", "--format", "json", "-D", fmt.Sprint(open.Port()))
		nc.Signal(unix.SIGTERM)
		nc.Wait()
		soon(run, []clitest.Event{{}})
		events = run.Stop().OK().Events()
		if d := os.Getenv("SKPROBE_DIALECT"); len(events) == 1 && events[0]["comm"] == nil && (d == "3.10" || d == "4.4") {
			events[0]["comm"] = "nc" // which no probe can fetch before 4.7 ($comm), and who has it has ended
		}
		if len(events) != 1 || events[0]["pid"] != nc.Pid || events[0]["comm"] != "nc" || events[0]["duration_ms"] != nil || !events[0].Has(clitest.Event{"tx_bytes": 0}) {
			t.Errorf("nc: %v", events)
		}
	})
}

// A thousand short connections, each with bytes of its own number, are all shown
// at both ends, though their sockets have the same addresses again and again.
func TestTCPLifeMany(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	d := newDialer(t)
	f := tcpFamilies[1]
	fd, at := d.rawListener(f, f.addr)
	t.Cleanup(func() { unix.Close(fd) })
	run := clitest.Start(t, "tcptracer", "--format", "json", "--pid", fmt.Sprint(os.Getpid()))
	var pairs []*pair
	for i := range 1000 {
		p := &pair{d: d, f: f, to: at, client: d.socket(f, 0)}
		if err := unix.Connect(p.client, f.sockaddr(at)); err != nil {
			t.Fatal(err)
		}
		p.from = d.local(p.client)
		var err error
		if p.server, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		p.send(0, i)
		p.send(1, 2*i)
		if i%2 == 0 {
			unix.Close(p.client)
			p.end(p.server)
			unix.Close(p.server)
		} else {
			unix.Close(p.server)
			p.end(p.client)
			unix.Close(p.client)
		}
		pairs = append(pairs, p)
	}
	events := run.Stop().OK().Events()
	count := map[any]int{}
	for _, e := range events {
		count[e["event"]]++
	}
	for _, name := range []string{"tcp.connected", "tcp.accept"} {
		if count[name] != len(pairs) {
			t.Errorf("%d %s", count[name], name)
		}
	}
	byPorts := map[[2]any][]clitest.Event{}
	for _, e := range events {
		ports := [2]any{min(e["lport"].(int), e["rport"].(int)), max(e["lport"].(int), e["rport"].(int))}
		byPorts[ports] = append(byPorts[ports], e)
	}
	missed := 0
	for i, p := range pairs {
		ports := [2]any{int(min(p.from.Port(), p.to.Port())), int(max(p.from.Port(), p.to.Port()))}
		// A port may be used again when its connection has ended: one after the
		// other, each with two beginnings and two ends.
		each := min(4, len(byPorts[ports]))
		mine := byPorts[ports][:each:each]
		byPorts[ports] = byPorts[ports][each:]
		for _, e := range mine {
			if e["event"] == "tcp.life" && e["tx_bytes"] == nil && e["rx_bytes"] == nil {
				missed++ // by the kernel, and it says so
				mine = nil
			}
		}
		if mine != nil {
			p.lives(fmt.Sprint("connection ", i), mine)
		}
	}
	if missed > len(pairs)/10 {
		t.Errorf("%d ends without bytes", missed)
	}
	t.Logf("%d of %d ends without bytes", missed, 2*len(pairs))
}
