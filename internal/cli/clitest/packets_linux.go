package clitest

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A Packet is one of a file that skprobe -w has written.
type Packet struct {
	Dev, Comment string
	Ethernet     bool // it begins with a header of Ethernet, not of IP
	Frame        []byte
	Size         int
}

// ReadPackets reads a file that skprobe -w has written.
func ReadPackets(t testing.TB, file string) []Packet {
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
	var all []Packet
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
		all = append(all, Packet{in.Name, strings.Join(opts.Comments, "|"), in.LinkType == layers.LinkTypeEthernet, data, ci.Length})
	}
}
