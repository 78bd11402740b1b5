package tools_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// one returns the only event that has all of want.
func one(t *testing.T, what string, events []clitest.Event, want clitest.Event) clitest.Event {
	t.Helper()
	found := clitest.Select(events, want)
	if len(found) != 1 {
		t.Errorf("%s: %d events with %v, not one", what, len(found), want)
		return clitest.Event{}
	}
	return found[0]
}

// Whatever asks, and however: its question is shown with its answer, at the client and at the server, in either family.
func TestDNSPrograms(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("dnsmasq"), testkernel.Program("dig"), testkernel.Program("drill"), testkernel.Program("getent"))
	testkernel.NetNS(t)
	server := testkernel.Start(t, testkernel.Listens("udp", 53), "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--bind-interfaces", "--interface=lo", "--address=/example.test/192.0.2.7", "--user=root")
	run := clitest.Start(t, "dns", "--queries", "--format", "json", "--strict")
	type client struct {
		pid    int
		server string
	}
	clients := map[string]client{
		"dig.example.test":   {testkernel.Start(t, testkernel.Prints("192.0.2.7"), "dig", "+time=60", "+short", "@127.0.0.1", "dig.example.test").Pid, "127.0.0.1"},
		"dig6.example.test":  {testkernel.Start(t, testkernel.Prints("192.0.2.7"), "dig", "+time=60", "+short", "@::1", "dig6.example.test").Pid, "::1"},
		"drill.example.test": {testkernel.Start(t, testkernel.Prints("192.0.2.7"), "drill", "-Q", "@127.0.0.1", "drill.example.test").Pid, "127.0.0.1"},
		"libc.example.test":  {getent(t, "libc.example.test").Pid, "127.0.0.1"},
		// The test's own binary is static, and asks by itself.
		"go.example.test": {testkernel.Start(t, testkernel.Prints("192.0.2.7"), clitest.Link(t, "resolve"), "127.0.0.1:53", "go.example.test.").Pid, "127.0.0.1"},
	}
	// dnsmasq refuses what it does not know.
	dig(t, "+time=60", "@127.0.0.1", "elsewhere.test", "MX")
	events := run.Stop().OK().Events()
	for name, c := range clients {
		question := one(t, name, events, clitest.Event{"event": "dns.query", "role": "client", "name": name, "type": "A"})
		if question["pid"] != c.pid || question["raddr"] != c.server || question["rport"] != 53 || question["rcode"] != nil || question["comm"] == nil {
			t.Errorf("%v, by process %d", question, c.pid)
		}
		want := clitest.Event{"event": "dns.answer", "role": "client", "name": name, "type": "A", "pid": c.pid, "id": question["id"], "raddr": c.server, "rport": 53,
			"laddr": c.server, "lport": question["lport"], "rcode": "NOERROR", "answer": "192.0.2.7", "answers": 1, "tries": 1}
		answer := one(t, name, events, want)
		server := one(t, name+" at the server", events, clitest.Event{"event": "dns.answer", "role": "server", "name": name, "type": "A", "pid": server.Pid, "comm": "dnsmasq",
			"id": question["id"], "raddr": c.server, "rport": question["lport"], "lport": 53, "rcode": "NOERROR", "answer": "192.0.2.7"})
		whole, _ := answer["latency_ms"].(float64)
		if part, _ := server["latency_ms"].(float64); part <= 0 || whole < part || whole > 60000 {
			t.Errorf("%s: the client waited %v ms, of which the server took %v", name, answer["latency_ms"], server["latency_ms"])
		}
	}
	one(t, "what is refused", events, clitest.Event{"event": "dns.answer", "role": "client", "name": "elsewhere.test", "type": "MX", "rcode": "REFUSED", "answers": 0})
	if found := clitest.Select(events, clitest.Event{"event": "dns.unanswered"}); len(found) > 0 {
		t.Errorf("not answered: %v", found)
	}
}

// resolve is a program that asks a server for the IPv4 addresses of a name, as Go programs do.
func resolve(args []string) int {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if len(args) > 2 {
			network = args[2]
		}
		return new(net.Dialer).DialContext(ctx, network, args[0])
	}}
	addrs, err := r.LookupNetIP(context.Background(), "ip4", args[1])
	fmt.Println(addrs, err)
	return 0
}

