package tools_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/packet/packettest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A station is one end of a veth pair, with a packet socket that sees all.
type station struct {
	*testkernel.Namespace
	mac     net.HardwareAddr
	index   int
	capture *testkernel.Capture
	frames  []testkernel.Captured // what it saw until the end
}

func newStation(t *testing.T, n *testkernel.Namespace, setup ...string) *station {
	t.Helper()
	s := &station{Namespace: n}
	n.Do(func() {
		// A host asks for routers for seconds after a device was turned on. Where
		// there is no IPv6 there is nothing to write to.
		for _, dev := range []string{"default", n.Dev} {
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+dev+"/router_solicitations", []byte("0"), 0)
		}
		for _, args := range setup {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", args, err, out)
			}
		}
		dev, err := net.InterfaceByName(n.Dev)
		if err != nil {
			t.Fatal(err)
		}
		s.mac, s.index = dev.HardwareAddr, dev.Index
		s.capture = testkernel.NewCapture(t)
	})
	return s
}

// send sends frames as they are.
func (s *station) send(t *testing.T, frames []namedFrame) {
	t.Helper()
	s.Do(func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f.frame, 0, &unix.SockaddrLinklayer{Ifindex: s.index}); err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
		}
	})
}

// quiet waits until nothing has come or gone for a while: a device that was
// turned on tells its neighbours, on any CPU, where the order of that and of a
// beginning is not the same for all who look.
func (s *station) quiet(t *testing.T) {
	t.Helper()
	last, since := "", time.Now()
	for end := since.Add(10 * time.Second); time.Since(since) < 700*time.Millisecond && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s.Do(func() {
			counters, err := os.ReadFile("/proc/thread-self/net/dev")
			if err != nil {
				t.Fatal(err)
			}
			if now := string(counters); now != last {
				last, since = now, time.Now()
			}
		})
	}
}

// beginning is a frame after which a test begins: those before it were on their
// way when skprobe, or the packet socket, was not ready.
func beginning(from net.HardwareAddr) namedFrame {
	return namedFrame{"the beginning", append(append(bytes.Repeat([]byte{0xff}, 6), from...), 0x88, 0xb5, 1, 2, 3, 4)}
}

// ending is a frame with which a test ends: what a host gives to a device later
// may not become a frame any more.
func ending(from net.HardwareAddr) namedFrame {
	return namedFrame{"the end", append(append(bytes.Repeat([]byte{0xff}, 6), from...), 0x88, 0xb6, 1, 2, 3, 4)}
}

// untilEnd waits until the packet socket has seen the other end's last frame.
func (s *station) untilEnd(t *testing.T) {
	t.Helper()
	for last := time.Now().Add(20 * time.Second); s.find(s.frames, false, 0xb6) < 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(last) {
			t.Fatal("the end did not arrive at ", s.Dev)
		}
		s.frames = append(s.frames, s.capture.Frames()...)
	}
}

// find returns the index of a beginning or an ending on the veth, -1 for none.
func (s *station) find(frames []testkernel.Captured, outgoing bool, ethertype byte) int {
	return slices.IndexFunc(frames, func(f testkernel.Captured) bool {
		return f.Outgoing == outgoing && f.Ifindex == s.index && bytes.HasPrefix(f.Frame[12:], []byte{0x88, ethertype, 1, 2})
	})
}

// truth is what the packet socket saw of one direction on the veth, from the
// beginning to the end.
func (s *station) truth(outgoing bool) []testkernel.Captured {
	frames := s.frames[1+s.find(s.frames, outgoing, 0xb5) : s.find(s.frames, outgoing, 0xb6)]
	return slices.DeleteFunc(slices.Clone(frames), func(f testkernel.Captured) bool { return f.Outgoing != outgoing || f.Ifindex != s.index })
}

