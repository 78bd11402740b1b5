package calibrate

// A member is one that is sought.
type member struct {
	key   string // by which samples name it: of the kind of memory, and its own
	owner string // the struct that it belongs to
	path  string // within that
	typ   string // C type; see typeOf
	size  int    // in bytes; 0: it is found out
	align int
	extra bool // not of every kernel, or not needed by a tool: no word if it is not found
}

// members are what is sought, with the kind of memory in which it is: "sock" is
// a struct sock and what it is the start of.
//
// The names are those that the kernel's own type information has, so that the
// expressions of the tools mean the same.
var members = []member{
	// struct sock_common, include/net/sock.h.
	{key: "sock.daddr", owner: "struct sock_common", path: "skc_daddr", typ: "__be32", size: 4, align: 4},
	{key: "sock.rcv_saddr", owner: "struct sock_common", path: "skc_rcv_saddr", typ: "__be32", size: 4, align: 4},
	{key: "sock.dport", owner: "struct sock_common", path: "skc_dport", typ: "__be16", size: 2, align: 2},
	{key: "sock.num", owner: "struct sock_common", path: "skc_num", typ: "__u16", size: 2, align: 2},
	{key: "sock.family", owner: "struct sock_common", path: "skc_family", typ: "unsigned short", size: 2, align: 2},
	{key: "sock.state", owner: "struct sock_common", path: "skc_state", typ: "unsigned char", size: 1, align: 1},
	{key: "sock.net", owner: "struct sock_common", path: "skc_net.net", typ: "*struct net", size: 8, align: 8},
	// Since 3.13; before, in ipv6_pinfo.
	{key: "sock.v6_rcv_saddr", owner: "struct sock_common", path: "skc_v6_rcv_saddr", typ: "struct in6_addr", size: 16, align: 4},
	{key: "sock.v6_daddr", owner: "struct sock_common", path: "skc_v6_daddr", typ: "struct in6_addr", size: 16, align: 4},

	{key: "sock.type", owner: "struct sock", path: "sk_type", typ: "u16", size: 2, align: 2},
	// 8 bits until 5.5 (a bit field of a whole byte), then 16.
	{key: "sock.protocol", owner: "struct sock", path: "sk_protocol", align: 1},
	// 16 bits until 3.x, then 32.
	{key: "sock.ack_backlog", owner: "struct sock", path: "sk_ack_backlog", align: 2},
	{key: "sock.max_ack_backlog", owner: "struct sock", path: "sk_max_ack_backlog", align: 2},
	// The queue of connections that are being made has qlen and young (those to
	// which was answered once) since 4.4, as atomic_t; before, it points to them.
	{key: "sock.qlen", owner: "struct inet_connection_sock", path: "icsk_accept_queue.qlen.counter", typ: "int", align: 4, extra: true},
	{key: "sock.young", owner: "struct inet_connection_sock", path: "icsk_accept_queue.young.counter", typ: "int", align: 4, extra: true},
	{key: "sock.mark", owner: "struct sock", path: "sk_mark", typ: "u32", size: 4, align: 4},
	{key: "sock.priority", owner: "struct sock", path: "sk_priority", typ: "u32", size: 4, align: 4},
	{key: "sock.sndbuf", owner: "struct sock", path: "sk_sndbuf", typ: "int", size: 4, align: 4},
	{key: "sock.err", owner: "struct sock", path: "sk_err", typ: "int", size: 4, align: 4},
	{key: "sock.uid", owner: "struct sock", path: "sk_uid.val", typ: "unsigned int", size: 4, align: 4, extra: true}, // 4.10
	// In struct sock until 4.0.
	{key: "sock.flags", owner: "struct sock_common", path: "skc_flags", typ: "unsigned long", align: 8},
	{key: "sock.rcvbuf", owner: "struct sock", path: "sk_rcvbuf", typ: "int", size: 4, align: 4},

	{key: "socket.sk", owner: "struct socket", path: "sk", typ: "*struct sock", size: 8, align: 8}, // include/linux/net.h

	// struct inet_sock, include/net/inet_sock.h; struct flowi, include/net/flow.h.
	{key: "sock.saddr", owner: "struct inet_sock", path: "inet_saddr", typ: "__be32", size: 4, align: 4},
	{key: "sock.sport", owner: "struct inet_sock", path: "inet_sport", typ: "__be16", size: 2, align: 2},
	{key: "sock.cork4_daddr", owner: "struct inet_sock", path: "cork.fl.u.ip4.daddr", typ: "__be32", size: 4, align: 4},
	{key: "sock.cork4_dport", owner: "struct inet_sock", path: "cork.fl.u.ip4.uli.ports.dport", typ: "__be16", size: 2, align: 2},
	{key: "sock.cork6_daddr", owner: "struct inet_sock", path: "cork.fl.u.ip6.daddr", typ: "struct in6_addr", size: 16, align: 4},
	{key: "sock.cork6_dport", owner: "struct inet_sock", path: "cork.fl.u.ip6.uli.ports.dport", typ: "__be16", size: 2, align: 2},
	{key: "sock.pinet6", owner: "struct inet_sock", path: "pinet6", typ: "*struct ipv6_pinfo", align: 8, extra: true},
	// struct ipv6_pinfo, include/linux/ipv6.h; the addresses of the socket are in it until 3.12.
	{key: "pinfo.saddr", owner: "struct ipv6_pinfo", path: "saddr", typ: "struct in6_addr", size: 16, align: 4, extra: true},
	{key: "pinfo.rcv_saddr", owner: "struct ipv6_pinfo", path: "rcv_saddr", typ: "struct in6_addr", size: 16, align: 4, extra: true},
	{key: "pinfo.daddr", owner: "struct ipv6_pinfo", path: "daddr", typ: "struct in6_addr", size: 16, align: 4, extra: true},
	// include/linux/udp.h
	{key: "sock.pending", owner: "struct udp_sock", path: "pending", typ: "int", size: 4, align: 4},
	// include/linux/tcp.h; since 4.1 to 4.19.
	{key: "sock.bytes_received", owner: "struct tcp_sock", path: "bytes_received", typ: "u64", size: 8, align: 8},
	{key: "sock.bytes_acked", owner: "struct tcp_sock", path: "bytes_acked", typ: "u64", size: 8, align: 8},
	{key: "sock.bytes_sent", owner: "struct tcp_sock", path: "bytes_sent", typ: "u64", size: 8, align: 8, extra: true},
	{key: "sock.segs_in", owner: "struct tcp_sock", path: "segs_in", typ: "u32", size: 4, align: 4, extra: true},
	{key: "sock.segs_out", owner: "struct tcp_sock", path: "segs_out", typ: "u32", size: 4, align: 4, extra: true},
	{key: "sock.data_segs_in", owner: "struct tcp_sock", path: "data_segs_in", typ: "u32", size: 4, align: 4, extra: true},
	{key: "sock.data_segs_out", owner: "struct tcp_sock", path: "data_segs_out", typ: "u32", size: 4, align: 4, extra: true},

	// struct sk_buff, include/linux/skbuff.h.
	{key: "skb.len", owner: "struct sk_buff", path: "len", typ: "unsigned int", size: 4, align: 4},
	{key: "skb.data_len", owner: "struct sk_buff", path: "data_len", typ: "unsigned int", size: 4, align: 4},
	{key: "skb.head", owner: "struct sk_buff", path: "head", typ: "*unsigned char"},
	{key: "skb.data", owner: "struct sk_buff", path: "data", typ: "*unsigned char"},
	{key: "skb.tail", owner: "struct sk_buff", path: "tail", typ: "unsigned int"},
	// 32 bits until 3.10, then 16.
	{key: "skb.transport_header", owner: "struct sk_buff", path: "transport_header", align: 2},
	{key: "skb.network_header", owner: "struct sk_buff", path: "network_header", align: 2},
	{key: "skb.mac_header", owner: "struct sk_buff", path: "mac_header", align: 2},
	{key: "skb.protocol", owner: "struct sk_buff", path: "protocol", typ: "__be16", size: 2, align: 2},
	{key: "skb.dev", owner: "struct sk_buff", path: "dev", typ: "*struct net_device", size: 8, align: 8},
	{key: "skb.sk", owner: "struct sk_buff", path: "sk", typ: "*struct sock", size: 8, align: 8},
	{key: "skb.users", owner: "struct sk_buff", path: "users.refs.counter", typ: "int", size: 4, align: 4},

	{key: "dev.name", owner: "struct net_device", path: "name", typ: "[16]char", size: 16, align: 1},
	{key: "dev.ifindex", owner: "struct net_device", path: "ifindex", typ: "int", size: 4, align: 4},
	{key: "dev.nd_net", owner: "struct net_device", path: "nd_net.net", typ: "*struct net", size: 8, align: 8},
	{key: "neigh.dev", owner: "struct neighbour", path: "dev", typ: "*struct net_device", size: 8, align: 8},
	// proc_inum until 3.18; the value is the same.
	{key: "net.inum", owner: "struct net", path: "ns.inum", typ: "unsigned int", size: 4, align: 4},
	{key: "msg.name", owner: "struct msghdr", path: "msg_name", typ: "*void"},
	{key: "msg.namelen", owner: "struct msghdr", path: "msg_namelen", typ: "int", size: 4, align: 4},
}
