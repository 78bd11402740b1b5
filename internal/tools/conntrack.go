package tools

import (
	"slices"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/packet"
)

var _ = add(event.Tool{
	Name:  "conntrack",
	Short: "entries of connection tracking that begin and end, how TCP packets fit into their windows, and what is invalid",
	Long: `Shows what connection tracking (nf_conntrack, for stateful firewalls and NAT)
does: conntrack.new when an entry is made, conntrack.destroyed when one goes,
conntrack.tcp for each TCP packet, and conntrack.invalid for a packet of another
protocol that is invalid, where the kernel says why.

saddr, sport, daddr and dport are those of the connection's first packet, and
reply_saddr and so on what an answer to it must have: where there is NAT, this is
not simply the reverse. Of conntrack.invalid they are the packet's own.

conntrack.tcp has the packet's flags, seq, ack_seq and win, and the entry's state
before the packet changes it; with --windows also its windows, for the direction
of the first packet (orig_) and for the other one (reply_): td_end is the end of
what this side has sent, td_maxend how far the other side lets it send, and
td_maxwin the largest window that it has offered. An entry has none of that
before its first packet was accepted.

verdict is accept, invalid, or repeat, of a packet that opens the connection
anew. reason is why a packet is invalid, or ignored, in the words of the kernel,
with … for a number in them.

Where the module nf_conntrack is not loaded yet, skprobe waits for it.`,
	Example: `# What a stateful firewall takes for invalid, and why
skprobe conntrack --invalid`,
	Cost: "two probes for each TCP packet with conntrack.tcp, otherwise for each entry that begins and ends",
	Options: []event.Option{
		{Name: "windows", Help: "with sequence numbers and the windows of both directions in the table", Columns: append([]string{"seq", "ack_seq", "win"}, windowColumns...)},
		{Name: "invalid", Help: "only packets that are invalid, of TCP and of others", Args: []string{"tcp=true", "others=true"},
			Where: func(string) (string, error) { return `verdict == "invalid"`, nil }},
	},
	Events: []event.Source{{
		Name:  "conntrack.new",
		Flag:  "new",
		Short: "an entry is made",
		Probes: []event.Probe{
			// skb->_nfct (4.11) is the address of the entry, with what the packet
			// is to it in the lowest three bits.
			confirmed(ctNew, "((struct nf_conn *)(skb->_nfct - 2))", "skb->_nfct & 7",
				confirmed(ctNew, "((struct nf_conn *)skb->nfct)", "skb->nfctinfo")),
			confirmed(ctRelated, "((struct nf_conn *)(skb->_nfct - 1))", "skb->_nfct & 7",
				confirmed(ctRelated, "((struct nf_conn *)skb->nfct)", "skb->nfctinfo")),
		},
	}, {
		Name:    "conntrack.destroyed",
		Flag:    "destroyed",
		Short:   "an entry goes: its time is over, its connection, or it is deleted",
		Softirq: true,
		// Two names of one function, apart: a module that is not loaded can have either.
		Probes: []event.Probe{destroyed("nf_ct_destroy"), destroyed("destroy_conntrack")},
	}, {
		Name:   "conntrack.tcp",
		Flag:   "tcp",
		Short:  "a TCP packet, and what it is to its entry",
		Probes: []event.Probe{tcpPacket("nf_conntrack_tcp_packet"), tcpPacket("tcp_packet")},
	}, {
		Name:  "conntrack.invalid",
		Flag:  "others",
		Short: "a packet of another protocol than TCP is invalid",
		Probes: why(
			event.Field{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "saddr"}, {Part: "sport"}, {Part: "daddr"}, {Part: "dport"}, {Part: "len"}}},
			event.Field{Name: "of", Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "proto"}}, Hidden: true},
			event.Field{Name: "netns", Expr: "state->net->ns.inum ?? ct->ct_net.net->ns.inum ?? net->ns.inum ?? skb->dev->nd_net.net->ns.inum", Kind: event.Uint, OnRequest: true, Optional: true},
			event.Field{Name: "proto", Computed: true, Kind: ipProtocol},
			event.Field{Name: "verdict", Computed: true, Kind: trackedVerdict},
			event.Field{Name: "reason", Computed: true, Kind: event.Char}),
	}, {
		Name:   "conntrack.why",
		Hidden: true,
		Short:  "why the TCP packet that is looked at is invalid",
		Probes: why(),
	}},
	Columns: slices.Concat([]string{"family", "proto", "saddr", "sport", "daddr", "dport", "reply_saddr", "reply_sport", "reply_daddr", "reply_dport",
		"dir", "state", "flags", "seq", "ack_seq", "win"}, windowColumns, []string{"len", "verdict", "reason", "duration_ms"}),
	Keys:   []string{"family", "proto", "saddr", "sport", "daddr", "dport", "netns"},
	Reduce: newTracked,
})

