package event

import (
	"encoding/binary"
	"net/netip"
)

// Address families, as in include/linux/socket.h.
const (
	afInet  = 2
	afInet6 = 10
)

// Family is an address family by name.
var Family = &Kind{Name: "family", Help: "address family of the socket: inet, inet6", Class: Text, Width: 6,
	Reads: value1, Decode: decodeUnsigned, Append: appendFamily, Compare: CompareNumber, Lookup: lookupFamily,
	Names: []string{"inet", "inet6", "unix", "netlink", "packet"}}

func appendFamily(dst []byte, v *Value) []byte {
	switch v.Num {
	case afInet:
		return append(dst, "inet"...)
	case afInet6:
		return append(dst, "inet6"...)
	case 1:
		return append(dst, "unix"...)
	case 16:
		return append(dst, "netlink"...)
	case 17:
		return append(dst, "packet"...)
	}
	return appendUnsigned(dst, v)
}

func lookupFamily(s string) (uint64, bool) {
	if n, ok := map[string]uint64{"inet": afInet, "inet6": afInet6, "unix": 1, "netlink": 16, "packet": 17}[s]; ok {
		return n, true
	}
	return lookupUnsigned(s)
}

// State is the state of a socket by name, as in include/net/tcp_states.h; a UDP
// socket that is connected has the state ESTABLISHED, otherwise CLOSE.
var State = Named("state", "state of the socket, as TCP names it", 1,
	"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND_INACTIVE")

// The reads of a sock, in the order that decodeSock expects. The head of
// struct sock_common has been the same since 3.10. The IPv6 addresses joined
// it in 3.13 and are not there without CONFIG_IPV6; before, inet_sock.pinet6
// leads to them, which is NULL for a socket of IPv4.
const (
	sockFamily = iota
	sockState
	sockNum
	sockDport
	sockRcvSaddr
	sockDaddr
	sockV6RcvSaddr
	sockV6Daddr
)

var sock4Reads = []Read{
	sockFamily:   {Expr: "$->__sk_common.skc_family"},
	sockState:    {Expr: "$->__sk_common.skc_state"},
	sockNum:      {Expr: "$->__sk_common.skc_num"},
	sockDport:    {Expr: "$->__sk_common.skc_dport"},
	sockRcvSaddr: {Expr: "$->__sk_common.skc_rcv_saddr"},
	sockDaddr:    {Expr: "$->__sk_common.skc_daddr"},
}

var sockIsIPv4 = &When{sock4Reads[sockFamily].Expr, afInet}

var sockParts = []Part{
	{Name: "family", Help: "address family of the socket", Kind: Family, Expr: sock4Reads[sockFamily].Expr},
	{Name: "laddr", Help: "local address", Kind: Addr, Expr: sock4Reads[sockRcvSaddr].Expr, When: sockIsIPv4},
	{Name: "lport", Help: "local port", Kind: Uint16, Expr: sock4Reads[sockNum].Expr},
	{Name: "raddr", Help: "remote address", Kind: Addr, Expr: sock4Reads[sockDaddr].Expr, When: sockIsIPv4},
	{Name: "rport", Help: "remote port", Kind: Port, Expr: sock4Reads[sockDport].Expr},
	{Name: "state", Help: "state of the socket", Kind: State, Expr: sock4Reads[sockState].Expr, Wide: true},
}

// Uint16 is a port or another number in host order that has up to 16 bits.
var Uint16 = &Kind{Name: "u16", Help: "unsigned integer of 16 bits", Class: Unsigned, Width: 5, Right: true,
	Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber}

// Addr is an address of either family, as compound kinds yield it.
var Addr = &Kind{Name: "addr", Help: "IP address; IPv4-mapped IPv6 is shown as IPv4", Class: Address, Width: 15, Compare: CompareIPv4}

// Sock is a struct sock of IPv4 or IPv6, and Sock4 one that is known to be of
// IPv4, which costs less.
var (
	Sock = &Kind{Name: "sock", Help: "struct sock *: family, laddr, lport, raddr, rport, state", Class: Text,
		Reads: append(sock4Reads[:len(sock4Reads):len(sock4Reads)],
			Read{Expr: "$->__sk_common.skc_v6_rcv_saddr ?? ((struct inet_sock *)$)->pinet6->rcv_saddr", Size: 16, Optional: true},
			Read{Expr: "$->__sk_common.skc_v6_daddr ?? ((struct inet_sock *)$)->pinet6->daddr", Size: 16, Optional: true}),
		Parts: sockParts, Decode: decodeSock}
	Sock4 = &Kind{Name: "sock4", Help: "struct sock * of IPv4: family, laddr, lport, raddr, rport, state", Class: Text,
		Reads: sock4Reads, Parts: sockParts, Decode: decodeSock}
)

var decodeSock = Decoder{call: sock}

