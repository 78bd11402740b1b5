package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestWrite holds against a packet socket what is written of packets.
func TestWrite(t *testing.T) {
	needs(t)
	for _, snap := range []int{0, 16, 700, 1500} {
		t.Run(fmt.Sprint(snap), func(t *testing.T) {
			testkernel.NetNS(t)
			capture := testkernel.NewCapture(t)
			file := filepath.Join(t.TempDir(), "x.pcapng")
			args := []string{"probe", "loopback_xmit skb:packet dev=dev->name length=skb->len", "-w", file, "--print", "--format", "json"}
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
			got := clitest.ReadPackets(t, file)
			// Five datagrams, each with the ICMP error that it provokes.
			if len(got) != len(want) || len(got) != 10 || len(events) != len(got) {
				t.Fatalf("%d packets and %d events, want %d", len(got), len(events), len(want))
			}
			for i, p := range got {
				w := want[i]
				comment := fmt.Sprintf("loopback_xmit length=%d", w.Size)
				if i%2 == 0 { // the errors are sent in softirq, by nobody
					comment = fmt.Sprintf("loopback_xmit pid=%d comm=%s length=%d", os.Getpid(), events[i]["comm"], w.Size)
				}
				if p.Dev != "lo" || !p.Ethernet || p.Size != w.Size || p.Comment != comment || !bytes.Equal(p.Frame, w.Frame[:min(w.Size, most)]) {
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
