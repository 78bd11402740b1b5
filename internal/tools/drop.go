package tools

import (
	"bytes"

	"github.com/skprobe/skprobe/internal/event"
)

var _ = add(event.Tool{
	Name:  "drop",
	Short: "packets that the kernel drops: why, where, and what they were",
	Long: `Shows each packet that the kernel drops: for what reason, by the name that the
running kernel has for it (since 5.17; absent before), at which place in the
kernel, and what can be read of the packet: MACs, EtherType, addresses, ports.

A packet that was delivered, or sent, and then freed is not a drop; neither is
the end of a TCP connection (a FIN) that a program did not wait for. A packet is
shown once, also where it was made of several fragments. What has neither a
protocol nor a device, as messages between local sockets, is no packet.

dev is absent where the packet belongs to no device any more, as TCP's do when
they have come to a socket; iif is the number of the device on which it came.
pid and comm are shown only for a drop in the context of a task: most happen in
softirq, where the current task is a bystander.`,
	Example: `# What is dropped on eth0, and who asked for it
skprobe drop --where 'dev == "eth0"' --stack`,
	Cost: "about 6 µs for each dropped packet; nothing for the others",
	Options: []event.Option{{
		Name: "tcp", Help: "only TCP's packets, with the state of the socket that was to receive them",
		Columns: []string{"state"}, Events: []string{tcpReceives},
		Where: func(string) (string, error) { return `proto == "tcp"`, nil },
	}, {
		Name: "counters", Help: "what the device has counted by now: rx_dropped, rx_nohandler, tx_dropped",
		Columns: []string{"netns", "rx_dropped", "rx_nohandler", "tx_dropped"},
	}, {
		Name: "summary", Help: "how many packets were dropped, by reason, place, device and protocol (--count-by)",
		CountBy: []string{"reason", "location", "dev", "proto"},
	}},
	Aliases: []event.Alias{{Name: "tcpdrop", Args: []string{"--tcp", "--stack"}}},
	Events: []event.Source{{
		Name:  "drop",
		Short: "a packet is dropped",
		Probes: []event.Probe{{
			Tracepoint: "skb:kfree_skb",
			Only:       []event.Cond{isPacket},
			Fields:     dropFields("((struct sk_buff *)skbaddr)", "location", "((struct sock *)rx_sk)"),
			Else: []event.Probe{{
				// What frees a packet that is not wanted, by its names over time.
				Funcs:  []string{"sk_skb_reason_drop"},
				Params: "struct sock *sk, struct sk_buff *skb, u32 reason",
				Only:   []event.Cond{isPacket, isLast},
				Fields: freeFields("skb"),
				Else: []event.Probe{{
					Funcs:  []string{"kfree_skb_reason"},
					Params: "struct sk_buff *skb, u32 reason",
					Only:   []event.Cond{isPacket, isLast},
					Fields: freeFields("skb"),
					Else: []event.Probe{{
						Funcs:  []string{"kfree_skb"},
						Params: "struct sk_buff *skb",
						Only:   []event.Cond{isPacket, isLast},
						Fields: freeFields("skb"),
					}},
				}},
			}, {
				// Since 6.3 a list is freed without a call for each.
				Funcs:    []string{"kfree_skb_list_reason"},
				Needs:    []string{"struct skb_free_array"},
				Optional: true,
				Only:     []event.Cond{isPacket, isLast},
				Fields:   freeFields("segs"),
			}, {
				// In an interrupt it is put off, and freed by net_tx_action.
				Funcs:    []string{"dev_kfree_skb_irq_reason"},
				Params:   "struct sk_buff *skb, u32 reason",
				Optional: true,
				Only:     []event.Cond{isPacket, isLast},
				Fields:   freeFields("skb"),
			}, {
				Funcs:    []string{"__dev_kfree_skb_irq"},
				Params:   "struct sk_buff *skb, u32 reason",
				Optional: true,
				Only:     []event.Cond{isPacket, isLast, {Field: "free_reason", Op: event.Equals, Num: 1}}, // SKB_REASON_DROPPED
				Fields: append(packetFields("skb", "$caller", "sk"), users("skb"),
					event.Field{Name: "free_reason", Expr: "reason", Kind: event.Uint, Hidden: true}),
			}},
		}, {
			// Before 5.17 TCP counts a drop and frees the packet as one that was
			// used, in a function that the compiler may have left no trace of.
			Funcs:    []string{"tcp_drop"},
			Params:   "struct sock *sk, struct sk_buff *skb",
			Without:  []string{"enum skb_drop_reason"},
			Optional: true,
			NonNull:  []string{"sk", "skb"},
			Only:     []event.Cond{isPacket},
			Fields:   packetFields("skb", "$caller", "sk"),
		}},
	}, passingOn(false), {
		// Until 6.10 nothing tells which socket was to receive the packet.
		Name: tcpReceives, Hidden: true,
		Probes: []event.Probe{tcpReceive("tcp_v4_do_rcv"), tcpReceive("tcp_v6_do_rcv")},
	}},
	Columns: []string{"reason", "location", "state", "smac", "dmac", "ethertype", "vlan", "proto", "saddr", "sport", "daddr", "dport", "flags", "len", "dev"},
	Keys:    []string{"reason", "len"},
	Reduce:  newDrops,
})

