package tools

import "github.com/skprobe/skprobe/internal/event"

var _ = add(event.Tool{
	Name:  "tcpretrans",
	Short: "TCP segments that are sent again, of SYN and SYN-ACK too, and tail-loss probes",
	Long: `Shows each TCP segment that the kernel sends again because it was not
acknowledged in time: data and FIN, the SYN of a connection that is being made,
and the SYN-ACK of one that is being accepted.

type is retransmit, syn or syn-ack; and with --loss-probes loss-probe, when the
last segments of a flow were not acknowledged for about two round trips and the
kernel sends one more, or the last one again, to find out. seq is the first
sequence number of what is sent again; a probe that sends new data has none.
ca_state tells why: Recovery after duplicate acknowledgements (a fast
retransmit), Loss after a timeout.

It happens in softirq, where the current task is a bystander. pid and comm are
therefore those of the process that connected, accepted or listens, if it did so
while skprobe runs, and absent otherwise. A segment that could not be sent again
(for want of memory, because the first is still in the queue of the device) is
not shown.`,
	Example: `# What is lost on the way to the database, with the probes that the kernel sends first
skprobe tcpretrans --loss-probes --rport 5432`,
	Cost: "about 3 µs for each retransmission, and 1 µs each time that a TCP socket connects, is accepted or ends",
	Options: []event.Option{
		{Name: "loss-probes", Letter: "l", Help: "show tail-loss probes too", Events: []string{"tcp.loss_probe"}},
		{Name: "count-flows", Letter: "c", Help: "show only how many there were of each flow, at the end", Args: []string{"count-by=laddr,lport,raddr,rport"}},
	},
	Events: append([]event.Source{{
		Name:    "tcp.retransmit",
		Short:   "a segment is sent again",
		Softirq: true,
		Socket:  "skaddr",
		Probes:  []event.Probe{segmentAgain, synAckAgain},
	}, {
		Name:    "tcp.loss_probe",
		Short:   "a tail-loss probe is sent",
		Softirq: true,
		Socket:  "skaddr",
		Probes:  []event.Probe{lossProbe},
	}}, event.TCPOwners()...),
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "type", "state", "seq", "ca_state"},
})

// segmentAgain is a segment of a socket. tcp_retransmit_skb is what sends all of
// them again but tail-loss probes.
var segmentAgain = event.Probe{
	Funcs:   []string{"tcp_retransmit_skb"},
	Params:  "struct sock *sk, struct sk_buff *skb",
	NonNull: []string{"sk", "skb"},
	Return:  true,
	Only:    []event.Cond{sent, hasEnds},
	Fields:  append(retransmitted(), seqOf("skb"), result, retransmitType),
	Else: []event.Probe{{
		Tracepoint: "tcp:tcp_retransmit_skb",
		Fields:     append(tracedRetransmit(), event.Field{Name: "state", Expr: "state", Kind: event.State, Optional: true}, retransmitType),
	}},
}

// synAckAgain is a SYN-ACK, of a socket that listens.
var synAckAgain = event.Probe{
	Funcs:   []string{"tcp_rtx_synack", "inet_rtx_syn_ack"},
	Params:  "struct sock *sk, struct request_sock *req",
	NonNull: []string{"sk", "parent", "req"},
	Return:  true,
	Only:    []event.Cond{sent, hasEnds},
	// A request begins as a socket does, since 3.13.
	Fields: append(retransmittedSynAck(), event.Field{Expr: "(struct sock *)&req->__req_common", Kind: event.Sock, Parts: shown(tcpEnds)}),
	Else: []event.Probe{{
		Tracepoint: "tcp:tcp_retransmit_synack",
		Fields:     append(tracedRetransmit(), typeIs("syn-ack")),
		Else: []event.Probe{{
			Funcs:   []string{"inet_rtx_syn_ack"},
			Params:  "struct sock *parent, struct request_sock *req",
			NonNull: []string{"parent", "req"},
			Return:  true,
			Only:    []event.Cond{sent, hasEnds},
			Fields:  append(retransmittedSynAck(), oldRequestEnds()...),
		}},
	}},
}

// lossProbe is a tail-loss probe; none is sent while another is under way.
var lossProbe = event.Probe{
	Funcs:   []string{"tcp_send_loss_probe"},
	Params:  "struct sock *sk",
	NonNull: []string{"sk"},
	Return:  true,
	Only:    []event.Cond{{Field: "pending", Op: event.Equals, Num: 0}, hasEnds},
	Inner: &event.Inner{
		Funcs:   []string{"__tcp_retransmit_skb", "tcp_retransmit_skb"},
		Params:  "struct sock *sk, struct sk_buff *skb",
		NonNull: []string{"skb"},
		Fields:  []event.Field{seqOf("skb")},
	},
	Fields: append(retransmitted(), typeIs("loss-probe"),
		event.Field{Name: "pending", Expr: "((struct tcp_sock *)sk)->tlp_high_seq", Kind: event.Uint, Hidden: true}),
}