// TestPacketTruth holds what packet shows of frames of all sorts against packet
// sockets, in every header field.
func TestPacketTruth(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("ping"), testkernel.Module("8021q"), testkernel.Module("veth"))
	for _, snap := range []int{0, 400} {
		t.Run(fmt.Sprint("snap ", snap), func(t *testing.T) {
			na, nb := testkernel.NetNSPair(t)
			setup := func(n *testkernel.Namespace, addr string) *station {
				return newStation(t, n, "link set "+n.Dev+" mtu 9000", "link add link "+n.Dev+" name tagged type vlan id 100",
					"addr add "+addr+" dev tagged", "link set tagged up")
			}
			a, b := setup(na, "198.51.100.1/24"), setup(nb, "198.51.100.2/24")
			file := filepath.Join(t.TempDir(), "x.pcapng")
			args := []string{"packet", "--format", "json", "--where", `dev in ["veth0", "veth1"]`, "-w", file, "--print"}
			if snap > 0 {
				args = append(args, "--snap", fmt.Sprint(snap))
			}
			run := clitest.Start(t, args...)
			a.quiet(t)
			b.quiet(t)
			a.send(t, []namedFrame{beginning(a.mac)})
			b.send(t, []namedFrame{beginning(b.mac)})
			src4, dst4, src6, dst6 := a.Addr4.AsSlice(), b.Addr4.AsSlice(), a.Addr6.AsSlice(), b.Addr6.AsSlice()
			a.send(t, oddFrames(t, a.mac, b.mac, src4, dst4, src6, dst6))
			realTraffic(t, a, b)
			b.quiet(t)
			a.send(t, []namedFrame{ending(a.mac)})
			b.send(t, []namedFrame{ending(b.mac)})
			a.untilEnd(t)
			b.untilEnd(t)
			events := run.Stop().OK().Events()
			packets := clitest.ReadPackets(t, file)
			for _, s := range []*station{a, b} {
				s.compare(t, events, packets, snap > 0)
			}
		})
	}
}

// TestPacketLoopback does the same on lo, for which no other program is needed.
func TestPacketLoopback(t *testing.T) {
	needsKprobes(t)
	n := testkernel.NetNS(t)
	n.Dev = "lo"
	s := newStation(t, n)
	file := filepath.Join(t.TempDir(), "x.pcapng")
	run := clitest.Start(t, "packet", "--format", "json", "--where", `dev == "lo"`, "--snap", "400", "-w", file, "--print")
	home4, home6 := net.IPv4(127, 0, 0, 1), net.IPv6loopback
	odd := oddFrames(t, make([]byte, 6), make([]byte, 6), home4, home4, home6, home6)
	s.send(t, slices.Concat([]namedFrame{beginning(make([]byte, 6))}, odd, []namedFrame{ending(make([]byte, 6))}))
	s.untilEnd(t)
	s.compare(t, run.Stop().OK().Events(), clitest.ReadPackets(t, file), true)
}

// compare compares events with what the station's packet socket saw.
func (s *station) compare(t *testing.T, events []clitest.Event, packets []clitest.Packet, all bool) {
	t.Helper()
	if len(packets) != len(events) {
		t.Fatalf("%d packets of %d events", len(packets), len(events))
	}
	for _, dir := range []struct {
		event    string
		outgoing bool
	}{{"packet.rx", false}, {"packet.tx", true}} {
		var got []clitest.Event
		var written []clitest.Packet
		ended := false
		for i, e := range events {
			switch {
			case ended || e["event"] != dir.event || e["dev"] != s.Dev:
			case e["ethertype"] == "0x88b5": // the beginning
				got, written = nil, nil
			case e["ethertype"] == "0x88b6":
				ended = true
			default:
				got, written = append(got, e), append(written, packets[i])
			}
		}
		compareTruth(t, dir.event+" on "+s.Dev, got, written, s.truth(dir.outgoing), all)
	}
}

