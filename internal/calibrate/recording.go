package calibrate

// A Recording is what a calibration did and what the kernel was seen to do.
type Recording struct {
	Arch string // as in GOARCH
	Tag  uint32 // the optname of the first step
	// Names are those of functions that have another name on this kernel.
	Names map[string]string `json:",omitempty"`
	Steps []*Step
	Hits  []Hit // in the order of time
}

// A Step is one thing that the traffic did, with everything that is known of
// it. Values are as the kernel has them in memory.
type Step struct {
	What string
	// Sock has what the socket holds at the start of the step, by the keys of
	// members.
	Sock map[string][]byte `json:",omitempty"`
	// Send is a call of sendto for UDP.
	Send *Send `json:",omitempty"`
	// Packet is what then crosses lo.
	Packet *Packet `json:",omitempty"`
	// Received are the results of calls of recv for UDP, negative for peeks,
	// into a buffer of that size.
	Received []int `json:",omitempty"`
	Buffer   int   `json:",omitempty"`
	// Calls are functions whose first call in the step has the step's socket
	// as its sk, with other parameters of known value.
	Calls map[string]map[string]uint64 `json:",omitempty"`
	// NetNS is the inode number of the network namespace of the step.
	NetNS uint32
	// Dev has what the device holds whose flags are asked for.
	Dev map[string][]byte `json:",omitempty"`
	// Listen: the socket begins to listen.
	Listen bool `json:",omitempty"`
	// Family is that of a socket which is made.
	Family uint16 `json:",omitempty"`
	// Lo: the device is the one that packets cross.
	Lo bool `json:",omitempty"`
}

// A Send is a call of sendto.
type Send struct {
	V6      bool
	Len     int
	Name    []byte `json:",omitempty"` // the address given, as far as it is certain
	NameLen int
}

// A Packet is what is known of packets that cross lo in a step.
type Packet struct {
	V6        bool
	EtherType uint16 `json:",omitempty"` // if it is neither IPv4 nor IPv6
	Header    int    // from the network header to the transport header
	// Len and DataLen count from the network header; unknown for TCP, of
	// which there may be several.
	Len, DataLen int
	UDP, TCP     bool
}

// A Hit is one call of a probed function.
type Hit struct {
	Func string
	Regs []uint64 // parameters in registers
	Mem  [][]byte // the windows of the function's target
}

// A target is a function to probe.
type target struct {
	funcs   []string // the first that the kernel has
	windows []window
}

// A window is memory behind a parameter: at what it points to, or, with follow,
// at what the pointer at the start of that points to.
type window struct {
	param  int
	follow bool
	size   int
}

// Sizes of windows. What is larger than its struct reads what lies behind it.
const (
	sockWindow   = 1936 // struct tcp_sock has 2,100 to 2,400 bytes, and what is sought lies before its last 500
	skbWindow    = 320  // sk_buff: 224 to 250
	devWindow    = 1472 // name and ifindex of net_device lie in the first 320, nd_net until 6.7 before 1,300
	netWindow    = 1024 // ns.inum of struct net in the first 500
	neighWindow  = 448  // struct neighbour: about 300, dev at its end
	msgWindow    = 64   // struct msghdr
	initWindow   = 128  // struct sock_common
	socketWindow = 64   // struct socket: sk in the first 48
	nameWindow   = 32   // struct sockaddr_in6: 28
)

// Functions of which the solver knows what passes through them.
const (
	fnMark     = "ip_getsockopt"
	fnRoute    = "ip_route_output_flow"
	fnXmit     = "loopback_xmit"
	fnIPRcv    = "ip_rcv"
	fnUDPRcv   = "udp_rcv"
	fnSend4    = "udp_sendmsg"
	fnSend6    = "udpv6_sendmsg"
	fnConsume  = "skb_consume_udp"
	fnFree     = "skb_free_datagram_locked"
	fnRecv4    = "udp_recvmsg"
	fnRecv6    = "udpv6_recvmsg"
	fnNeigh    = "neigh_resolve_output"
	fnDevFlags = "dev_get_flags"
	fnInitSock = "sock_init_data"

	fnSetState = "tcp_set_state"
	fnConnect  = "tcp_connect"
	fnSendTCP  = "tcp_sendmsg"
	fnCleanup  = "tcp_cleanup_rbuf"
	fnListen   = "inet_listen"
	fnAccept   = "inet_csk_accept"
	fnRecvTCP  = "tcp_recvmsg"
	fnIPOutput = "ip_output"
	fnSendSkb4 = "ip_send_skb"
	fnSendSkb6 = "ip6_send_skb"
)

// older are functions that are not needed with skb_consume_udp.
var older = []string{fnFree, fnRecv4, fnRecv6}

// targets are the functions to probe.
//
// loopback_xmit (drivers/net/loopback.c) is static, but called through a table
// of functions, so it is never inlined. dev_get_flags is called by
// ioctl(SIOCGIFFLAGS); it is netif_get_flags since 6.15. skb_consume_udp is of
// 4.10, and has all that is to be known of a receive.
//
// Without IPv6 all sockets have one family, so it is looked for in new sockets
// of families of all sorts: sock_init_data(sock, sk) gets them.
func targets(arrays, inet6 bool) []target {
	send := []window{{1, false, msgWindow}, {2, false, msgWindow}, {1, true, nameWindow}}
	if !arrays {
		// Before 4.20 msg may be the third parameter. Later the second is it,
		// and to follow what else lies behind the third would be no good: a
		// fault at a non-canonical address was worth a warning from 4.20 to 5.7
		// (ex_handler_uaccess in arch/x86/mm/extable.c).
		send = append(send, window{2, true, nameWindow})
	}
	skb0, skb1 := []window{{0, false, skbWindow}}, []window{{1, false, skbWindow}}
	list := []target{
		{funcs: []string{fnMark}, windows: []window{{0, false, sockWindow}}},
		{funcs: []string{fnDevFlags, "netif_get_flags"}, windows: []window{{0, false, devWindow}}},
		{funcs: []string{fnRoute}, windows: []window{{0, false, netWindow}}},
		{funcs: []string{fnSend4}, windows: send},
		{funcs: []string{fnXmit}, windows: skb0},
		{funcs: []string{fnIPRcv}, windows: skb0},
		{funcs: []string{fnUDPRcv}, windows: skb0},
		{funcs: []string{fnConsume}, windows: skb1},
		// The name with __ is that of 4.7 to 4.9.
		{funcs: []string{fnFree, "__skb_free_datagram_locked"}, windows: skb1},
		{funcs: []string{fnRecv4}},
		{funcs: []string{fnNeigh}, windows: []window{{0, false, neighWindow}}},
		{funcs: []string{fnListen}, windows: []window{{0, false, socketWindow}}},
	}
	if inet6 {
		list = append(list, target{funcs: []string{fnSend6}, windows: send}, target{funcs: []string{fnRecv6}}, target{funcs: []string{fnSendSkb6}})
	} else {
		list = append(list, target{funcs: []string{fnInitSock}, windows: []window{{1, false, initWindow}}})
	}
	for _, fn := range []string{fnSetState, fnConnect, fnSendTCP, fnCleanup, fnRecvTCP, fnAccept, fnIPOutput, fnSendSkb4} {
		list = append(list, target{funcs: []string{fn}})
	}
	return list
}
