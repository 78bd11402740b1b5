package tools

import "github.com/skprobe/skprobe/internal/event"

var _ = add(event.Tool{
	Name:  "tcpbacklog",
	Short: "connections that come in to listening sockets, and their two queues",
	Long: `Shows each SYN for a listening TCP socket (syn) and each handshake that is
completed (established), with the lengths of the socket's two queues at that
moment: syn_queue, connections whose handshake is not complete, and
accept_queue, those that are complete and that no process has accepted, with
accept_limit. The kernel takes one more than the limit.

overflow is a SYN, or the last packet of a handshake, that is dropped because
a queue is full; queue says which. drop is a SYN that is dropped for another
reason: too many requests in the whole namespace without syncookies, no memory,
no route back. answer is what a SYN gets: syn-ack, cookie (a SYN-ACK that makes
no entry in the queue), fastopen or none.

established tells how many SYNs the client had to send and how long that took.
When a socket ends, or tracing does, listener has its high-water marks: the
lengths that the queues had at most, and how much of everything there was.

pid and comm are those of the process that listens or that last accepted from
the socket, where it did that while skprobe runs.`,
	Example: `# Why clients of port 443 wait for seconds: their SYNs, and what becomes of them
skprobe tcpbacklog --lport 443`,
	Cost: "about 3 µs for each SYN and each connection, also while a host is flooded with SYNs",
	// The histogram of bcc's tool: the accept queue at each SYN, by its limit.
	Aliases: []event.Alias{{Name: "tcpsynbl", Args: []string{"--syn", "--count-by", "accept_limit", "--hist", "accept_queue"}}},
	Events: append([]event.Source{
		backlogEvent("syn", "syn", "a SYN arrives for a listening socket"),
		backlogEvent("established", "established", "a handshake is completed"),
		backlogEvent("overflow", "overflow", "a packet of a handshake is dropped for a full queue"),
		backlogEvent("drop", "drop", "a SYN is dropped for another reason"),
		backlogEvent("listener", "listeners", "a listening socket ends, or tracing does"),
		{
			Name: "tcp.conn_request", Hidden: true, Softirq: true, Socket: "skaddr", Short: "a SYN arrives",
			Probes: []event.Probe{synArrives("tcp_conn_request", "void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb", false,
				synArrives("tcp_v4_conn_request", "struct sock *sk, struct sk_buff *skb", true),
				synArrives("tcp_v6_conn_request", "struct sock *sk, struct sk_buff *skb", false))},
		}, {
			Name: "tcp.complete", Hidden: true, Softirq: true, Socket: "skaddr", Short: "a connection is queued for accept",
			Probes: []event.Probe{{
				Funcs:   []string{"inet_csk_complete_hashdance"}, // 4.4
				Params:  "struct sock *sk, struct sock *child",
				NonNull: []string{"sk", "child"},
				Return:  true,
				Only:    []event.Cond{hasChild},
				Fields: append(listenerFields(), child,
					event.Field{Expr: "child", Kind: event.Sock, Parts: shown([]string{"laddr", "raddr", "rport"})}),
				Else: []event.Probe{childMade("tcp_v4_syn_recv_sock", true), childMade("tcp_v6_syn_recv_sock", false)},
			}, {
				// Without an entry in the queue: of a cookie. Before 4.4, those
				// above have it.
				Funcs:    []string{"tcp_get_cookie_sock"},
				Params:   "struct sock *sk, struct sk_buff *skb",
				NonNull:  []string{"sk", "skb"},
				Return:   true,
				Optional: true,
				Only:     []event.Cond{hasChild, {Field: "qlen", Op: event.AtLeast, Num: 0}},
				Fields: append(listenerFields(), child, clientOf("skb"),
					event.Field{Name: "qlen", Expr: "((struct inet_connection_sock *)sk)->icsk_accept_queue.qlen.counter", Kind: event.Uint, Hidden: true}),
			}},
		}, {
			Name: "tcp.last_ack", Hidden: true, Softirq: true, Socket: "skaddr", Short: "the last packet of a handshake arrives",
			Probes: []event.Probe{lastArrives("tcp_v4_syn_recv_sock", true), lastArrives("tcp_v6_syn_recv_sock", false)},
		},
	}, event.TCPListeners()...),
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "syn_queue", "accept_queue", "accept_limit", "answer", "queue", "syns", "connections", "overflows", "duration_ms"},
	Keys:    []string{"family", "lport"},
	Reduce:  newBacklog,
})

// backlogEvent is one that is shown; the reducer makes it.
func backlogEvent(name, flag, short string) event.Source {
	return event.Source{Name: name, Flag: flag, Short: short, Softirq: true, Socket: "skaddr"}
}

// A function that returns a socket has made one.
var (
	child    = event.Field{Name: "made", Expr: "$retval", Kind: event.Pointer, Hidden: true}
	hasChild = event.Cond{Field: "made", Op: event.NotEquals, Num: 0}
)

// onlyIPv4 leaves out what the function for IPv6 does by calling that for IPv4:
// it has been seen there.
func onlyIPv4(only []event.Cond, is bool) []event.Cond {
	if is {
		only = append(only, event.Cond{Field: "family", Op: event.Equals, Num: afInet})
	}
	return only
}