// confirmed is the function that puts the entry of a packet into the table. is
// is what the packet is to its entry.
func confirmed(is int64, ct, info string, older ...event.Probe) event.Probe {
	return event.Probe{
		Funcs:    []string{"nf_conntrack:__nf_conntrack_confirm", "__nf_conntrack_confirm"},
		Params:   "struct sk_buff *skb",
		NonNull:  []string{"skb"},
		Return:   true,
		Optional: true,
		Only:     []event.Cond{{Field: "ret", Op: event.Equals, Num: nfAccept}, isEntry},
		Rare:     []event.Cond{{Field: "ctinfo", Op: event.Equals, Num: is}},
		Fields: slices.Concat(entry(ct), tuple(ct, 1, "reply_"), []event.Field{
			{Name: "ctinfo", Expr: info, Kind: event.Uint, Hidden: true},
			{Name: "ret", Expr: "(int)$retval", Kind: event.Int, Hidden: true}}),
		Else: older,
	}
}

// destroyed is the function that frees an entry.
func destroyed(name string) event.Probe {
	const ct = "((struct nf_conn *)nfct)"
	return event.Probe{
		Funcs:    []string{"nf_conntrack:" + name, name},
		Params:   "struct nf_conntrack *nfct",
		NonNull:  []string{"nfct"},
		Only:     []event.Cond{isEntry, {Field: "confirmed", Op: event.Equals, Num: 1}}, // others were never in the table
		Optional: true,
		Fields: slices.Concat(entry(ct), tuple(ct, 1, "reply_"), tcpMember(ct, "state", "state", "state of a TCP connection", trackedState), []event.Field{
			{Name: "duration_ms", Computed: true, Kind: event.Millis, Help: "destroyed: time since the entry was made, in milliseconds; absent if that was before tracing"}}),
	}
}

// tcpPacket is the function that looks at a TCP packet of an entry. Without the
// members of entries a packet tells the ends of its own direction.
func tcpPacket(name string) event.Probe {
	p := event.Probe{
		Funcs:    []string{"nf_conntrack:" + name, name},
		Params:   "struct nf_conn *ct, struct sk_buff *skb, unsigned int dataoff, int ctinfo",
		NonNull:  []string{"ct", "skb"},
		Return:   true,
		Optional: true,
		Only:     []event.Cond{isEntry},
		Fields:   slices.Concat(entry("ct"), tcpFields(), windowFields()),
	}
	bare := p
	bare.Only = nil
	bare.Fields = slices.Concat(tcpFields(), packetEnds(), windowFields()) // the last are told to be missing
	p.Else = []event.Probe{bare}
	return p
}