const tcpReceives = "tcp.receive"

var (
	// isPacket: the packet's protocol, or the device that it belongs to, is known.
	isPacket = event.Cond{Field: "packet", Op: event.NotEquals}
	// isLast: nobody else holds the packet.
	isLast = event.Cond{Field: "users", Op: event.Equals, Num: 1}
)

func tcpReceive(function string) event.Probe {
	return event.Probe{
		Funcs:    []string{function},
		Params:   "struct sock *sk, struct sk_buff *skb",
		Without:  []string{"sk_skb_reason_drop()"},
		Optional: true,
		NonNull:  []string{"sk", "skb"},
		Fields: []event.Field{dropAddr("skb"),
			socketState("sk")},
	}
}

func users(skb string) event.Field {
	return event.Field{Name: "users", Expr: skb + "->users.refs.counter ?? " + skb + "->users.counter", Kind: event.Int, Hidden: true}
}

func place(location string) event.Field {
	return event.Field{Name: "location", Expr: location, KindName: "symbol", Help: "place in the kernel where it was dropped"}
}

func dropAddr(skb string) event.Field {
	return event.Field{Name: "skbaddr", Expr: skb, Kind: event.Pointer, Wide: true, Help: "address of the packet in the kernel, which tells packets apart until they are freed"}
}

// freeFields are those of a function that frees a packet: it is a drop if nobody
// else has the packet.
func freeFields(skb string) []event.Field {
	return append(dropFields(skb, "$caller", "sk"), users(skb))
}

// dropFields are what is shown of a drop for which the kernel gives a reason, if
// it has any; sk is the socket that was to receive it, where that is known.
func dropFields(skb, location, sk string) []event.Field {
	return append([]event.Field{
		{Name: "reason", Expr: "reason", KindName: "dropreason", Optional: true, Help: "reason, by the kernel's name for it without SKB_DROP_REASON_"},
	}, packetFields(skb, location, sk)...)
}

func packetFields(skb, location, sk string) []event.Field {
	some := func(field string) []event.Cond { return []event.Cond{{Field: field, Op: event.NotEquals}} }
	own := skb + "->sk"
	return []event.Field{
		place(location),
		{Expr: skb, Kind: event.Packet()},
		{Expr: skb + "->dev", Kind: event.Device},
		{Name: "iif", Expr: skb + "->skb_iif", Kind: event.Uint, Wide: true, Optional: true, Help: "number of the device on which it came in, 0 if it did not"},
		{Name: "mark", Expr: skb + "->mark", Kind: event.Hex, Wide: true, Optional: true, Help: "mark of the packet"},
		dropAddr(skb),

		{Name: "protocol", Expr: skb + "->protocol", Kind: event.Hex, Hidden: true},
		{Name: "device", Expr: skb + "->dev", Kind: event.Hex, Hidden: true},
		{Name: "packet", Hidden: true, Cases: []event.Case{{If: some("protocol"), From: "protocol"}, {From: "device"}}},

		socketState(sk).Among("rx_state", "state"),
		socketState(own).Among("own_state", "state"),
		{Name: "state", OnRequest: true, Optional: true, Help: "state of the socket that was to receive it, or that sent it",
			Cases: []event.Case{{If: some("rx_state"), From: "rx_state"}, {If: some("own_state"), From: "own_state"}}},

		event.DevNetNS(skb+"->dev").Among("dev_netns", "netns"),
		event.NetNS(sk).Among("rx_netns", "netns"),
		event.NetNS(own).Among("own_netns", "netns"),
		{Name: "netns", OnRequest: true, Optional: true, Help: "network namespace of the device, or of the socket: its inode number",
			Cases: []event.Case{{If: some("ifindex"), From: "dev_netns"}, {If: some("rx_netns"), From: "rx_netns"}, {From: "own_netns"}}},
		counter("rx_dropped", "packets that came in and that the device, or the stack for it, dropped, when this is shown"),
		counter("rx_nohandler", "packets that came in by an inactive device, when this is shown"),
		counter("tx_dropped", "packets to be sent that the device, or the stack for it, dropped, when this is shown"),
	}
}

