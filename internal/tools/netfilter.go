package tools

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "netfilter",
	Short: "packets at the hooks of netfilter (nftables, iptables), and what becomes of them",
	Long: `Shows each packet that passes a hook of netfilter, with the verdict: accept,
drop, stolen (a hook keeps the packet, as it does with fragments until all are
there), or queue (a program is to decide). table and chain are the base chain
that has dropped, stolen or queued it; a packet that is accepted has none, and
what is not of nftables or iptables neither. error is what the sender of a
dropped packet gets.

A hook to which nothing is registered is not called by the kernel, and a packet
that passes it is not shown. pf is the family of the hook as nft calls it: ip,
ip6, arp, bridge, netdev, inet.

pid and comm are those of the sender at output and postrouting, as far as the
packet passes these before it is queued; in softirq there are none.`,
	Example: `# What the firewall drops, and by which chain
skprobe netfilter --drops`,
	Cost: "a return probe for each packet at each hook, and one more for each base chain that it passes",
	Options: []event.Option{
		{Name: "drops", Help: "only packets that are dropped", Where: func(string) (string, error) { return `verdict == "drop"`, nil }},
		{Name: "hook", Takes: true, Help: "only at these `HOOKS` (,…): " + strings.Join(hookNames, ", "), Where: whereHook},
	},
	Events: []event.Source{{
		Name:  "netfilter.hook",
		Short: "a packet has passed the hooks of one place",
		Probes: []event.Probe{hooked(event.Probe{
			// Its parameters since 4.4, and with (pf, hook, skb, indev, outdev) until 4.0.
			NonNull: []string{"skb", "state"},
			Only:    []event.Cond{{Field: "hooknum", Op: event.AtLeast, Num: 0}},
			// Where nothing tells of what state points to, and since hooks are those of a
			// network namespace (4.3), which is later than that the packet comes first (4.1).
			Else: []event.Probe{hooked(event.Probe{
				Needs:   []string{"nf_register_net_hook()"},
				Params:  "struct sk_buff *skb, struct nf_hook_state *state",
				NonNull: []string{"skb", "state"},
			}, packetDev...)},
		}, event.Field{Name: "netns", Expr: "state->net->ns.inum", Kind: event.Uint, OnRequest: true, Optional: true, Help: hookNetNS})},
	}, {
		Name: "netfilter.chain", Hidden: true, Short: "a base chain of nftables has decided",
		Probes: []event.Probe{{
			Funcs:    []string{"nf_tables:nft_do_chain", "nft_do_chain"},
			Params:   "struct sk_buff **pkt, void *priv", // a struct nft_pktinfo begins so
			NonNull:  []string{"pkt", "priv"},
			Return:   true,
			Optional: true,
			Only:     ofPacket,
			Fields: decided("*(u64 *)pkt", "((struct nft_chain *)priv)->table->name",
				event.Field{Name: "by_chain", Expr: "((struct nft_chain *)priv)->name", Kind: event.String, Hidden: true, Optional: true}),
		}},
	}, {
		Name: "netfilter.table", Hidden: true, Short: "a table of iptables has decided",
		Probes: []event.Probe{
			// (priv, skb, state) since 5.16, before (skb, state, table), until 4.3 (skb, hook, in, out, table).
			iptables("ip_tables", "ipt_do_table"), iptables("ip6_tables", "ip6t_do_table"),
		},
	}},
	Columns: []string{"pf", "hook", "verdict", "indev", "outdev", "dev", "proto", "saddr", "sport", "daddr", "dport", "flags", "len", "table", "chain"},
	Keys:    []string{"pf", "hook", "indev", "outdev", "proto", "saddr", "sport", "daddr", "dport", "flags", "len", "netns"},
	Reduce:  newVerdicts,
})