// synArrives is a function that takes a SYN: until 3.16 one for each family.
// It always returns 0; whether the SYN was answered tells what it called.
func synArrives(fn, params string, ipv4 bool, older ...event.Probe) event.Probe {
	return event.Probe{
		Funcs:    []string{fn},
		Params:   params,
		NonNull:  []string{"sk", "skb"},
		Return:   true,
		Only:     onlyIPv4(nil, ipv4),
		Optional: fn == "tcp_v6_conn_request", // CONFIG_IPV6
		Inner: &event.Inner{
			Funcs:   []string{"tcp_make_synack"},
			Params:  "struct sock *sk, struct dst_entry *dst, struct request_sock *req",
			NonNull: []string{"req"},
			Fields: []event.Field{
				{Name: "req", Expr: "req", Kind: event.Pointer, Hidden: true},
				// enum tcp_synack_type; a flag that means the contrary in 4.4, nothing before.
				{Name: "synack_type", Expr: "synack_type", Kind: event.Uint, Hidden: true, Optional: true},
			},
		},
		Fields: append(listenerFields(), clientOf("skb"),
			event.Field{Name: "syn", Expr: "skb", Kind: event.Received(), Parts: []event.Pick{{Part: "seq", Name: "isn"}}, Hidden: true}),
		Else: older,
	}
}

// lastArrives is a function that makes a socket of a request whose handshake is
// complete, unless the queue is full.
func lastArrives(fn string, ipv4 bool) event.Probe {
	return event.Probe{
		Funcs:    []string{fn},
		Params:   "struct sock *sk, struct sk_buff *skb",
		NonNull:  []string{"sk", "skb"},
		Only:     onlyIPv4(nil, ipv4),
		Optional: !ipv4, // CONFIG_IPV6
		Fields:   append(listenerFields(), clientOf("skb")),
	}
}

// childMade is lastArrives when it has made one: until 4.3 it is queued then.
func childMade(fn string, ipv4 bool) event.Probe {
	p := lastArrives(fn, ipv4)
	p.Return = true
	p.Only = append(p.Only, hasChild)
	p.Fields = append(p.Fields, child)
	return p
}

// clientOf are the ends of a connection, from a packet whose TCP header is next.
func clientOf(skb string) event.Field {
	return event.Field{Expr: skb, Kind: event.Received(), Parts: []event.Pick{
		{Part: "saddr", Name: "raddr", Help: "client's address"}, {Part: "sport", Name: "rport", Help: "client's port"},
		{Part: "daddr", Name: "laddr", Help: "address that the client wants; of a listener, the one that it is bound to"}}}
}

// answers are the ways in which a SYN is answered: enum tcp_synack_type of
// include/net/tcp.h, plus 1.
var answers = event.Named("answer", "how a SYN was answered", 0, "none", "syn-ack", "fastopen", "cookie")

const (
	answerNone = iota
	answerSynAck
	answerFastOpen
	answerCookie
)

var fullQueue = event.Named("queue", "queue of a listening socket", 0, "syn", "accept")

// listenerFields are what is taken of a listening socket.
func listenerFields() []event.Field {
	const queue = "((struct inet_connection_sock *)sk)->icsk_accept_queue"
	hidden := func(name, expr string) event.Field {
		return event.Field{Name: name, Expr: expr, Kind: event.Uint, Hidden: true, Optional: true}
	}
	computed := func(name string, kind *event.Kind, help string) event.Field {
		return event.Field{Name: name, Computed: true, Kind: kind, Help: help}
	}
	return []event.Field{
		event.SkAddr("sk"),
		{Expr: "sk", Kind: event.Sock, Parts: []event.Pick{{Part: "family", Help: "address family of the listening socket"}, {Part: "lport", Help: "its port"}}},
		{Name: "bound", Expr: "sk", Kind: event.Sock, Parts: []event.Pick{{Part: "laddr"}}, Hidden: true},
		{Name: "accept_queue", Expr: "sk->sk_ack_backlog", Kind: event.Uint, Help: "connections that wait for accept; of a listener, the most that did"},
		{Name: "accept_limit", Expr: "sk->sk_max_ack_backlog", Kind: event.Uint, Help: "limit of accept_queue, beyond which there is room for one more"},
		// 4.4; 4.1 to 4.3, minus the next; before.
		{Name: "syn_queue", Expr: queue + ".qlen.counter ?? " + queue + ".listen_opt->qlen_inc ?? " + queue + ".listen_opt->qlen", Kind: event.Uint,
			Help: "connections whose handshake is not complete; of a listener, the most that there were"},
		hidden("qlen_dec", queue+".listen_opt->qlen_dec.counter"),
		hidden("syn_limit", queue+".listen_opt->nr_table_entries"), // since 4.4 accept_limit is that of both
		computed("answer", answers, "how the SYN was answered: syn-ack, cookie, fastopen, none"),
		computed("queue", fullQueue, "overflow: the queue that is full: syn, accept"),
		computed("syns", event.Uint, "SYNs from this client that were seen; of a listener, all"),
		{Name: "connections", Computed: true, Kind: event.Uint, Wide: true, Help: "listener: handshakes that were completed"},
		computed("overflows", event.Uint, "listener: packets that were dropped for a full queue"),
		computed("duration_ms", event.Millis, "established: time since the first SYN, in milliseconds"),
		event.NetNS("sk"),
	}
}
