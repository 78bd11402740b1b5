package tools

import (
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

var _ = add(event.Tool{
	Name:  "udp",
	Short: "datagrams that processes send and receive, with their true destination and sender",
	Long: `Shows each datagram that a process hands to the kernel, or takes from it, over
UDP: who, how much, and with whom.

For a send, raddr and rport are where the datagram really goes: the address
that was given with the send, or else the peer to which the socket is
connected, or that with which a corked datagram was begun; "dest" says which.
sock_raddr and sock_rport are what the socket itself holds: 0.0.0.0 and 0 for
a socket that is not connected, which is all that tools show that look there.

For a receive, raddr and rport are the sender, taken from the packet. A peek
(MSG_PEEK) is not shown: the datagram is still there.

A send is shown when it is asked for; it may still fail. On IPv6 sockets IPv4
addresses are shown as such; family says which sort of socket it is.`,
	Example: `# Who asks which name server, dig (not connected) and getaddrinfo (connected) alike
skprobe udp --send --where 'rport == 53'`,
	Cost: "about 2 µs for each datagram; nothing for those that --where filters out in the kernel but the filter itself",
	Events: []event.Source{{
		Name:  "udp.sendmsg",
		Flag:  "send",
		Short: "a datagram, or a part of a corked one, is sent",
		Probes: []event.Probe{{
			Funcs:   []string{"udp_sendmsg"},
			NonNull: []string{"sk", "msg"},
			// udpv6_sendmsg calls udp_sendmsg for an IPv4-mapped
			// destination. The socket is then one of IPv6, and the send
			// has been seen already.
			Only:   []event.Cond{{Field: "family", Op: event.Equals, Num: 2}},
			Fields: udpSend(event.Sock4, event.Sockaddr4, given4, cork4),
		}, {
			Funcs:    []string{"udpv6_sendmsg"},
			NonNull:  []string{"sk", "msg"},
			Optional: true, // CONFIG_IPV6
			Fields:   udpSend(event.Sock, event.Sockaddr, given6, cork6, cork4),
		}},
	}, {
		Name:  "udp.recvmsg",
		Flag:  "recv",
		Short: "a datagram is received by a process",
		Probes: []event.Probe{udpTaken(
			[]event.Field{{Expr: "sk", Kind: event.Sock, Parts: udpSock}},
			[]event.Field{{Expr: "skb", Kind: event.Received(), Parts: udpSender}},
			func(size string) []event.Field { return []event.Field{{Name: "size", Expr: size, Kind: event.Size}} })},
	}},
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "size", "dest", "sock_raddr", "sock_rport"},
})

// udpTaken is a datagram that a process receives, with fields of its socket sk, of
// its packet skb, and of its size.
func udpTaken(sock, packet []event.Field, sized func(size string) []event.Field) event.Probe {
	return event.Probe{
		// Called for each datagram whose data went to user space, by
		// udp_recvmsg and udpv6_recvmsg, in the receiver's context. len
		// is what recvmsg returns, and negative for MSG_PEEK. A peek of no
		// byte is told from a receive by the queue's own reference.
		Funcs:   []string{"skb_consume_udp"},
		NonNull: []string{"sk", "skb"},
		Only:    []event.Cond{{Field: "taken", Op: event.AtLeast, Num: 1}},
		Fields: slices.Concat(sock, packet, []event.Field{
			{Name: "ret", Expr: "len", Kind: event.Int, Hidden: true},
			{Name: "users", Expr: "skb->users.refs.counter ?? skb->users.counter", Kind: event.Int, Hidden: true},
			{Name: "taken", Hidden: true, Cases: []event.Case{
				{If: []event.Cond{{Field: "ret", Op: event.AtLeast, Num: 1}}, From: "ret"},
				{If: []event.Cond{{Field: "ret", Op: event.Equals, Num: 0}, {Field: "users", Op: event.Equals, Num: 1}}, From: "users"},
			}},
		}, sized("len"), []event.Field{event.NetNS("sk")}),
		Else: []event.Probe{udpReceived("udp_recvmsg", false, sock, packet, sized), udpReceived("udpv6_recvmsg", true, sock, packet, sized)},
	}
}

