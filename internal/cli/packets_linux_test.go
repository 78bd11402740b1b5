package cli_test

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

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// A written is a packet of a pcapng file.
type written struct {
	dev, comment string
	link         layers.LinkType
	frame        []byte
	size         int
}

// readPackets reads a file that skprobe has written.
func readPackets(t *testing.T, file string) []written {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if errors.Is(err, io.EOF) {
		return nil // there is no packet
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []written
	for {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, written{in.Name, strings.Join(opts.Comments, "|"), in.LinkType, data, ci.Length})
	}
}

// TestWrite holds against a packet socket what is written of packets.
func TestWrite(t *testing.T) {
	needs(t)
	for _, snap := range []int{0, 16, 700, 1500} {
		t.Run(fmt.Sprint(snap), func(t *testing.T) {
			testkernel.NetNS(t)
			capture := testkernel.NewCapture(t)
			file := filepath.Join(t.TempDir(), "x.pcapng")
			args := []string{"probe", "loopback_xmit skb:packet dev=dev->name length=skb->len", "-w", file, "--print", "--format", "json", "--pid", fmt.Sprint(os.Getpid())}
			most := 96
			if snap > 0 {
				args, most = append(args, "--snap", fmt.Sprint(snap)), snap
			}
			r := clitest.Start(t, args...)
			fd := udpSocket(t, unix.AF_INET)
			for _, size := range []int{0, 1, 50, 600, 1400} {
				if err := unix.Sendto(fd, bytes.Repeat([]byte{byte(size), 7}, size)[:size], 0, discard4); err != nil {
					t.Fatal(err)
				}
			}
			events := r.Stop().OK().Events()
			var want []testkernel.Captured
			for _, f := range capture.Frames() {
				if f.Outgoing {
					want = append(want, f)
				}
			}
			got := readPackets(t, file)
			// Five datagrams, each with the ICMP error that it provokes.
			if len(got) != len(want) || len(got) != 10 || len(events) != len(got) {
				t.Fatalf("%d packets and %d events, want %d", len(got), len(events), len(want))
			}
			for i, p := range got {
				w := want[i]
				comment := fmt.Sprintf("loopback_xmit pid=%d comm=%s length=%d", os.Getpid(), events[i]["comm"], w.Size)
				if p.dev != "lo" || p.link != layers.LinkTypeEthernet || p.size != w.Size || p.comment != comment || !bytes.Equal(p.frame, w.Frame[:min(w.Size, most)]) {
					t.Errorf("packet %d: %+v, want %d bytes, %s:\n%x", i, p, w.Size, comment, w.Frame)
				}
			}
		})
	}
}

// TestWriteRaw writes what has no link layer, to standard output, and has
// tcpdump read it.
func TestWriteRaw(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("tcpdump"))
	testkernel.NetNS(t)
	r := clitest.Start(t, "probe", "ip_output skb:packet", "-w", "-", "--pid", fmt.Sprint(os.Getpid()))
	if err := unix.Sendto(udpSocket(t, unix.AF_INET), make([]byte, 20), 0, discard4); err != nil {
		t.Fatal(err)
	}
	out := r.Stop().OK().Stdout
	cmd := exec.Command("tcpdump", "-nr", "-", "-Z", "root")
	cmd.Stdin = strings.NewReader(out)
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "IP 127.0.0.1.") || !strings.Contains(string(text), "> 127.0.0.1.9: UDP, length 20") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestWriteRefused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"probe", "ip_output net", "-w", "x"}, "no field of the probe is one; name one, for example skb:packet"},
		{[]string{"probe", "ip_output skb:packet", "--print"}, "--print is for -w"},
		{[]string{"probe", "ip_output skb:packet", "--print", "-w", "-"}, "both write to standard output"},
		{[]string{"probe", "ip_output skb:packet", "--snap", "9999"}, "--snap 9999: it is 16 to 1600"},
	} {
		if r := clitest.Do(t, tt.args...).Is(2); !strings.Contains(r.Stderr, tt.want) || strings.Count(r.Stderr, "\n") > 2 {
			t.Errorf("%q: %s", tt.args, r.Stderr)
		}
	}
}