// Over TCP too, however a program sends and reads: dig and Go send a message with its length, and dig reads them so; drill and libc
// send or read the length by itself, and libc two questions at once.
func TestDNSOverTCP(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("dnsmasq"), testkernel.Program("dig"), testkernel.Program("drill"), testkernel.Program("getent"), testkernel.Program("env"))
	testkernel.NetNS(t)
	server := testkernel.Start(t, testkernel.Listens("tcp", 53), "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--bind-interfaces", "--interface=lo", "--address=/example.test/192.0.2.7", "--address=/example.test/2001:db8::7", "--user=root")
	silent, err := net.Listen("tcp", "127.0.0.1:5300") // nobody reads or answers there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	run := clitest.Start(t, "dns", "--queries", "--port", "53,5300", "--format", "json", "--strict")
	type client struct {
		pid    int
		server string
	}
	start := func(args ...string) int {
		return testkernel.Start(t, testkernel.Prints("192.0.2.7"), args[0], args[1:]...).Pid
	}
	libc := asking(t, "127.0.0.1", "env", "RES_OPTIONS=use-vc", "getent", "ahosts", "libc.example.test")
	clients := map[string]client{
		"dig.example.test":   {pid: start("dig", "+time=60", "+tcp", "+short", "@127.0.0.1", "dig.example.test"), server: "127.0.0.1"},
		"dig6.example.test":  {pid: start("dig", "+time=60", "+tcp", "+short", "@::1", "dig6.example.test"), server: "::1"},
		"drill.example.test": {pid: start("drill", "-Q", "-t", "@127.0.0.1", "drill.example.test"), server: "127.0.0.1"},
		"go.example.test":    {pid: start(clitest.Link(t, "resolve"), "127.0.0.1:53", "go.example.test.", "tcp"), server: "127.0.0.1"},
		"libc.example.test":  {pid: start(libc...), server: "127.0.0.1"},
	}
	lost := dig(t, "+time=3", "+tcp", "-p", "5300", "@127.0.0.1", "lost.example.test")
	events := run.Stop().OK().Events()

	run = clitest.Start(t, "dns", "--udp", "--format", "json", "-v")
	start("dig", "+time=60", "+tcp", "+short", "@127.0.0.1", "left-out.example.test")
	start("dig", "+time=60", "+short", "@127.0.0.1", "datagram.example.test")
	udp := run.Stop().OK()
	if strings.Contains(udp.Stderr, "tcp_sendmsg") || strings.Contains(udp.Stderr, "tcp_cleanup_rbuf") {
		t.Errorf("with --udp TCP is probed too:\n%s", udp.Stderr)
	}
	one(t, "over UDP", udp.Events(), clitest.Event{"event": "dns.answer", "role": "client", "proto": "udp", "name": "datagram.example.test"})
	if found := clitest.Select(udp.Events(), clitest.Event{"proto": "tcp"}); len(found) > 0 {
		t.Errorf("with --udp: %v", found)
	}
	if clitest.Calibrated() { // struct iov_iter is not measured
		if len(events) > 0 {
			t.Errorf("%v", events)
		}
		return
	}
	for name, c := range clients {
		types := map[string]string{"A": "192.0.2.7"}
		if name == "libc.example.test" {
			types["AAAA"] = "2001:db8::7"
		}
		for typ, addr := range types {
			both := clitest.Event{"name": name, "type": typ, "proto": "tcp"}
			client, asked := both.With("role", "client", "pid", c.pid, "raddr", c.server, "rport", 53), both.With("role", "server", "pid", server.Pid, "raddr", c.server, "lport", 53)
			var question clitest.Event
			// Before 6.4 the second question is not seen.
			if typ == "A" || testkernel.Symbol("import_ubuf")() == nil {
				question = one(t, "question of "+name, events, client.With("event", "dns.query"))
			}
			answer := one(t, "answer to "+name, events, client.With("event", "dns.answer", "rcode", "NOERROR", "answer", addr, "answers", 1))
			one(t, name+" at the server", events, asked.With("event", "dns.query", "id", answer["id"], "rport", answer["lport"]))
			part := one(t, name+" from the server", events, asked.With("event", "dns.answer", "id", answer["id"], "rport", answer["lport"], "answer", addr))
			if question == nil {
				continue
			}
			whole, _ := answer["latency_ms"].(float64)
			if ms, _ := part["latency_ms"].(float64); ms <= 0 || whole < ms || question["id"] != answer["id"] || question["lport"] != answer["lport"] {
				t.Errorf("%v is answered by %v, after %v ms at the server", question, answer, part["latency_ms"])
			}
		}
	}
	one(t, "what nobody answers", events, clitest.Event{"event": "dns.unanswered", "role": "client", "pid": lost, "name": "lost.example.test", "rport": 5300, "proto": "tcp"})
	if found := clitest.Select(events, clitest.Event{"event": "dns.unanswered"}); len(found) != 1 {
		t.Errorf("not answered: %v", found)
	}
}

