package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/internal/event"
)

// Flags about ends mean what the tool's columns are.
func TestEndConditions(t *testing.T) {
	field := func(kind *event.Kind) *event.Tool {
		return &event.Tool{Name: "tool", Events: []event.Source{{Probes: []event.Probe{{Fields: []event.Field{{Expr: "x", Kind: kind}}}}}}}
	}
	sock, pkt, none := field(event.Sock), field(event.Packet()), field(event.Uint)
	both := field(event.Sock)
	both.Events[0].Probes[0].Fields = append(both.Events[0].Probes[0].Fields, event.Field{Expr: "skb", KindName: "packet"})
	for _, c := range []struct {
		tool *event.Tool
		args string
		want string // conditions, or the error
	}{
		{sock, "--port 53,5353", "lport in [53, 5353] || rport in [53, 5353]"},
		{pkt, "--port 53", "sport in [53] || dport in [53]"},
		{both, "--port 53", "lport in [53] || rport in [53] || sport in [53] || dport in [53]"},
		{sock, "--lport 1 --rport 2", "lport in [1] && rport in [2]"},
		{pkt, "--lport 1", "--lport: tool shows packets, which have the ports sport and dport; use --port, or --where 'sport in [1]'"},
		{pkt, "--rport 1", "--rport: tool shows packets, which have the ports sport and dport; use --port, or --where 'sport in [1]'"},
		{none, "--rport 1", "--rport: tool has no column rport"},
		{none, "--port 1", "--port: tool has none of the columns lport, rport, sport, dport"},
		{sock, "--addr 10.0.0.0/8,::1", `laddr in ["10.0.0.0/8", "::1"] || raddr in ["10.0.0.0/8", "::1"]`},
		{pkt, "--addr 10.0.0.1", `saddr in ["10.0.0.1"] || daddr in ["10.0.0.1"] || ar_sip in ["10.0.0.1"] || ar_tip in ["10.0.0.1"]`},
		{pkt, "--addr 10.0.0", `--addr "10.0.0" is no address and no network`},
		{none, "--addr ::1", "--addr: tool has none of the columns laddr, raddr, saddr, daddr, ar_sip, ar_tip"},
		{sock, "-4", `family == "inet"`}, {sock, "-6", `family == "inet6"`}, {sock, "-46", ""}, {sock, "", ""},
		{pkt, "-4", `saddr in "0.0.0.0/0"`}, {pkt, "-6", `saddr in "::/0"`}, {none, "-6", "-6: tool has no column that tells it"},
	} {
		var flags runFlags
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.register(fs, nil)
		if err := fs.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		where, err := flags.conditions(c.tool)
		got := strings.Join(where, " && ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %s\nwant %s", c.args, got, c.want)
		}
	}
}
