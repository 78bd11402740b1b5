package tools

import "github.com/skprobe/skprobe/internal/event"

// Protocol numbers of include/uapi/linux/in.h and in6.h.
const (
	protoICMP  = 1
	protoICMP6 = 58
)

var _ = add(event.Tool{
	Name:  "icmp",
	Short: "ICMP messages in and out, with the packet that an error quotes and the socket that it hits",
	Long: `Shows the ICMP and ICMPv6 messages that come in for this host and that it
sends: type and code, id and seq of echoes, and of errors the packet that they
quote: its protocol, addresses and ports tell whose packet met the error.

icmp_type and icmp_code are the numbers in the message; those of ICMPv6 are
others than those of ICMP: proto tells which it is. icmp_mtu is that of a
message that a packet was too big.

icmp.error comes after an error's icmp.in where the kernel reports the error to a
socket: that of a TCP connection that is being made, one of UDP that is
connected, or one that asked for errors (IP_RECVERR). --wide shows its ends,
which are mostly those of the quoted packet. Others are not told of one: a TCP
connection that exists goes on, and so does a socket that sends to many.

dev is the device by which a message came in, or that its route chose; the
firewall may choose another one. What goes out below IP is not seen: IPv6's
neighbour discovery (see skprobe arp) and multicast listener reports, and raw
sockets that write the IP header themselves. pid and comm are those of the
process that sends; messages that the kernel sends by itself in an interrupt
have none.`,
	Example: `# Errors that come in, and for whom
skprobe icmp --in --where 'quoted_daddr != nil'

# Those that reach a program
skprobe icmp --error`,
	Cost: "about 3 µs for each ICMP message, and 1 µs for every other packet that this host sends",
	Events: []event.Source{{
		Name:    "icmp.in",
		Flag:    "in",
		Short:   "a message comes in",
		Softirq: true,
		Probes: []event.Probe{
			{Funcs: []string{"icmp_rcv"}, Params: "struct sk_buff *skb", NonNull: []string{"skb"}, Fields: icmpIn()},
			{Funcs: []string{"icmpv6_rcv"}, Params: "struct sk_buff *skb", NonNull: []string{"skb"}, Optional: true, Fields: icmpIn()},
		},
	}, {
		Name:  "icmp.out",
		Flag:  "out",
		Short: "a message goes out",
		Probes: []event.Probe{
			{Funcs: []string{"__ip_local_out"}, NonNull: []string{"skb"}, Optional: true,
				Rare:   []event.Cond{{Field: "protocol", Op: event.Equals, Num: protoICMP}},
				Fields: icmpOut("*((u8 *)skb->data + 9)")},
			{Funcs: []string{"ip6_local_out"}, NonNull: []string{"skb"}, Optional: true,
				Rare:   []event.Cond{{Field: "protocol", Op: event.Equals, Num: protoICMP6}},
				Fields: icmpOut("*((u8 *)skb->data + 6)")},
		},
	}, {
		Name:    "icmp.error",
		Flag:    "error",
		Short:   "an error that came in is reported to a socket",
		Softirq: true,
		Probes:  []event.Probe{icmpError("icmp_unreach"), icmpError("icmpv6_notify")},
	}},
	Columns: []string{"proto", "saddr", "daddr", "icmp_type", "icmp_code", "icmp_id", "icmp_seq", "dev",
		"quoted_proto", "quoted_saddr", "quoted_sport", "quoted_daddr", "quoted_dport", "family", "laddr", "lport", "raddr", "rport"},
})

// icmpMessage is a message, with what is quoted in it.
func icmpMessage() event.Field {
	return event.Field{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{
		{Part: "proto"}, {Part: "saddr"}, {Part: "daddr"}, {Part: "icmp_type"}, {Part: "icmp_code"}, {Part: "icmp_id"}, {Part: "icmp_seq"},
		{Part: "quoted_proto"}, {Part: "quoted_saddr"}, {Part: "quoted_sport"}, {Part: "quoted_daddr"}, {Part: "quoted_dport"},
		{Part: "icmp_mtu", Wide: true}, {Part: "nd_target", Wide: true}, {Part: "ttl", Wide: true}, {Part: "len", Wide: true}}}
}

func icmpIn() []event.Field {
	return []event.Field{icmpMessage(), {Name: "dev", Expr: "skb->dev->name", Help: "device by which it came in, or that its route chose"}, event.DevNetNS("skb->dev")}
}

// icmpOut are those of one that goes out, with the place of the protocol in its
// IP header, which skb->data is then. The device is that of its route: it has
// none yet itself. Where the lowest bit is set, which is not so of what is made
// here, the pointer to the route is counted elsewhere (SKB_DST_NOREF of
// include/linux/skbuff.h).
func icmpOut(protocol string) []event.Field {
	const route = "((struct dst_entry *)skb->_skb_refdst)->dev"
	return []event.Field{icmpMessage(), {Name: "protocol", Expr: protocol, Kind: event.Uint, Hidden: true}, event.ParamNetNS("net"),
		{Name: "borrowed", Expr: "skb->_skb_refdst & 1", Kind: event.Uint, Hidden: true, Optional: true},
		{Name: "route_dev", Expr: route + "->name", Kind: event.Char, Hidden: true, Optional: true},
		{Name: "dev", Optional: true, Help: "device by which it came in, or that its route chose",
			Cases: []event.Case{{If: []event.Cond{{Field: "borrowed", Op: event.Equals}}, From: "route_dev"}}},
	}
}

// icmpError is a function that hands an error on to the protocol of the packet
// that is quoted, which looks for the socket.
func icmpError(function string) event.Probe {
	return event.Probe{
		Funcs:    []string{function},
		Params:   "struct sk_buff *skb",
		NonNull:  []string{"skb"},
		Return:   true,
		Optional: true,
		Only:     []event.Cond{{Field: "skaddr", Op: event.NotEquals}},
		Inner: &event.Inner{
			Funcs:   []string{"sk_error_report", "sock_def_error_report"}, // since 5.13, and before, where no other is set
			Params:  "struct sock *sk",
			NonNull: []string{"sk"},
			Fields:  []event.Field{event.SkAddr("sk"), {Expr: "sk", Kind: event.Sock, Parts: icmpSocket}},
		},
		Fields: icmpIn(),
	}
}

// icmpSocket are the ends of a socket that an error hits. What it sent is quoted,
// so that the table does without them.
var icmpSocket = []event.Pick{
	{Part: "family", Wide: true, Help: "family of the socket that the error hits"},
	{Part: "laddr", Wide: true, Help: "local address of the socket"}, {Part: "lport", Wide: true, Help: "local port of the socket"},
	{Part: "raddr", Wide: true, Help: "address to which the socket is connected: 0.0.0.0 or :: where it is not"},
	{Part: "rport", Wide: true, Help: "port to which it is connected"},
}
