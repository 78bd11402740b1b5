package packet

// Field names one field of a Packet.
type Field uint8

// The fields, in the order of the headers. Where a comment names members, the
// field stands for all of them.
const (
	FieldDmac Field = iota
	FieldSmac
	FieldEtherType
	FieldVLAN // VLANs, NVLAN
	FieldArpOp
	FieldArpSha
	FieldArpSip
	FieldArpTha
	FieldArpTip
	FieldIPVersion
	FieldTOS
	FieldTotalLen
	FieldIPID
	FieldFragment // FragOffset in bytes, MoreFrags, DontFrag
	FieldTTL
	FieldProto
	FieldSaddr
	FieldDaddr
	FieldSport
	FieldDport
	FieldSeq
	FieldAck
	FieldDataOff
	FieldFlags
	FieldWin
	FieldMSS
	FieldUDPLen
	FieldIcmpType
	FieldIcmpCode
	FieldIcmpID
	FieldIcmpSeq
	FieldIcmpMTU
	FieldNDTarget
	FieldQuotedSaddr
	FieldQuotedDaddr
	FieldQuotedProto
	FieldQuotedSport
	FieldQuotedDport
	FieldTunnel
	FieldTunnelID
	FieldInnerDmac
	FieldInnerSmac
	FieldInnerEtherType
	FieldInnerProto
	FieldInnerSaddr
	FieldInnerDaddr
	FieldInnerSport
	FieldInnerDport
	FieldInnerFlags
	FieldPayload // PayloadOff, PayloadLen
	FieldPayloadSize
	FieldFrame // FrameLink, FrameOff, FrameLen, FrameSize

	// NumFields is the number of fields.
	NumFields
)

var fieldNames = [NumFields]string{
	"dmac", "smac", "ethertype", "vlan",
	"ar_op", "ar_sha", "ar_sip", "ar_tha", "ar_tip",
	"ip_version", "tos", "ip_len", "ip_id", "frag_off", "ttl", "proto", "saddr", "daddr",
	"sport", "dport",
	"seq", "ack", "doff", "flags", "win", "mss",
	"udp_len",
	"icmp_type", "icmp_code", "icmp_id", "icmp_seq", "icmp_mtu", "nd_target",
	"quoted_saddr", "quoted_daddr", "quoted_proto", "quoted_sport", "quoted_dport",
	"tunnel", "tunnel_id", "inner_dmac", "inner_smac", "inner_ethertype", "inner_proto", "inner_saddr", "inner_daddr",
	"inner_sport", "inner_dport", "inner_flags",
	"payload", "payload_size", "frame",
}

// String is the field's name in output and expressions: "smac", "dport".
func (f Field) String() string {
	if f < NumFields {
		return fieldNames[f]
	}
	return "?"
}

// Fields is a set of fields; bit n stands for Field n.
type Fields uint64

// Has tells whether the field is in the set.
func (s Fields) Has(f Field) bool { return s&(1<<f) != 0 }
