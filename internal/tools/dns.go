package tools

import (
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

var _ = add(event.Tool{
	Name:  "dns",
	Short: "DNS questions and answers, by process, with server, code, addresses and latency",
	Long: `Shows each DNS answer that a process receives, with the question that it had
asked, the server, the code, the first addresses and the time since the question;
and what processes answer themselves (role server). What was not answered is
shown at the end, or after 30 s.

The messages are taken from what processes send and receive, over UDP and TCP
(from Linux 5.0 on), so it does not matter with which library, or with none, a
program asks. Port 53 is looked at, or those that --port gives; --mdns adds
multicast DNS and LLMNR. What --udp leaves out costs most on a host that moves
much over TCP.`,
	Example: `# Names that are asked for most, and those that take longest
skprobe dns --count-by name --hist latency_ms --where 'role == "client"'`,
	Cost:  "about 3 µs for each datagram that any process sends or receives, and, without --udp, 9 µs for each send and each receipt over TCP",
	Ports: []uint16{53},
	Options: []event.Option{
		{Name: "mdns", Help: "also multicast DNS and LLMNR: ports 5353 and 5355", Ports: []uint16{5353, 5355}},
		{Name: "queries", Help: "show questions too, when they are asked", Events: []string{"dns.query"}},
		{Name: "udp", Help: "only over UDP: nothing is probed where processes send and receive over TCP",
			Without: []string{"dns.tcp_sent", "dns.tcp_reading", "dns.tcp_received", "dns.tcp_read"}},
	},
	Events: []event.Source{
		{Name: "dns.query", Short: "a question is asked (--queries)"},
		{Name: "dns.answer", Short: "a question is answered"},
		{Name: "dns.unanswered", Short: "a question was not answered within 30 s, or until the end"},
		{
			Name: "dns.sent", Hidden: true, Short: "a datagram is sent",
			Probes: []event.Probe{{
				Funcs:   []string{"ip_send_skb"},
				NonNull: []string{"skb"},
				Fields:  dnsSent(event.DatagramSent4()),
			}, {
				// Until 3.19 what is inlined in the caller calls the second.
				Funcs:    []string{"ip6_send_skb", "ip6_local_out"},
				NonNull:  []string{"skb"},
				Optional: true, // CONFIG_IPV6
				Fields:   dnsSent(event.DatagramSent6()),
			}},
		}, {
			Name: "dns.received", Hidden: true, Short: "a datagram is received",
			Probes: []event.Probe{udpTaken(
				[]event.Field{event.SkAddr("sk")},
				[]event.Field{dnsDatagram(event.DatagramReceived(), "daddr", "saddr")},
				func(string) []event.Field { return dnsFields() })},
		},
		{Name: "dns.tcp_sent", Hidden: true, Short: "bytes are sent over TCP", Probes: []event.Probe{dnsTCPSent}},
		{Name: "dns.tcp_reading", Hidden: true, Short: "a packet of TCP is read", Probes: []event.Probe{dnsTCPReading}},
		{Name: "dns.tcp_received", Hidden: true, Short: "what may be a message is copied to a process", Probes: []event.Probe{dnsTCPReceived}},
		{Name: "dns.tcp_read", Hidden: true, Short: "no more is read", Probes: []event.Probe{dnsTCPRead}},
	},
	Columns: []string{"role", "laddr", "lport", "raddr", "rport", "proto", "id", "type", "rcode", "latency_ms", "tries", "name", "answer", "answers", "truncated"},
	Keys:    []string{"laddr", "lport", "raddr", "rport"},
	Reduce:  newLookups,
})

// dnsSent are the fields of a datagram that is sent.
func dnsSent(kind *event.Kind) []event.Field {
	return slices.Concat(
		[]event.Field{event.SkAddr("skb->sk"), dnsDatagram(kind, "saddr", "daddr")},
		dnsFields(), []event.Field{event.NetNS("skb->sk")})
}

// dnsTCP are what is needed for the messages over TCP. Without one of them none
// is looked at: a question whose answer cannot be seen would be shown as
// unanswered.
var dnsTCP = []string{"struct iov_iter", "simple_copy_to_iter()", "skb_copy_datagram_iter()", "tcp_cleanup_rbuf()"}

// dnsTCPSent is a send, whose bytes are still in the memory of the process.
var dnsTCPSent = event.Probe{
	Funcs:    []string{"tcp_sendmsg"},
	Needs:    dnsTCP,
	NonNull:  []string{"sk", "msg"},
	Optional: true,
	Fields: slices.Concat(
		[]event.Field{event.SkAddr("sk"), dnsEnds("sk"), {Expr: "msg", Kind: event.Given, Parts: []event.Pick{
			{Part: "piece", Name: "piece", Hidden: true}, {Part: "piece2", Name: "piece2", Hidden: true}, {Part: "piece4", Name: "piece4", Hidden: true}}},
			{Name: "bytes", Expr: "size", Kind: event.Uint, Hidden: true}},
		dnsFields(), []event.Field{event.NetNS("sk")}),
}

// What a process receives are pieces of packets, which a function copies that
// knows nothing of the socket. Just before, on the same thread, another one is
// given the packet, which belongs to the socket; and when all is copied, a third
// one the socket. Of those two the kernel records only those of the ports that
// are looked at, and of the pieces only what looks like a message.
var (
	dnsTCPReading = event.Probe{
		Funcs:    []string{"skb_copy_datagram_iter"},
		Needs:    dnsTCP,
		NonNull:  []string{"skb"},
		Optional: true,
		Fields:   []event.Field{event.SkAddr("skb->sk"), dnsEnds("skb->sk"), event.NetNS("skb->sk")},
	}
	dnsTCPReceived = event.Probe{
		Funcs:    []string{"simple_copy_to_iter"},
		Params:   "const void *addr, size_t bytes, void *data, struct iov_iter *i",
		Needs:    dnsTCP,
		NonNull:  []string{"addr"},
		Optional: true,
		// A header is 12 bytes, of which these two say how many questions
		// there are. Two bytes with the message's length may be before it.
		Rare: []event.Cond{{Field: "message", Op: event.AtLeast, Num: 12}},
		Fields: slices.Concat([]event.Field{
			{Name: "bytes", Expr: "bytes", Kind: event.Uint, Hidden: true},
			{Name: "questions", Expr: "*(u16 *)((u8 *)addr + 4)", Kind: event.Uint, Hidden: true},
			{Name: "questions2", Expr: "*(u16 *)((u8 *)addr + 6)", Kind: event.Uint, Hidden: true},
			{Name: "message", Hidden: true, Cases: []event.Case{
				{If: []event.Cond{{Field: "questions", Op: event.Equals, Num: oneBE16}}, From: "bytes"},
				{If: []event.Cond{{Field: "questions2", Op: event.Equals, Num: oneBE16}}, From: "bytes"},
			}},
			{Name: "copied", Expr: "addr", KindName: fmt.Sprintf("bytes[%d]", event.GivenSize), Hidden: true},
		}, dnsFields()),
	}
	dnsTCPRead = event.Probe{
		Funcs:    []string{"tcp_cleanup_rbuf"},
		Needs:    dnsTCP,
		NonNull:  []string{"sk"},
		Optional: true,
		Fields: []event.Field{
			{Name: "bytes", Expr: "copied", Kind: event.Uint, Hidden: true},
			{Name: "lport", Expr: "sk->__sk_common.skc_num", Kind: event.Uint16, Help: "local port", Wide: true},
			{Name: "rport", Expr: "sk->__sk_common.skc_dport", Kind: event.Port, Help: "remote port", Wide: true},
		},
	}
)

// oneBE16 is 1 in network order.
const oneBE16 = 0x0100

// dnsEnds are the ends of a connection.
func dnsEnds(sk string) event.Field {
	return event.Field{Expr: sk, Kind: event.Sock, Parts: []event.Pick{
		{Part: "laddr", Wide: true}, {Part: "lport", Wide: true}, {Part: "raddr"}, {Part: "rport", Wide: true}}}
}

// dnsDatagram are the ends of a datagram, of which one is this host's, and its
// payload.
func dnsDatagram(kind *event.Kind, local, remote string) event.Field {
	port := map[string]string{"saddr": "sport", "daddr": "dport"}
	return event.Field{Expr: "skb", Kind: kind, Parts: []event.Pick{
		{Part: local, Name: "laddr", Help: "local address", Wide: true},
		{Part: port[local], Name: "lport", Help: "local port", Wide: true},
		{Part: remote, Name: "raddr", Help: "remote address: the server that is asked, or for role server the client"},
		{Part: port[remote], Name: "rport", Help: "remote port", Wide: true},
		{Part: "payload", Hidden: true},
	}}
}

// dnsFields are those of the message.
func dnsFields() []event.Field {
	text := func(name, help string) event.Field {
		return event.Field{Name: name, Computed: true, Kind: event.Char, Help: help}
	}
	role := &event.Kind{Name: "role", Class: event.Text, Width: 6, Names: []string{"client", "server"}}
	proto := &event.Kind{Name: "proto", Class: event.Text, Width: 5, Names: []string{"udp", "tcp"}}
	short := &event.Kind{Name: "text", Class: event.Text, Width: 8}
	return []event.Field{
		{Name: "role", Computed: true, Kind: role, Help: "client: the process asks; server: it is asked"},
		{Name: "proto", Computed: true, Kind: proto, Wide: true, Help: "udp or tcp"},
		{Name: "id", Computed: true, Kind: event.Uint16, Wide: true, Help: "number of the question, by which its answer is known"},
		{Name: "type", Computed: true, Kind: short, Help: "type of record that is asked for: A, AAAA, MX"},
		text("name", "name that is asked for"),
		{Name: "rcode", Computed: true, Kind: short, Help: "code of the answer: NOERROR, NXDOMAIN, SERVFAIL"},
		text("answer", "addresses in the answer, or where there are none names and texts; the first eight"),
		{Name: "answers", Computed: true, Kind: event.Uint16, Wide: true, Help: "records that the answer has"},
		{Name: "truncated", Computed: true, Kind: event.BoolKind, Wide: true, Help: "the answer did not fit into a datagram"},
		{Name: "latency_ms", Computed: true, Kind: event.Millis, Help: "time from the question, the first if it was asked again, to this answer"},
		{Name: "tries", Computed: true, Kind: event.Uint16, Wide: true, Help: "how often was asked"},
	}
}