// A nameServer answers as it is told, over UDP.
func nameServer(t *testing.T, addr string, answer func(q dnsmessage.Message) *dnsmessage.Message) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(b[:n]) != nil {
				continue
			}
			q.Response, q.Additionals = true, nil
			if a := answer(q); a != nil {
				if out, err := a.Pack(); err == nil {
					_, _ = c.WriteTo(out, from)
				}
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// dig asks for a name once, for a second where it is not told otherwise, and
// returns its process.
func dig(t *testing.T, args ...string) int {
	t.Helper()
	cmd := exec.Command("dig", append([]string{"+time=1", "+tries=1"}, args...)...)
	_ = cmd.Run() // it fails where there is no answer
	return cmd.Process.Pid
}

// Servers ask servers, refuse, answer much, and do not answer; on other ports than 53.
func TestDNSServers(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("dnsmasq"), testkernel.Program("dig"))
	testkernel.NetNS(t)
	upstream := nameServer(t, "127.0.0.1:5300", func(q dnsmessage.Message) *dnsmessage.Message {
		name := q.Questions[0].Name
		head := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1}
		switch name.String() {
		case "nosuch.test.":
			q.RCode = dnsmessage.RCodeNameError
		case "silent.test.":
			return nil
		case "many.test.":
			q.Answers = append(q.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("one.of.many.test.")}})
			for i := range byte(20) {
				q.Answers = append(q.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, i}}})
			}
		}
		return &q
	})
	server := testkernel.Start(t, testkernel.Listens("udp", 53), "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--bind-interfaces", "--interface=lo", "--server=127.0.0.1#5300", "--user=root")
	run := clitest.Start(t, "dns", "--port", "53,5300", "--format", "json")
	asks := map[string]int{}
	for _, name := range []string{"nosuch.test", "many.test"} {
		asks[name] = dig(t, "+time=60", "@127.0.0.1", name)
	}
	asks["silent.test"] = dig(t, "@127.0.0.1", "silent.test")
	events := run.Stop().OK().Events()
	for name, want := range map[string]clitest.Event{
		"nosuch.test": {"rcode": "NXDOMAIN", "answers": 0},
		"many.test":   {"rcode": "NOERROR", "answers": 21, "answer": "192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7"},
	} {
		want = want.With("event", "dns.answer", "name", name, "type", "A")
		one(t, name+": dig asks", events, want.With("role", "client", "pid", asks[name], "rport", 53))
		one(t, name+": dnsmasq is asked", events, want.With("role", "server", "pid", server.Pid, "lport", 53))
		one(t, name+": dnsmasq asks", events, want.With("role", "client", "pid", server.Pid, "raddr", "127.0.0.1", "rport", 5300))
		one(t, name+": we are asked", events, want.With("role", "server", "pid", os.Getpid(), "lport", int(upstream.Port())))
	}
	for what, want := range map[string]clitest.Event{
		"dig waits": {"role": "client", "pid": asks["silent.test"]}, "so does dnsmasq": {"role": "client", "pid": server.Pid},
	} {
		e := one(t, what, events, want.With("event", "dns.unanswered", "name", "silent.test"))
		if e["rcode"] != nil || e["latency_ms"] != nil || e["tries"] == nil {
			t.Errorf("%s: %v", what, e)
		}
	}
}

