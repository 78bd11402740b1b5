package packet

import "strconv"

// Protocol numbers, https://www.iana.org/assignments/protocol-numbers and
// include/uapi/linux/in.h, in6.h.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoDCCP     = 33
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoICMP6    = 58
	protoNoNext   = 59
	protoDestOpts = 60
	protoSCTP     = 132
	protoUDPLite  = 136
)

var protoNames = [256]string{
	protoICMP:    "icmp",
	2:            "igmp",
	protoIPIP:    "ipip",
	protoTCP:     "tcp",
	protoUDP:     "udp",
	protoDCCP:    "dccp",
	protoIPv6:    "ipv6", // IPv6 in IPv4 or IPv6
	protoGRE:     "gre",
	50:           "esp",
	51:           "ah",
	protoICMP6:   "icmp6",
	89:           "ospf",
	94:           "ipip94",
	103:          "pim",
	108:          "ipcomp",
	112:          "vrrp",
	115:          "l2tp",
	protoSCTP:    "sctp",
	protoUDPLite: "udplite",
	137:          "mpls",
}

// ProtoName is the name of an IP protocol in lower case, as in /etc/protocols
// but icmp6 for 58; "" if we have none.
func ProtoName(proto uint8) string { return protoNames[proto] }

// AppendProto appends the protocol's name, or its number in decimal if it has
// none.
func AppendProto(dst []byte, proto uint8) []byte {
	if name := protoNames[proto]; name != "" {
		return append(dst, name...)
	}
	return strconv.AppendUint(dst, uint64(proto), 10)
}

// TCPFlags is the set of control bits of a TCP header, RFC 9293 section 3.1,
// with the bit that RFC 3540 called NS and Accurate ECN calls AE.
type TCPFlags uint16

// The control bits, as on the wire.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

var tcpFlagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

// AppendTCPFlags appends the names of the flags from the lowest bit up, as in
// "SYN|ACK"; nothing if no flag is set.
func AppendTCPFlags(dst []byte, flags TCPFlags) []byte {
	first := true
	for i, name := range tcpFlagNames {
		if flags&(1<<i) == 0 {
			continue
		}
		if !first {
			dst = append(dst, '|')
		}
		first = false
		dst = append(dst, name...)
	}
	return dst
}

// String is the text of AppendTCPFlags.
func (f TCPFlags) String() string { return string(AppendTCPFlags(nil, f)) }

// ArpOpName is "request" or "reply", and so on for RARP and InARP; "" for an
// operation that has no name (include/uapi/linux/if_arp.h).
func ArpOpName(op uint16) string {
	switch op {
	case 1:
		return "request"
	case 2:
		return "reply"
	case 3:
		return "rarp-request"
	case 4:
		return "rarp-reply"
	case 8:
		return "inarp-request"
	case 9:
		return "inarp-reply"
	case 10:
		return "nak"
	}
	return ""
}

const hexDigits = "0123456789abcdef"

// AppendMAC appends an Ethernet address, as in "00:00:5e:00:53:00".
func AppendMAC(dst []byte, mac MAC) []byte {
	for i, b := range mac {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return dst
}

// AppendEtherType appends an EtherType, as in "0x0800".
func AppendEtherType(dst []byte, t uint16) []byte {
	return append(dst, '0', 'x', hexDigits[t>>12], hexDigits[t>>8&15], hexDigits[t>>4&15], hexDigits[t&15])
}
