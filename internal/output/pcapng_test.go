package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/skprobe/skprobe/internal/event"
)

// dropSchema is that of a tool of packets.
func dropSchema() *event.Schema {
	return &event.Schema{
		Tool: "drop",
		Columns: []event.Column{
			{Name: "reason", Kind: text},
			{Name: "saddr", Kind: address, Packet: true},
			{Name: "dev", Kind: text},
			{Name: "frame", Kind: event.Frame, Packet: true},
			{Name: "mark", Kind: hex},
			{Name: "netns", Kind: number},
		},
		Task:   true,
		Events: []string{"skb.drop"},
	}
}

var (
	arpFrame = []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" +
		"\x02\x00\x00\x00\x00\x01\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02")
	udpPacket = []byte("\x45\x00\x00\x21\x00\x01\x00\x00\x40\x11\x00\x00\x7f\x00\x00\x01\x7f\x00\x00\x01\xc3\x50\xc3\x51\x00\x0d\x00\x00hello")
)

func dropEvent(reason, dev string, frame []byte, size uint32, link bool) event.Event {
	e := event.Event{Name: "skb.drop", Wall: 1_717_245_296_123_456_789, Values: make([]event.Value, 6)}
	e.Values[0] = event.Value{Set: reason != "", Text: []byte(reason)}
	e.Values[2] = event.Value{Set: dev != "", Text: []byte(dev)}
	if frame != nil {
		e.Values[3].SetFrame(frame, size, link)
	}
	return e
}

// somePackets writes one of everything.
func somePackets(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	sink, err := NewPackets(&b, dropSchema(), "skprobe v1.2.3", Options{Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	arp := dropEvent("NO_SOCKET", "eth0", arpFrame, uint32(len(arpFrame)), true)
	raw := dropEvent("", "eth0", udpPacket[:29], 1500, false)
	raw.Wall++
	raw.Task, raw.PID, raw.Comm = true, 12, "we\x1bird"
	raw.Values[4] = event.Value{Set: true, Num: 0xbeef}
	nothing := dropEvent("X", "eth0", nil, 0, false)
	other := dropEvent("é\"", "", udpPacket, 0, false) // no device; its length makes no sense
	other.Values[5] = event.Value{Set: true, Num: 4026531840}
	stack := dropEvent(strings.Repeat("é", 3000), "eth0", arpFrame[:14], 60, true)
	stack.Stack = []uint64{0xffff, 0x10}
	for _, e := range []event.Event{arp, raw, nothing, other, stack} {
		if err := sink.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	if n := Without(sink); n != 1 {
		t.Errorf("%d events without a packet", n)
	}
	if err := sink.Close(Summary{Events: 5, Lost: 7}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPcapngReference reads with gopacket what was written.
func TestPcapngReference(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(somePackets(t)), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	long := "skb.drop reason=" + strings.Repeat("é", 2040)
	want := []struct {
		dev     string
		link    layers.LinkType
		data    []byte
		length  int
		wall    int64
		comment string
	}{
		{"eth0", layers.LinkTypeEthernet, arpFrame, 42, 1_717_245_296_123_456_789, "skb.drop reason=NO_SOCKET"},
		{"eth0", layers.LinkTypeRaw, udpPacket[:29], 1500, 1_717_245_296_123_456_790, `skb.drop pid=12 comm=we\x1bird mark=0xbeef`},
		{"", layers.LinkTypeRaw, udpPacket, len(udpPacket), 1_717_245_296_123_456_789, "skb.drop reason=é\""},
		{"eth0", layers.LinkTypeEthernet, arpFrame[:14], 60, 1_717_245_296_123_456_789, long},
	}
	for i, w := range want {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if in.Name != w.dev || in.LinkType != w.link || in.TimestampResolution != 9 || !bytes.Equal(data, w.data) || ci.Length != w.length ||
			ci.Timestamp.UnixNano() != w.wall || fmt.Sprint(opts.Comments) != "["+w.comment+"]" {
			t.Errorf("packet %d: %+v %+v %q\n%x", i, in, ci, opts.Comments, data)
		}
		if i == 2 && in.Description != "network namespace 4026531840" {
			t.Errorf("described as %q", in.Description)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if r.NInterfaces() != 3 || r.SectionInfo().Application != "skprobe v1.2.3" || r.SectionInfo().OS != "Linux" {
		t.Errorf("%d interfaces, %+v", r.NInterfaces(), r.SectionInfo())
	}
}

// TestPcapngTshark has Wireshark's own reader read it.
func TestPcapngTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark here")
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, somePackets(t), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len",
		"-e", "ip.proto", "-e", "arp.dst.proto_ipv4", "-e", "udp.dstport", "-e", "frame.comment")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	want := []string{
		"eth0\t1717245296.123456789\t42\t42\t\t10.0.0.2\t\tskb.drop reason=NO_SOCKET",
		"eth0\t1717245296.123456790\t1500\t29\t17\t\t50001\tskb.drop pid=12 comm=we\\x1bird mark=0xbeef",
	}
	for i, w := range want {
		if i >= len(lines) || lines[i] != w {
			t.Errorf("line %d of\n%swant\n%s", i, out, w)
		}
	}
	if len(lines) != 4 {
		t.Errorf("%d packets, stderr %s", len(lines), &stderr)
	}
}

func TestNewPacketsRefuses(t *testing.T) {
	if _, err := NewPackets(io.Discard, udpSchema(), "", Options{}); err == nil || err.Error() != "udp: its events have no packets to write" {
		t.Error(err)
	}
}

// A file without packets is one.
func TestPcapngEmpty(t *testing.T) {
	var b bytes.Buffer
	sink, err := NewPackets(&b, dropSchema(), "skprobe", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sink.Flush(), sink.Close(Summary{Lost: 1})); err != nil {
		t.Fatal(err)
	}
	if n := b.Len(); n%4 != 0 || n < 28 || b.Bytes()[4] != byte(n) {
		t.Errorf("%x", b.Bytes())
	}
}

// Interfaces come and go, as on hosts of containers; what is remembered of them
// is bounded.
func TestPcapngInterfaces(t *testing.T) {
	sink, err := NewPackets(io.Discard, dropSchema(), "skprobe", Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := sink.(*pcapngSink)
	for i := range 3 * maxInterfaces {
		e := dropEvent("", fmt.Sprint("veth", i), arpFrame, 42, i%2 == 0)
		if err := sink.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.interfaces) != maxInterfaces+2 {
		t.Errorf("%d interfaces", len(s.interfaces))
	}
}

func TestPcapngAllocates(t *testing.T) {
	sink, err := NewPackets(io.Discard, dropSchema(), "skprobe", Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := dropEvent("NO_SOCKET", "eth0", arpFrame, 42, true)
	e.Wall = time.Now().UnixNano()
	if n := testing.AllocsPerRun(2000, func() { _ = sink.Event(&e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
