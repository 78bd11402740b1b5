package tools_test

import (
	"encoding/json"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// What is delivered is no drop, nor are the parts of a packet, nor is what was
// never a packet.
func TestDropNot(t *testing.T) {
	dropNeeds(t)
	testkernel.Needs(t, testkernel.Program("ip"))
	ns := testkernel.NetNS(t)
	shell(t, "ip link set lo mtu 1500")
	run := clitest.Start(t, "drop", "--format", "json", "--with", "netns")
	server, err := net.ListenPacket("udp", "127.0.0.1:5001")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("udp", "127.0.0.1:5001")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b := make([]byte, 1<<16)
	for _, size := range []int{1, 1000, 6000, 60000} { // the last two in fragments
		if _, err := client.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if n, _, err := server.ReadFrom(b); err != nil || n != size {
			t.Fatalf("%d of %d, %v", n, size, err)
		}
	}
	talkTCP(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fds[0], []byte("nobody reads this")); err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[0])
	unix.Close(fds[1])
	// A datagram in fragments that nobody wants is one packet.
	lost, err := net.Dial("udp", "127.0.0.1:5002")
	if err != nil {
		t.Fatal(err)
	}
	defer lost.Close()
	if _, err := lost.Write(make([]byte, 6000)); err != nil {
		t.Fatal(err)
	}
	var udp []clitest.Event
	for _, e := range run.Stop().OK().Events() {
		switch where := e["netns"]; {
		case where != nil && where != clitest.Unknown && where != int(ns.Inode()): // what other tests have left
		case e["proto"] == "udp":
			udp = append(udp, e)
		case e["saddr"] == "127.0.0.1" || e["saddr"] == nil:
			t.Errorf("shown: %v", e)
		}
	}
	if len(udp) != 1 || !udp[0].Has(clitest.Event{"dport": 5002, "len": 6008, "dev": "lo"}) {
		t.Errorf("of the datagrams are shown: %v", udp)
	}
}

// talkTCP has a conversation in which nothing is lost.
func talkTCP(t testing.TB) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, half := range [][2]net.Conn{{client, c}, {c, client}} {
		if _, err := half[0].Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if n, err := half[1].Read(make([]byte, 1000)); err != nil || n != 100 {
			t.Fatal(n, err)
		}
	}
	// The server closes first, and does not look whether the client has.
	c.Close()
	client.Close()
}

// The pointer to the device shares its place with the tree in which TCP keeps
// what came too early: no device must be made of that.
func TestDropNoDevice(t *testing.T) {
	dropNeeds(t)
	if err := tcpDrops(t); err != nil {
		t.Skip(err) // then such a packet is not shown
	}
	a, b := testkernel.NetNSPair(t)
	var out *sender
	a.Do(func() { out = newSender(t, a.Dev) })
	b.Do(func() {
		i, err := net.InterfaceByName(b.Dev)
		if err != nil {
			t.Fatal(err)
		}
		attempts(t, func(t *attempt) {
			l := &loser{TB: t, sender: out, smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x56, 0}, dmac: i.HardwareAddr, src: a.Addr4.String(), dst: b.Addr4.String(), from: a}
			run := clitest.Start(t, "drop", "--format", "json", "--where", "dport == 4100 && len > 0")
			c := connect(l, 4100)
			for n := range 12 {
				c.again(func(s *layers.TCP) { s.Seq += uint32(1000 + n*5%12*100) })
			}
			// What has all of that in it takes their place.
			c.payload = make([]byte, 1400)
			c.again(func(s *layers.TCP) { s.Seq += 900 })
			events := run.Stop().OK().Events()
			early := 0
			for _, e := range events {
				if dev, there := e["dev"]; there && dev != "veth1" {
					t.Errorf("device %q: %v", dev, e)
				}
				if e["smac"] == l.smac.String() {
					early++
				}
			}
			if early < 12 {
				t.Errorf("%d of 12 segments are shown: %v", early, events)
			}
		})
	})
}

// The counters are those of ip -s link, also of a device in another namespace.
func TestDropCounters(t *testing.T) {
	dropNeeds(t)
	testkernel.Needs(t, testkernel.Program("sleep"))
	a, b := testkernel.NetNSPair(t)
	b.Do(func() { testkernel.Start(t, nil, "sleep", "100") }) // a namespace without processes and without a name cannot be found
	run := clitest.Start(t, "drop", "--format", "json", "--counters", "--where", `ethertype == "0x88b5"`)
	var out *sender
	a.Do(func() { out = newSender(t, a.Dev) })
	const n = 7
	for i := range byte(n) {
		f := frame{smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x57, i}, dmac: net.HardwareAddr{255, 255, 255, 255, 255, 255}, ethertype: 0x88b5, payload: make([]byte, 46)}
		out.send(f.bytes(t))
		time.Sleep(20 * time.Millisecond)
	}
	events := run.Stop().OK().Events()
	if len(events) != n {
		t.Fatalf("%d of %d events: %v", len(events), n, events)
	}
	var link []struct {
		Stats struct {
			Rx struct{ Dropped int }
			Tx struct{ Dropped int }
		} `json:"stats64"`
	}
	b.Do(func() {
		text, err := exec.Command("ip", "-s", "-j", "link", "show", b.Dev).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &link); err != nil || len(link) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
	})
	before := 0
	for i, e := range events {
		rx, _ := e["rx_dropped"].(int)
		if rx < before || rx < i+1 || !e.Has(clitest.Event{"dev": b.Dev, "netns": int(b.Inode()), "rx_nohandler": 0, "tx_dropped": link[0].Stats.Tx.Dropped}) {
			t.Errorf("drop %d: %v", i+1, e)
		}
		before = rx
	}
	if before != link[0].Stats.Rx.Dropped {
		t.Errorf("the last says %d, ip -s link %d", before, link[0].Stats.Rx.Dropped)
	}
}

// One namespace of two, and what was dropped there in short.
func TestDropSummary(t *testing.T) {
	dropNeeds(t)
	a, b := testkernel.NetNSPair(t)
	run := clitest.Start(t, "drop", "--format", "json", "--summary", "--netns", b.Path(), "--where", "dport > 6000 || ethertype == \"0x88b5\"")
	say := func(to string) {
		c, err := net.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	b.Do(func() {
		for range 3 {
			say("127.0.0.1:6001")
		}
	})
	a.Do(func() {
		say("127.0.0.1:6002") // not shown
		f := frame{smac: net.HardwareAddr{2, 0, 0x5e, 0, 0x58, 0}, dmac: net.HardwareAddr{255, 255, 255, 255, 255, 255}, ethertype: 0x88b5, payload: make([]byte, 46)}
		newSender(t, a.Dev).send(f.bytes(t))
	})
	rows := run.Stop().OK().Events()
	want := []clitest.Event{{"count": 3, "dev": "lo", "proto": "udp"}, {"count": 1, "dev": "veth1"}}
	reasons := []string{"NO_SOCKET", "UNHANDLED_PROTO"}
	if len(rows) != len(want) {
		t.Fatalf("%v", rows)
	}
	for i, w := range want {
		if hasReasons(t) {
			w["reason"] = reasons[i]
		}
		if !rows[i].Has(w) || rows[i]["location"] == nil {
			t.Errorf("%v, want %v", rows[i], w)
		}
	}
}