// tcpEnds are the ends of a TCP socket.
var tcpEnds = []string{"family", "laddr", "lport", "raddr", "rport"}

// shown picks parts under their own names.
func shown(parts []string) []event.Pick {
	var picks []event.Pick
	for _, p := range parts {
		picks = append(picks, event.Pick{Part: p})
	}
	return picks
}

var (
	// What could not be sent makes an error, or 1 where the device's queue
	// dropped it.
	sent   = event.Cond{Field: "ret", Op: event.Equals, Num: 0}
	result = event.Field{Name: "ret", Expr: "(int)$retval", Kind: event.Int, Hidden: true}
	// Without the ends of a flow its event would tell nothing.
	hasEnds = event.Cond{Field: "family", Op: event.NotEquals, Num: 0}
)

// retransmitType is that of a segment of a socket.
var retransmitType = event.Field{Name: "type", Help: "retransmit, syn, syn-ack or loss-probe", Cases: []event.Case{
	{If: []event.Cond{{Field: "state", Op: event.Equals, Num: tcpSynSent}}, Text: "syn"},
	{Text: "retransmit"},
}}

func typeIs(text string) event.Field {
	return event.Field{Name: "type", Cases: []event.Case{{Text: text}}}
}

// congestion is enum tcp_ca_state of include/uapi/linux/tcp.h.
var congestion = event.Named("ca_state", "state of congestion control", 0, "Open", "Disorder", "CWR", "Recovery", "Loss")

// retransmitted are what is shown of a socket that sends a segment again.
func retransmitted() []event.Field {
	return []event.Field{
		{Expr: "sk", Kind: event.Sock, Parts: shown(tcpEnds)},
		{Name: "state", Expr: "sk->__sk_common.skc_state", Kind: event.State, Help: "state of the socket"},
		event.SkAddr("sk"),
		{Name: "ca_state", Expr: "((struct inet_connection_sock *)sk)->icsk_ca_state", Kind: congestion,
			Help: "state of congestion control: Recovery after duplicate acknowledgements, Loss after a timeout"},
		event.NetNS("sk"),
	}
}

// seqOf is the sequence number of a segment in a socket's queue, where the
// packet has no headers yet: struct tcp_skb_cb of include/net/tcp.h.
func seqOf(skb string) event.Field {
	return event.Field{Name: "seq", Expr: "((struct tcp_skb_cb *)&" + skb + "->cb)->seq", Kind: event.Uint, Help: "sequence number of the segment"}
}

// retransmittedSynAck are what is shown of a request whose SYN-ACK is sent
// again, but for its ends. The socket is the one that listens.
func retransmittedSynAck() []event.Field {
	return []event.Field{
		event.SkAddr("sk ?? parent"),
		{Name: "seq", Expr: "((struct tcp_request_sock *)req)->snt_isn", Kind: event.Uint},
		result, typeIs("syn-ack"), event.NetNS("(sk ?? parent)"),
	}
}

// oldRequestEnds are the ends of a request until 3.12: struct inet_request_sock
// of include/net/inet_sock.h, tcp6_request_sock of include/linux/ipv6.h.
func oldRequestEnds() []event.Field {
	const req, req6 = "((struct inet_request_sock *)req)", "((struct tcp6_request_sock *)req)->tcp6rsk_inet6"
	fields := []event.Field{
		{Name: "family", Expr: "req->rsk_ops->family", Kind: event.Family},
		{Name: "lport", Expr: "parent->__sk_common.skc_num", Kind: event.Uint16},
		{Name: "rport", Expr: req + "->rmt_port", Kind: event.Port},
	}
	for _, end := range []struct{ name, member string }{{"laddr", "loc_addr"}, {"raddr", "rmt_addr"}} {
		fields = append(fields, address(end.name,
			event.Field{Expr: req + "->" + end.member, Kind: event.IPv4}, event.Field{Expr: req6 + "." + end.member, Kind: event.IPv6})...)
	}
	return fields
}

// tracedRetransmit are the fields that the tracepoints of retransmissions
// record (4.15; family since 5.11). The IPv6 address of an IPv4 socket is its
// mapped one.
func tracedRetransmit() []event.Field {
	return []event.Field{
		event.SkAddr("skaddr"),
		{Name: "family", Expr: "family", Kind: event.Family, Optional: true},
		{Name: "laddr", Expr: "saddr_v6", Kind: event.IPv6},
		{Name: "lport", Expr: "sport", Kind: event.Uint16},
		{Name: "raddr", Expr: "daddr_v6", Kind: event.IPv6},
		{Name: "rport", Expr: "dport", Kind: event.Uint16},
	}
}
