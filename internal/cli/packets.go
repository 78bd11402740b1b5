package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/pcapfilter"
	"github.com/skprobe/skprobe/internal/session"
)

// packetFlags are the flags of what shows packets.
type packetFlags struct {
	write string
	print bool
	snap  int
}

// The values of --snap: from a link layer on, up to what leaves room for a dozen
// other values in a record.
const (
	minSnap = 16
	maxSnap = 1600
)

func (f *packetFlags) register(fs *pflag.FlagSet) {
	fs.StringVarP(&f.write, "write", "w", "", "write the packets to `FILE` in pcapng, for Wireshark and others (- for standard output), and show no lines")
	fs.BoolVar(&f.print, "print", false, "with -w: show lines too")
	fs.IntVar(&f.snap, "snap", 0, "take `N` bytes of a packet from skb->data on (96), as far as they are in its linear part")
}

// apply does what the flags say.
func (f *packetFlags) apply(cfg *session.Config) error {
	switch {
	case f.write == "" && f.print:
		return usagef("--print is for -w: without it lines are shown anyway")
	case f.write == "-" && (f.print || cfg.Counting != nil) && cfg.Output == "":
		return usagef("-w - and lines both write to standard output; give the lines a file with -o")
	case f.snap != 0 && (f.snap < minSnap || f.snap > maxSnap):
		return usagef("--snap %d: it is %d to %d", f.snap, minSnap, maxSnap)
	}
	if f.write == "" && f.snap == 0 {
		return nil
	}
	if !cfg.Tool.HasPackets() {
		return usagef("-w and --snap are about packets, and no field of the probe is one; name one, for example skb:packet")
	}
	cfg.Snap = f.snap
	if f.write != "" {
		cfg.Packets, cfg.Print = f.write, f.print
		cfg.Columns = append(cfg.Columns, "frame")
	}
	return nil
}

// packetFilter adds the condition that an expression of pcap-filter(7) is. As
// tcpdump takes it, it can be several arguments.
func packetFilter(t *event.Tool, args []string, cfg *session.Config) error {
	if len(args) == 0 {
		return nil
	}
	columns := t.Fields()
	where, err := pcapfilter.Translate(strings.Join(args, " "), func(name string) bool {
		return slices.ContainsFunc(columns, func(c event.Column) bool { return c.Name == name })
	})
	if err != nil {
		return usagef("packet filter %q: %v", strings.Join(args, " "), err)
	}
	cfg.Where = append(cfg.Where, where)
	return nil
}