func counter(name, help string) event.Field {
	return event.Field{Name: name, Help: help, Computed: true, Kind: event.Uint, OnRequest: true}
}

func socketState(sk string) event.Field {
	return event.Field{Name: "state", Expr: sk + "->__sk_common.skc_state", Kind: event.State}
}

// drops makes the list of drops from what the kernel frees.
type drops struct {
	reason, state, skbaddr            int
	ifindex, netns                    int
	length                            int
	rxDropped, rxNoHandler, txDropped int

	device  func(netns uint64, ifindex uint32) (event.DeviceCounters, bool)
	callers *callers
	here    map[context]arrival
}

// arrival is the packet that came to a socket last in a context, and the
// socket's state.
type arrival struct{ skb, state uint64 }

func newDrops(s *event.Schema, _ event.Settings) event.Reducer {
	return &drops{reason: s.Column("reason"), state: s.Column("state"), skbaddr: s.Column("skbaddr"),
		length: s.Column("len"), ifindex: s.Column("ifindex"), netns: s.Column("netns"),
		rxDropped: s.Column("rx_dropped"), rxNoHandler: s.Column("rx_nohandler"), txDropped: s.Column("tx_dropped"),
		device: s.Device, callers: newCallers(s), here: map[context]arrival{}}
}

func (d *drops) Event(ev *event.Event, show func(*event.Event) error) error {
	switch ev.Name {
	case dropCallers:
		d.callers.note(ev)
		return nil
	case tcpReceives:
		d.here[contextOf(ev)] = arrival{ev.Values[d.skbaddr].Num, ev.Values[d.state].Num}
		return nil
	}
	switch string(d.callers.write(ev, d.reason)) {
	case "CONSUMED", "NOT_DROPPED_YET":
		return nil
	}
	where := d.callers.place(ev)
	switch {
	case bytes.HasPrefix(where, inPacket):
		return nil // a fragment, with the packet that it is a part of
	case bytes.HasPrefix(where, atClose) && ev.Value(d.length) != nil && ev.Value(d.length).Num == 0:
		return nil // a FIN that had come to a socket which is closed now
	}
	if here := d.here[contextOf(ev)]; ev.Value(d.state) == nil && here.state != 0 && here.skb == ev.Values[d.skbaddr].Num {
		ev.SetNum(d.state, here.state)
	}
	d.count(ev)
	return show(ev)
}

// count sets what the device counts, if that is asked for.
func (d *drops) count(ev *event.Event) {
	ifindex, netns := ev.Value(d.ifindex), ev.Value(d.netns)
	if d.rxDropped < 0 && d.rxNoHandler < 0 && d.txDropped < 0 || d.device == nil || ifindex == nil || netns == nil {
		return
	}
	if c, ok := d.device(netns.Num, uint32(ifindex.Num)); ok {
		ev.SetNum(d.rxDropped, c.RxDropped)
		ev.SetNum(d.rxNoHandler, c.RxNoHandler)
		ev.SetNum(d.txDropped, c.TxDropped)
	}
}

// What the names of places begin with that are not where a packet was dropped.
var (
	atClose  = []byte("sk_stream_kill_queues")
	inPacket = []byte("skb_release_data")
)

// Evicted: there are only as many contexts as two for each CPU.
func (d *drops) Evicted() uint64 { return 0 }
