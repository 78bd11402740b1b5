package tools_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A connection has the name for which its process was told the address, or
// which another one was told; that of an address nobody asked for has none.
func TestTCPConnectNames(t *testing.T) {
	tcpNeeds(t)
	udpNeeds(t)
	testkernel.Needs(t, testkernel.Program("curl"))
	testkernel.NetNS(t)
	nameServer(t, "127.0.0.1:53", func(q dnsmessage.Message) *dnsmessage.Message {
		question := q.Questions[0]
		head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
		answer := func(body dnsmessage.ResourceBody) {
			q.Answers = append(q.Answers, dnsmessage.Resource{Header: head, Body: body})
		}
		v4 := netip.MustParseAddr("127.0.0.7").As4()
		switch name := question.Name.String(); {
		case name == "six.test." && question.Type == dnsmessage.TypeAAAA:
			answer(&dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()})
		case (name == "four.test." || name == "other.test.") && question.Type == dnsmessage.TypeA:
			answer(&dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("real.test.")})
			head.Name = dnsmessage.MustNewName("real.test.")
			answer(&dnsmessage.AResource{A: [4]byte{127, 0, 0, 8}})
			answer(&dnsmessage.AResource{A: v4})
		}
		return &q
	})
	l, four := listen(t, "0.0.0.0:0")
	hangUp(l)
	l, six := listen(t, "[::1]:0")
	hangUp(l)
	run := clitest.Start(t, "tcpconnect", "-d", "--format", "json")
	curl := func(host string, to netip.AddrPort) int {
		command := asking(t, "127.0.0.1", "curl", "-s", "-m", "60", fmt.Sprintf("http://%s:%d/", host, to.Port()))
		cmd := exec.Command(command[0], command[1:]...)
		_ = cmd.Run() // nobody speaks HTTP there
		return cmd.Process.Pid
	}
	asks := []struct {
		what string
		pid  int
		want clitest.Event
	}{
		{"an address that nobody asked for", curl("127.0.0.9", four), clitest.Event{"raddr": "127.0.0.9", "name": nil}},
		{"a name of IPv4", curl("four.test", four), clitest.Event{"rport": int(four.Port()), "name": "four.test"}},
		{"another name of the address", curl("other.test", four), clitest.Event{"rport": int(four.Port()), "name": "other.test"}},
		{"the address itself", curl("127.0.0.7", four), clitest.Event{"raddr": "127.0.0.7", "name": "other.test"}},
		{"a name of IPv6", curl("six.test", six), clitest.Event{"raddr": "::1", "rport": int(six.Port()), "name": "six.test"}},
	}
	events := run.Stop().OK().Events()
	for _, a := range asks {
		found := clitest.Select(events, a.want.With("event", "tcp.connected", "pid", a.pid))
		if len(found) != 1 {
			t.Errorf("%s: %d events with %v; those of the process: %v", a.what, len(found), a.want, clitest.Select(events, clitest.Event{"pid": a.pid}))
		}
	}
}

// hangUp accepts connections and ends them.
func hangUp(l *net.TCPListener) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}