// Only a program and what it starts are seen where it is traced, and what --where says.
func TestDNSOnly(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("dig"))
	testkernel.NetNS(t)
	nameServer(t, "127.0.0.1:53", func(q dnsmessage.Message) *dnsmessage.Message { return &q })
	file := filepath.Join(t.TempDir(), "events")
	clitest.Do(t, "dns", "--format", "json", "-o", file, "--where", `type == "AAAA"`, "--", "dig", "+time=60", "@127.0.0.1", "a.test", "A", "b.test", "AAAA").OK()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	events, err := clitest.ParseJSON(string(text))
	if err != nil || len(events) != 1 || events[0]["name"] != "b.test" || events[0]["role"] != "client" {
		t.Errorf("%v, %v", events, err)
	}
}

// A question with IP options, where the kernel's filter cannot tell the ports, is seen too; so is one that other sockets ask with the same id.
func TestDNSOptions(t *testing.T) {
	udpNeeds(t)
	testkernel.NetNS(t)
	nameServer(t, "127.0.0.1:53", func(q dnsmessage.Message) *dnsmessage.Message { return &q })
	run := clitest.Start(t, "dns", "--format", "json")
	k := newTalk(t)
	for i, name := range []string{"options.test.", "plain.test.", "mapped.test."} {
		domain, to := unix.AF_INET, netip.MustParseAddrPort("127.0.0.1:53")
		if i == 2 {
			domain, to = unix.AF_INET6, netip.MustParseAddrPort("[::ffff:127.0.0.1]:53")
		}
		s := k.socket(domain, "")
		if i == 0 {
			if err := unix.SetsockoptString(s.fd, unix.SOL_IP, unix.IP_OPTIONS, "\x01\x01\x01\x01\x01\x01\x01\x01"); err != nil {
				t.Fatal(err)
			}
		}
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: 99}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}}
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Sendto(s.fd, b, 0, s.sockaddr(to)); err != nil {
			t.Fatal(err)
		}
		// A look at the answer is not its receipt.
		for _, flags := range []int{unix.MSG_PEEK, 0} {
			if _, _, err := unix.Recvfrom(s.fd, make([]byte, 512), flags); err != nil {
				t.Fatal(err)
			}
		}
	}
	events := run.Stop().OK().Events()
	for _, name := range []string{"options.test", "plain.test", "mapped.test"} {
		one(t, name, events, clitest.Event{"event": "dns.answer", "role": "client", "name": name, "type": "TXT", "id": 99, "raddr": "127.0.0.1", "tid": k.tid})
		one(t, name, events, clitest.Event{"event": "dns.answer", "role": "server", "name": name})
	}
}

// Multicast DNS is seen where it is asked for: a question to the group, and the answer to it.
func TestDNSMulticast(t *testing.T) {
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("ip"))
	testkernel.NetNS(t)
	for _, args := range [][]string{{"link", "set", "lo", "multicast", "on"}, {"route", "add", "224.0.0.0/4", "dev", "lo"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	listen := func() *net.UDPConn {
		c, err := net.ListenMulticastUDP("udp4", lo, group)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	message := func(response bool) []byte {
		q := dnsmessage.Question{Name: dnsmessage.MustNewName("printer.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
		m := dnsmessage.Message{Header: dnsmessage.Header{Response: response}}
		if response {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 9}}}}
		} else {
			m.Questions = []dnsmessage.Question{q}
		}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, flags := range [][]string{nil, {"--mdns"}} {
		asker := listen()
		run := clitest.Start(t, append([]string{"dns", "--queries", "--format", "json"}, flags...)...)
		if _, err := asker.WriteTo(message(false), group); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		if _, err := asker.WriteTo(message(true), group); err != nil { // the answer of somebody here
			t.Fatal(err)
		}
		asker.SetReadDeadline(time.Now().Add(10 * time.Second))
		for range 2 { // both come back
			if _, _, err := asker.ReadFrom(make([]byte, 512)); err != nil {
				t.Fatal(err)
			}
		}
		events := run.Stop().OK().Events()
		asker.Close()
		if flags == nil {
			if len(events) > 0 {
				t.Errorf("without --mdns: %v", events)
			}
			continue
		}
		one(t, "the question", events, clitest.Event{"event": "dns.query", "role": "client", "name": "printer.local", "raddr": "224.0.0.251", "rport": 5353})
		e := one(t, "the answer", events, clitest.Event{"event": "dns.answer", "role": "client", "name": "printer.local", "type": "A", "answer": "192.0.2.9"})
		if ms, _ := e["latency_ms"].(float64); ms < 5 {
			t.Errorf("the answer came after 5 ms: %v", e)
		}
	}
}