// compareTruth compares events, and the bytes that were written of them, with
// the frames that there were. Where not all bytes were recorded, fields may be
// absent, but not others.
func compareTruth(t *testing.T, what string, events []clitest.Event, packets []clitest.Packet, truth []testkernel.Captured, all bool) {
	t.Helper()
	if len(events) != len(truth) {
		t.Errorf("%s: %d events of %d frames", what, len(events), len(truth))
	}
	wrong := 0
	truth = slices.Clone(truth)
	for i := range min(len(events), len(truth)) {
		// Frames on two CPUs at once may be told in either order.
		p := packets[i]
		is := func(f testkernel.Captured) bool { return f.Size == p.Size && bytes.HasPrefix(f.Frame, p.Frame) }
		if near := truth[i:min(i+4, len(truth))]; !is(near[0]) {
			if at := slices.IndexFunc(near, is); at > 0 {
				moved := near[at]
				copy(near[1:at+1], near[:at])
				near[0] = moved
			}
		}
		e, frame := events[i], truth[i]
		if clitest.Calibrated() && p.Size == frame.Size-4 && frame.Frame[12] == 0x81 {
			// It is not known where the kernel keeps a tag beside the frame.
			frame.Frame, frame.Size = append(bytes.Clone(frame.Frame[:12]), frame.Frame[16:]...), p.Size
		}
		var bad []string
		want := packettest.Columns(frame.Frame)
		for _, name := range packettest.Names() {
			got, shown := e[name]
			w, there := want[name]
			if name == "ethertype" && frame.Frame[12] < 6 {
				continue // there is none; a driver says that it is 802.3
			}
			if shown && (!there || fmt.Sprint(got) != w) || !shown && there && all {
				bad = append(bad, fmt.Sprintf("%s is %v, want %q", name, got, w))
			}
		}
		if p.Size != frame.Size || len(p.Frame) < 14 || !bytes.HasPrefix(frame.Frame, p.Frame) || !p.Ethernet {
			bad = append(bad, fmt.Sprintf("frame of %d bytes, Ethernet %t: %x", p.Size, p.Ethernet, p.Frame))
		}
		if len(bad) > 0 {
			t.Errorf("%s, frame %d of %d bytes, %x: %s", what, i, frame.Size, frame.Frame[:min(len(frame.Frame), 100)], strings.Join(bad, "; "))
			if wrong++; wrong == 5 {
				return
			}
		}
	}
	if len(truth) < 10 {
		t.Errorf("%s: only %d frames", what, len(truth))
	}
}

// realTraffic is that of the kernel's own protocols: tagged by a VLAN device, in
// fragments, as large as TCP makes them.
func realTraffic(t *testing.T, a, b *station) {
	t.Helper()
	a.Do(func() {
		for _, to := range []string{b.Addr4.String(), b.Addr6.String(), "198.51.100.2"} {
			for _, size := range []string{"10", "8900", "20000"} {
				if out, err := exec.Command("ping", "-c", "1", "-s", size, "-W", "10", to).CombinedOutput(); err != nil {
					t.Errorf("ping -s %s %s: %v: %s", size, to, err, out)
				}
			}
		}
	})
	const size = 300_000
	var listener net.Listener
	b.Do(func() {
		var err error
		if listener, err = net.Listen("tcp", net.JoinHostPort(b.Addr4.String(), "7777")); err != nil {
			t.Fatal(err)
		}
	})
	defer listener.Close()
	received := make(chan int)
	go func() {
		n := 0
		if conn, err := listener.Accept(); err == nil {
			for buf := make([]byte, 1<<16); err == nil; {
				var m int
				m, err = conn.Read(buf)
				n += m
			}
			conn.Close()
		}
		received <- n
	}()
	var conn net.Conn
	a.Do(func() {
		var err error
		if conn, err = net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Error(err)
	}
	conn.Close()
	if n := <-received; n != size {
		t.Errorf("%d bytes were received", n)
	}
}