// udpReceived is a receive on kernels before 4.10, where no function has all of
// it: the call tells whether it was a peek and what it returns, and the packet,
// which alone knows the sender if the caller does not ask for it, is given back
// in between. Other things than datagrams, such as errors, are not given back
// in this way.
func udpReceived(fn string, optional bool, sock, packet []event.Field, sized func(size string) []event.Field) event.Probe {
	return event.Probe{
		Funcs:    []string{fn},
		NonNull:  []string{"sk"},
		Optional: optional, // CONFIG_IPV6
		Return:   true,
		Inner: &event.Inner{
			// The name with __ is that of 4.7 to 4.9.
			Funcs:   []string{"skb_free_datagram_locked", "__skb_free_datagram_locked"},
			NonNull: []string{"skb"},
			Fields:  append([]event.Field{{Name: "skb", Expr: "skb", Kind: event.Pointer, Hidden: true}}, packet...),
		},
		Only: []event.Cond{{Field: "skb", Op: event.NotEquals}, {Field: "peek", Op: event.Equals}, {Field: "ret", Op: event.AtLeast}},
		Fields: slices.Concat(sock, []event.Field{
			{Name: "peek", Expr: "(flags >> 1) & 1", Kind: event.Uint, Hidden: true}, // MSG_PEEK, include/linux/socket.h
			{Name: "ret", Expr: "$retval", Kind: event.Int, Hidden: true},
		}, sized("$retval"), []event.Field{event.NetNS("sk")}),
	}
}

// udpSender is what a receive shows of its packet.
var udpSender = []event.Pick{{Part: "saddr", Name: "raddr"}, {Part: "sport", Name: "rport"}}

// udpSock is what a datagram's event shows of its socket.
var udpSock = []event.Pick{
	{Part: "family"}, {Part: "laddr"}, {Part: "lport"},
	{Part: "raddr", Name: "sock_raddr", Help: "remote address that the socket holds: 0.0.0.0 or :: where it is not connected"},
	{Part: "rport", Name: "sock_rport", Help: "remote port that the socket holds"},
}

// A cork is where a socket keeps the destination of a datagram that was begun
// with MSG_MORE or UDP_CORK, while udp_sock.pending has the family.
type cork struct {
	pending int64
	member  string // of struct flowi's union
	kind    *event.Kind
}

var (
	cork4 = cork{2, "ip4", event.IPv4}
	cork6 = cork{10, "ip6", event.IPv6}
)

// An address is given where msg_name is not NULL; for IPv6 it is none if its
// family is AF_UNSPEC, while udp_sendmsg takes that for AF_INET.
var (
	given4 = []event.Cond{{Field: "name", Op: event.NotEquals, Num: 0}}
	given6 = []event.Cond{{Field: "name", Op: event.NotEquals, Num: 0}, {Field: "to_family", Op: event.NotEquals, Num: 0}}
)

// udpSend are the fields of a send: the socket and the address given, read as
// one family has them, and what may be corked.
func udpSend(sock, sockaddr *event.Kind, given []event.Cond, corks ...cork) []event.Field {
	connected := []event.Cond{{Field: "state", Op: event.Equals, Num: 1}} // TCP_ESTABLISHED
	fields := []event.Field{
		{Expr: "sk", Kind: sock, Parts: udpSock},
		{Name: "size", Expr: "len", Kind: event.Size, Help: "bytes of payload: sent by this call, or received, as recvmsg returns them"},
		{Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.Uint, Hidden: true},
		{Name: "pending", Expr: "((struct udp_sock *)sk)->pending", Kind: event.Uint, Hidden: true},
		{Name: "name", Expr: "msg->msg_name", Kind: event.Pointer, Hidden: true},
		{Name: "to", Expr: "msg->msg_name", Kind: sockaddr, Hidden: true},
		event.NetNS("sk"),
	}
	raddr := event.Field{Name: "raddr", Help: "remote address: true destination, or sender"}
	rport := event.Field{Name: "rport", Help: "remote port: true destination, or sender"}
	dest := event.Field{Name: "dest", Help: "where the destination comes from: address (given with the send), connected (the socket's peer), corked (an earlier send)"}
	from := func(when []event.Cond, addr, port, text string) {
		raddr.Cases = append(raddr.Cases, event.Case{If: when, From: addr})
		rport.Cases = append(rport.Cases, event.Case{If: when, From: port})
		dest.Cases = append(dest.Cases, event.Case{If: when, Text: text})
	}
	for _, c := range corks {
		flow := "((struct inet_sock *)sk)->cork.fl.u." + c.member
		addr, port := c.member+"_daddr", c.member+"_dport"
		fields = append(fields,
			event.Field{Name: addr, Expr: flow + ".daddr", Kind: c.kind, Hidden: true},
			event.Field{Name: port, Expr: flow + ".uli.ports.dport", Kind: event.Port, Hidden: true})
		from([]event.Cond{{Field: "pending", Op: event.Equals, Num: c.pending}}, addr, port, "corked")
	}
	from(given, "to_addr", "to_port", "address")
	from(connected, "sock_raddr", "sock_rport", "connected")
	return append(fields, raddr, rport, dest)
}