// why are the functions that are told why a packet is invalid, with a format,
// which has moved: where the kernel does not name its parameters, it is the first
// of these that is a text, and what belongs to a "%s" or "%pV" in it is the next.
func why(fields ...event.Field) []event.Probe {
	probe := func(name string, args []string, other ...event.Probe) event.Probe {
		texts := []event.Field{{Name: "why_inner", Expr: "*(char **)$arg5", Kind: event.String, Hidden: true}} // the format of a struct va_format
		for _, arg := range args {
			texts = append(texts, event.Field{Name: "why_" + arg, Expr: "(char *)$" + arg, Kind: event.String, Hidden: true})
		}
		return event.Probe{
			Funcs:    []string{"nf_conntrack:" + name, name},
			Params:   "struct sk_buff *skb",
			NonNull:  []string{"skb"},
			Optional: true,
			Fields:   append(texts, fields...),
			Else:     other,
		}
	}
	return []event.Probe{
		probe("nf_ct_l4proto_log_invalid", whyArgs[:3]),
		probe("nf_l4proto_log_invalid", whyArgs[1:], probe("nf_l4proto_log_invalid", whyArgs[2:])), // its fourth was a number
	}
}

var whyArgs = []string{"arg3", "arg4", "arg5", "arg6"}

// What a packet is to its entry: enum ip_conntrack_info of
// include/uapi/linux/netfilter/nf_conntrack_common.h.
const (
	ctRelated = 1
	ctNew     = 2
	ctReply   = 3 // and more
)

// ipProtocol is the number of a protocol over IP.
var ipProtocol = func() *event.Kind {
	names := map[uint64]string{}
	for n := range 256 {
		if name := packet.ProtoName(uint8(n)); name != "" {
			names[uint64(n)] = name
		}
	}
	return event.Numbered("proto", "IP protocol", names)
}()

const ipTCP = 6

// withPorts are protocols that have ports.
var withPorts = []int64{ipTCP, 17, 132, 136, 33}

// trackedState is enum tcp_conntrack of include/uapi/linux/netfilter/nf_conntrack_tcp.h.
var trackedState = event.Named("ct_state", "state of TCP in connection tracking", 0,
	"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2")

var trackedVerdict = event.Named("tracked", "what a packet is to connection tracking", 0, "invalid", "accept", "repeat")

const (
	trackedInvalid = iota
	trackedAccept
	trackedRepeat
)

// isEntry is true of all events: without the members of struct nf_conn they would
// tell nothing.
var isEntry = event.Cond{Field: "proto", Op: event.AtLeast, Num: 0}

// entry are the fields of a struct nf_conn.
func entry(ct string) []event.Field {
	return append([]event.Field{
		{Name: "ct", Expr: ct, Kind: event.Pointer, Hidden: true},
		{Name: "confirmed", Expr: "(" + ct + "->status >> 3) & 1", Kind: event.Uint, Hidden: true}, // IPS_CONFIRMED
		{Name: "family", Expr: ct + "->tuplehash[0].tuple.src.l3num", Kind: event.Family, Wide: true, Help: "address family"},
		{Name: "proto", Expr: ct + "->tuplehash[0].tuple.dst.protonum", Kind: ipProtocol, Help: "IP protocol"},
		{Name: "netns", Expr: ct + "->ct_net.net->ns.inum", Kind: event.Uint, OnRequest: true, Optional: true, Help: "network namespace of the entry: its inode number"},
	}, tuple(ct, 0, "")...)
}

// tuple are the ends of a connection in one direction: a struct
// nf_conntrack_tuple.
func tuple(ct string, dir int, prefix string) (fields []event.Field) {
	t := ct + "->tuplehash[" + string(rune('0'+dir)) + "].tuple."
	for _, end := range []string{"src", "dst"} {
		addr, port := prefix+end[:1]+"addr", event.Field{Name: prefix + end[:1] + "port", Help: endHelp[prefix+end] + " port"}
		addrs := address(addr, event.Field{Expr: t + end + ".u3.ip", Kind: event.IPv4}, event.Field{Expr: t + end + ".u3.in6", Kind: event.IPv6})
		addrs[len(addrs)-1].Help = endHelp[prefix+end] + " address"
		all := event.Field{Name: port.Name + "_all", Expr: t + end + ".u.all", Kind: event.Port, Hidden: true}
		for _, proto := range withPorts {
			port.Cases = append(port.Cases, event.Case{If: []event.Cond{{Field: "proto", Op: event.Equals, Num: proto}}, From: all.Name})
		}
		fields = append(append(fields, addrs...), all, port)
	}
	return fields
}

