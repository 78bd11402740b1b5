package event

import "bytes"

// Device is a network device that a pointer may point to. The pointer of a
// packet to its device shares its memory with others (struct sk_buff: dev,
// dev_scratch, rbnode), so that it can be anything when a packet is freed: the
// values are absent unless what it points to is a device.
var Device = &Kind{Name: "netdev", Help: "struct net_device *: dev, its name, and ifindex; absent where it is none", Class: Text,
	Reads: []Read{{Expr: "$"}, {Expr: "$->name"}, {Expr: "$->ifindex"}, {Expr: "$->_tx->dev ?? $->ifindex"}},
	Parts: []Part{
		{Name: "dev", Help: "network device", Kind: &Kind{Name: "text", Class: Text, Width: 8}},
		{Name: "ifindex", Help: "number of the network device in its namespace", Kind: Uint, Wide: true},
	},
	Whole: true, Decode: Decoder{call: device}}

func device(in [][]byte, out []*Value) {
	name, _, ended := bytes.Cut(in[1], []byte{0})
	if len(in[2]) != 4 || !ended || !isDevice(in[0], in[3], name, number(in[2])) {
		absent(out)
		return
	}
	out[0].setText(name)
	out[1].setNum(number(in[2]))
}

// isDevice tells whether dev leads to a device: its queues point back to it.
// Where they are not known the number was read instead, and it must look like
// one: a name that somebody would give, and a small number.
func isDevice(dev, self, name []byte, ifindex uint64) bool {
	if len(self) == 8 {
		return len(name) > 0 && number(self) == number(dev)
	}
	return len(self) == 4 && len(name) > 0 && ifindex > 0 && ifindex < 1<<24 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == ':' })
}

// DeviceCounters are what a network device counts of packets that were lost, as
// ip -s link shows it (struct rtnl_link_stats64 in include/uapi/linux/if_link.h).
type DeviceCounters struct{ RxDropped, TxDropped, RxNoHandler uint64 }
