package tools

import "github.com/skprobe/skprobe/internal/event"

// Protocol numbers of include/uapi/linux/in.h and in6.h.
const (
	protoICMP  = 1
	protoICMP6 = 58
)

var _ = add(event.Tool{
	Name:  "icmp",
	Short: "ICMP messages in and out, with the packet that an error quotes",
	Long: `Shows the ICMP and ICMPv6 messages that come in for this host and that it
sends: type and code, id and seq of echoes, and of errors the packet that they
quote: its protocol, addresses and ports tell whose packet met the error.

icmp_type and icmp_code are the numbers in the message; those of ICMPv6 are
others than those of ICMP: proto tells which it is. icmp_mtu is that of a
message that a packet was too big.

An outgoing message is seen where IP takes it, before it has a device. What goes out below that is not
seen: IPv6's neighbour discovery (see skprobe arp) and multicast listener
reports, and raw sockets that write the IP header themselves. pid and comm are
those of the process that sends; messages that the kernel sends by itself in an
interrupt have none.`,
	Example: `# Errors that come in, and for whom
skprobe icmp --in --where 'quoted_daddr != nil'`,
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
	}},
	Columns: []string{"proto", "saddr", "daddr", "icmp_type", "icmp_code", "icmp_id", "icmp_seq", "dev",
		"quoted_proto", "quoted_saddr", "quoted_sport", "quoted_daddr", "quoted_dport"},
})

// icmpMessage is a message, with what is quoted in it.
func icmpMessage() event.Field {
	return event.Field{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{
		{Part: "proto"}, {Part: "saddr"}, {Part: "daddr"}, {Part: "icmp_type"}, {Part: "icmp_code"}, {Part: "icmp_id"}, {Part: "icmp_seq"},
		{Part: "quoted_proto"}, {Part: "quoted_saddr"}, {Part: "quoted_sport"}, {Part: "quoted_daddr"}, {Part: "quoted_dport"},
		{Part: "icmp_mtu", Wide: true}, {Part: "nd_target", Wide: true}, {Part: "ttl", Wide: true}, {Part: "len", Wide: true}}}
}

func icmpIn() []event.Field {
	return []event.Field{icmpMessage(), {Name: "dev", Expr: "skb->dev->name", Help: "device through which it came in"}, event.DevNetNS("skb->dev")}
}

// icmpOut are those of one that goes out, with the place of the protocol in its
// IP header, which skb->data is then. It has no device yet.
func icmpOut(protocol string) []event.Field {
	return []event.Field{icmpMessage(), {Name: "protocol", Expr: protocol, Kind: event.Uint, Hidden: true}, event.ParamNetNS("net")}
}