// hooked is the function that gives a packet to the hooks of a place, with fields
// for where that is.
func hooked(p event.Probe, where ...event.Field) event.Probe {
	p.Funcs = []string{"nf_hook_slow"}
	p.Return = true
	p.Fields = []event.Field{
		{Name: "pf", Expr: "state->pf ?? pf", Kind: hookFamily, Help: "family of the hook: ip, ip6, arp, bridge, netdev, inet"},
		{Name: "hooknum", Expr: "state->hook ?? hook", Kind: event.Uint, Hidden: true},
		hookName,
		{Name: "indev", Expr: "state->in->name ?? indev->name", Kind: event.Char, Help: "device from which the packet came"},
		{Name: "outdev", Expr: "state->out->name ?? outdev->name", Kind: event.Char, Help: "device to which it goes"},
		{Expr: "skb", Kind: event.Packet(), Parts: hookPacket},
		{Name: "skbaddr", Expr: "skb", Kind: event.Pointer, Hidden: true},
		{Name: "mark", Expr: "skb->mark", Kind: event.Hex, Wide: true, Optional: true, Help: "mark of the packet"},
		{Name: "ret", Expr: "(int)$retval", Kind: event.Int, Hidden: true},
		{Name: "elapsed", Expr: "$elapsed", Hidden: true},
		{Name: "verdict", Computed: true, Kind: verdict, Help: "accept, drop, stolen, queue"},
		{Name: "error", Computed: true, Kind: event.Errno, Wide: true, Help: "drop: what the sender gets"},
		{Name: "table", Computed: true, Kind: event.Char, Help: "table of the chain that did not accept the packet"},
		{Name: "chain", Computed: true, Kind: event.Char, Help: "base chain that did not accept it"},
	}
	p.Fields = append(p.Fields, where...)
	return p
}

const hookNetNS = "network namespace of the hook: its inode number"

// packetDev is the packet's device, and its network namespace, or, where it has
// none yet, that of its socket.
var packetDev = []event.Field{
	{Expr: "skb->dev", Kind: event.Device, Parts: []event.Pick{{Part: "dev"}, {Part: "ifindex", Wide: true}}},
	event.DevNetNS("skb->dev").Among("dev_netns", "netns"),
	event.NetNS("skb->sk").Among("own_netns", "netns"),
	{Name: "netns", OnRequest: true, Optional: true, Help: hookNetNS,
		Cases: []event.Case{{If: []event.Cond{{Field: "ifindex", Op: event.NotEquals}}, From: "dev_netns"}, {From: "own_netns"}}},
}

// hookFamily is NFPROTO_… of include/uapi/linux/netfilter.h.
var hookFamily = event.Numbered("pf", "family of a netfilter hook", map[uint64]string{
	1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6",
})

// hookNames are those of NF_INET_…, NF_BR_…, NF_ARP_… and NF_NETDEV_….
var hookNames = []string{"prerouting", "input", "forward", "output", "postrouting", "ingress", "egress", "brouting"}

// hookName is the name of a hook as nft has it.
var hookName = func() event.Field {
	f := event.Field{Name: "hook", Help: strings.Join(hookNames, ", ")}
	is := func(name string, pf, hook int64) {
		conds := []event.Cond{{Field: "hooknum", Op: event.Equals, Num: hook}}
		if pf != 0 {
			conds = append(conds, event.Cond{Field: "pf", Op: event.Equals, Num: pf})
		}
		f.Cases = append(f.Cases, event.Case{If: conds, Text: name})
	}
	is("input", 3, 0)
	is("output", 3, 1)
	is("ingress", 5, 0)
	is("egress", 5, 1)
	is("brouting", 7, 5)
	is("ingress", 1, 5)
	for i, name := range hookNames[:5] {
		is(name, 0, int64(i))
	}
	return f
}()

func whereHook(names string) (string, error) {
	var all []string
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(hookNames, name) {
			return "", fmt.Errorf("%q is no hook: there are %s", name, strings.Join(hookNames, ", "))
		}
		all = append(all, "hook == \""+name+"\"")
	}
	return strings.Join(all, " or "), nil
}

// hookPacket is what is shown of a packet.
var hookPacket = []event.Pick{
	{Part: "proto"}, {Part: "saddr"}, {Part: "sport"}, {Part: "daddr"}, {Part: "dport"}, {Part: "flags"}, {Part: "len"},
	{Part: "smac", Wide: true}, {Part: "dmac", Wide: true}, {Part: "ethertype", Wide: true}, {Part: "ttl", Wide: true},
	{Part: "seq", Wide: true}, {Part: "ack_seq", Wide: true}, {Part: "win", Wide: true},
	{Part: "icmp_type", Wide: true}, {Part: "icmp_code", Wide: true},
}

// Without its packet a decision cannot be told from those about others.
var ofPacket = []event.Cond{{Field: "by_skb", Op: event.NotEquals, Num: 0}}

// decided are the fields of a function that asks the rules about a packet.
func decided(skb, table string, more ...event.Field) []event.Field {
	return append(more,
		event.Field{Name: "by_skb", Expr: skb, Kind: event.Pointer, Hidden: true},
		event.Field{Name: "by_table", Expr: table, Hidden: true, Optional: true},
		event.Field{Name: "by_code", Expr: "(int)$retval", Kind: event.Uint, Hidden: true})
}