var endHelp = map[string]string{"src": "the first packet's source", "dst": "the first packet's destination",
	"reply_src": "source that an answer must have:", "reply_dst": "destination that an answer must have:"}

// packetEnds are the ends as the packet tells them, which comes before NAT
// changes it.
func packetEnds() []event.Field {
	fields := []event.Field{
		{Name: "pkt", Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "saddr"}, {Part: "sport"}, {Part: "daddr"}, {Part: "dport"}}, Hidden: true},
		{Name: "proto", Computed: true, Kind: ipProtocol, Help: "IP protocol"},
		event.DevNetNS("skb->dev"),
	}
	for _, part := range []string{"saddr", "sport", "daddr", "dport"} {
		fields = append(fields,
			event.Field{Name: part, Cases: []event.Case{{If: []event.Cond{{Field: "ctinfo", Op: event.Less, Num: ctReply}}, From: "pkt_" + part}}},
			event.Field{Name: "reply_" + part, Cases: []event.Case{{If: []event.Cond{{Field: "ctinfo", Op: event.AtLeast, Num: ctReply}}, From: "pkt_" + part}}})
	}
	return fields
}

// tcpFields are what is known of a TCP packet without its entry.
func tcpFields() []event.Field {
	return []event.Field{
		{Name: "ctinfo", Expr: "ctinfo", Kind: event.Uint, Hidden: true},
		{Name: "dir", Help: "direction of the packet: original, as the first one, or reply", Cases: []event.Case{
			{If: []event.Cond{{Field: "ctinfo", Op: event.AtLeast, Num: ctReply}}, Text: "reply"}, {Text: "original"}}},
		{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "flags"}, {Part: "seq", Wide: true}, {Part: "ack_seq", Wide: true}, {Part: "win", Wide: true}, {Part: "len"}}},
		{Name: "ret", Expr: "(int)$retval", Kind: event.Int, Hidden: true},
		{Name: "elapsed", Expr: "$elapsed", Hidden: true},
		{Name: "verdict", Computed: true, Kind: trackedVerdict, Help: "accept, invalid, or repeat: the connection is opened anew"},
		{Name: "reason", Computed: true, Kind: event.Char, Help: "why the packet is invalid or ignored, where the kernel says it"},
	}
}

// windowColumns are those that --windows puts into the table.
var windowColumns = []string{"orig_td_end", "orig_td_maxend", "orig_td_maxwin", "reply_td_end", "reply_td_maxend", "reply_td_maxwin"}

// windowFields are what tcp_in_window compares a packet with.
func windowFields() []event.Field {
	fields := tcpMember("ct", "state", "state", "state of the connection before the packet", trackedState)
	for i, prefix := range []string{"orig_", "reply_"} {
		for _, m := range [][2]string{{"td_end", "end of what this side has sent"}, {"td_maxend", "how far the other side lets it send"}, {"td_maxwin", "largest window that this side has offered"}} {
			fields = append(fields, tcpMember("ct", prefix+m[0], "seen["+string(rune('0'+i))+"]."+m[0], m[1], event.Uint)...)
			fields[len(fields)-1].Wide = true
		}
	}
	return fields
}

// tcpMember is a member of a struct ip_ct_tcp. In an entry that is not confirmed
// it can be what was in that memory before.
func tcpMember(ct, name, member, help string, kind *event.Kind) []event.Field {
	return []event.Field{
		{Name: "any_" + name, Expr: ct + "->proto.tcp." + member, Kind: kind, Hidden: true},
		{Name: name, Help: help, Cases: []event.Case{{If: []event.Cond{{Field: "proto", Op: event.Equals, Num: ipTCP}, {Field: "confirmed", Op: event.Equals, Num: 1}}, From: "any_" + name}}},
	}
}