func sock(in [][]byte, out []*Value) {
	_, _ = in[sockDaddr], out[5]
	var family uint16
	if b := in[sockFamily]; len(b) == 2 {
		family = binary.LittleEndian.Uint16(b)
		out[0].setNum(uint64(family))
	} else {
		absent(out[:1])
	}
	local, remote := in[sockRcvSaddr], in[sockDaddr]
	switch {
	case family == afInet:
	case family != afInet6:
		absent(out[1:]) // an AF_UNIX or netlink sock has other things in these places
		return
	case len(in) > sockV6Daddr:
		local, remote = in[sockV6RcvSaddr], in[sockV6Daddr]
	default:
		local, remote = nil, nil
	}
	setIP(out[1], local)
	setIP(out[3], remote)
	if b := in[sockNum]; len(b) == 2 {
		out[2].setNum(uint64(binary.LittleEndian.Uint16(b)))
	} else {
		absent(out[2:3])
	}
	if b := in[sockDport]; len(b) == 2 {
		out[4].setNum(uint64(binary.BigEndian.Uint16(b)))
	} else {
		absent(out[4:5])
	}
	if b := in[sockState]; len(b) == 1 {
		out[5].setNum(uint64(b[0]))
	} else {
		absent(out[5:])
	}
}

// setIP sets an IPv4 or IPv6 address, if there is one and it is wanted.
func setIP(v *Value, b []byte) {
	if v == nil {
		return
	}
	switch len(b) {
	case 4:
		v.Set, v.Addr = true, netip.AddrFrom4([4]byte(b))
	case 16:
		v.Set, v.Addr = true, netip.AddrFrom16([16]byte(b)).Unmap()
	default:
		v.Set = false
	}
}

// Sockaddr reads what a pointer to a socket address, of whatever C type,
// points to: struct sockaddr_in or sockaddr_in6 (include/uapi/linux/in.h,
// in6.h). Sockaddr4 reads no more than a sockaddr_in has.
var (
	Sockaddr = &Kind{Name: "sockaddr", Help: "pointer to a socket address: family, addr, port", Class: Text,
		Reads: []Read{{Expr: "*(u8 *)($)", Size: 24}}, Parts: sockaddrParts(), Decode: decodeSockaddr}
	Sockaddr4 = &Kind{Name: "sockaddr4", Help: "pointer to a sockaddr_in: family, addr, port", Class: Text,
		Reads: []Read{{Expr: "*(u8 *)($)", Size: 8}}, Parts: sockaddrParts(), Decode: decodeSockaddr}
)

// The kernel compares members by themselves, not within what was fetched as an
// array.
func sockaddrParts() []Part {
	const family = "*(u16 *)($)"
	return []Part{
		{Name: "family", Help: "address family given", Kind: Family, Expr: family},
		{Name: "addr", Help: "address given", Kind: Addr, Expr: "*(u32 *)((u8 *)($) + 4)", When: &When{family, afInet}},
		{Name: "port", Help: "port given", Kind: Port, Expr: "*(u16 *)((u8 *)($) + 2)"},
	}
}

var decodeSockaddr = Decoder{call: sockaddr}

func sockaddr(in [][]byte, out []*Value) {
	b := in[0]
	if len(b) < 8 {
		absent(out)
		return
	}
	family := binary.LittleEndian.Uint16(b)
	out[0].setNum(uint64(family))
	switch {
	case family == afInet || family == 0 && len(b) == 8:
		// udp_sendmsg takes AF_UNSPEC for AF_INET.
		out[1].setAddr(netip.AddrFrom4([4]byte(b[4:8])))
	case family == afInet6 && len(b) >= 24:
		out[1].setAddr(netip.AddrFrom16([16]byte(b[8:24])).Unmap())
	default:
		absent(out[1:])
		return
	}
	out[2].setNum(uint64(binary.BigEndian.Uint16(b[2:4])))
}

// UID is the user whose a socket is, by the number that the initial user
// namespace has for it: who made it. struct sock has it since 4.10.
func UID(sk string) Field {
	return Field{Name: "uid", Help: "user whose the socket is", Expr: sk + "->sk_uid.val", Kind: Uint, OnRequest: true, Optional: true}
}

// NetNS is the inode number of the network namespace of a socket, as
// /proc/PID/ns/net has it: struct net has it in ns.inum since 3.19, and the
// sock points to it through a possible_net_t since 4.1.
func NetNS(sk string) Field { return netNS(sk + "->__sk_common.skc_net") }

// DevNetNS is that of a device.
func DevNetNS(dev string) Field { return netNS(dev + "->nd_net") }

func netNS(member string) Field {
	f := ParamNetNS(member)
	f.Expr = member + ".net->ns.inum ?? " + f.Expr
	return f
}

// Among is the field as one from which another column is made, under a name of
// its own: it is fetched only where that column is asked for.
func (f Field) Among(name, column string) Field {
	f.Name, f.For, f.Hidden, f.OnRequest, f.Optional = name, column, true, true, true
	return f
}

// ParamNetNS is that of a struct net *, as some functions have it for a
// parameter.
func ParamNetNS(net string) Field {
	return Field{Name: "netns", Help: "network namespace: its inode number", Kind: Uint, OnRequest: true, Optional: true,
		Expr: net + "->ns.inum ?? " + net + "->proc_inum"}
}