func iptables(module, fn string) event.Probe {
	return event.Probe{
		Funcs:    []string{module + ":" + fn, fn},
		NonNull:  []string{"skb", "priv", "table"},
		Return:   true,
		Optional: true,
		Only:     ofPacket,
		Fields:   decided("skb", "((struct xt_table *)priv)->name ?? table->name"),
	}
}

// The verdicts that are shown, and those of rules: NF_… of
// include/uapi/linux/netfilter.h.
var verdict = event.Named("verdict", "what becomes of a packet", 0, "drop", "accept", "stolen", "queue")

const (
	nfDrop = iota
	nfAccept
	nfStolen
	nfQueue
	nfRepeat
)

// maxDecisions is how many threads can be between a chain's decision and the end
// of the hook.
const maxDecisions = 16384

// A decision is that of a chain not to accept a packet.
type decision struct {
	at, skb      uint64
	code         uint64 // NF_…
	builtin      bool   // the chain has the name of the hook
	table, chain []byte // nil where they are not known
}

// chains are those of iptables, by hook.
var chains = [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// verdicts find the chain that has decided: the last one that was asked before a
// hook returns, on the same thread.
type verdicts struct {
	decisions *track.Table[uint32, decision]

	skb, ret, elapsed, hook, byTable, byChain, bySkb, byCode int
	verdict, errno, table, chain                             int
}

func newVerdicts(s *event.Schema, _ event.Settings) event.Reducer {
	return &verdicts{decisions: track.New[uint32, decision](maxDecisions),
		skb: s.Index("skbaddr"), ret: s.Index("ret"), elapsed: s.Index("elapsed"), hook: s.Index("hooknum"),
		byTable: s.Index("by_table"), byChain: s.Index("by_chain"), bySkb: s.Index("by_skb"), byCode: s.Index("by_code"),
		verdict: s.Index("verdict"), errno: s.Index("error"), table: s.Index("table"), chain: s.Index("chain")}
}

// Evicted returns how many decisions were forgotten.
func (v *verdicts) Evicted() uint64 { return v.decisions.Evicted() }

func (v *verdicts) Event(ev *event.Event, show func(*event.Event) error) error {
	if ev.Name != "netfilter.hook" {
		v.decided(ev)
		return nil
	}
	ret, elapsed := ev.Value(v.ret), ev.Value(v.elapsed)
	if ret == nil || elapsed == nil {
		return nil
	}
	if int64(ret.Num) == 1 {
		ev.SetNum(v.verdict, nfAccept)
		return show(ev)
	}
	d := v.decisions.Get(ev.Thread)
	if skb := ev.Value(v.skb); d != nil && (skb == nil || d.skb != skb.Num || d.at < ev.Mono-elapsed.Num) {
		d = nil // at another hook, which the kernel's filter left out
	}
	result := uint64(nfStolen)
	switch {
	case int64(ret.Num) < 0:
		result = nfDrop
		ev.SetNum(v.errno, ret.Num)
		if d != nil && d.code == nfQueue { // nobody is there to decide, and another hook dropped it
			d = nil
		}
	case d != nil && d.code == nfQueue:
		result = nfQueue
	}
	ev.SetNum(v.verdict, result)
	if d != nil {
		v.name(ev, d)
	}
	v.decisions.Delete(ev.Thread)
	return show(ev)
}

// name shows which chain it was.
func (v *verdicts) name(ev *event.Event, d *decision) {
	if d.table != nil {
		ev.SetText(v.table, d.table)
	}
	if d.chain != nil {
		ev.SetText(v.chain, d.chain)
	}
	if n := ev.Value(v.hook); d.builtin && n != nil && n.Num < uint64(len(chains)) {
		ev.SetText(v.chain, []byte(chains[n.Num]))
	}
}

// decided notes what a chain has decided, unless it accepts.
func (v *verdicts) decided(ev *event.Event) {
	skb, code := ev.Value(v.bySkb), ev.Value(v.byCode)
	if skb == nil || code == nil {
		return
	}
	if code.Num&0xff == nfAccept { // what is above is more about the verdict
		v.decisions.Delete(ev.Thread)
		return
	}
	d := decision{at: ev.Mono, skb: skb.Num, code: code.Num & 0xff, builtin: ev.Name == "netfilter.table"}
	if t := ev.Value(v.byTable); t != nil {
		d.table = bytes.Clone(t.Text)
	}
	if c := ev.Value(v.byChain); c != nil {
		d.chain = bytes.Clone(c.Text)
	}
	v.decisions.Put(ev.Thread, d)
}
