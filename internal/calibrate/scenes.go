package calibrate

import "bytes"

// A scene is a step with what was seen of it.
type scene struct {
	*Step
	mark *Hit // nil if it was not seen: the socket is not known then
	hits []*Hit
}

// sk is where the socket of the step lies.
func (s *scene) sk() uint64 {
	if s.mark == nil {
		return 0
	}
	return s.mark.Regs[0]
}

// calls are the calls of a function in the step, in order.
func (s *scene) calls(fn string) []*Hit {
	var found []*Hit
	for _, h := range s.hits {
		if h.Func == fn {
			found = append(found, h)
		}
	}
	return found
}

// scenes gives each hit to its step.
func (r *Recording) scenes() []*scene {
	all := make([]*scene, len(r.Steps))
	for i, s := range r.Steps {
		all[i] = &scene{Step: s}
	}
	at := -1
	for i := range r.Hits {
		h := &r.Hits[i]
		if h.Func == fnMark {
			n := int(uint32(h.Regs[2]) - r.Tag)
			if n < 0 || n >= len(all) {
				continue // some other call of getsockopt
			}
			if at >= 0 && at != n-1 {
				all[at].hits = nil // or of a step whose start was not seen
			}
			at = n
			all[at].mark = h
			continue
		}
		if at >= 0 {
			all[at].hits = append(all[at].hits, h)
		}
	}
	return all
}

// sockSamples are the sockets at the start of each step.
func sockSamples(all []*scene) []sample {
	var list []sample
	for _, s := range all {
		if s.mark != nil && len(s.Sock) > 0 {
			list = append(list, sample{s.sk(), s.mark.Mem[0], s.Sock})
		}
		if h := s.calls(fnInitSock); s.Family != 0 && len(h) > 0 {
			list = append(list, sample{h[0].Regs[1], h[0].Mem[0], map[string][]byte{"sock.family": le16(int(s.Family))}})
		}
	}
	return list
}

// devSamples are the devices whose flags were asked for, in namespaces that may
// be known.
func devSamples(all []*scene, nets map[uint32]uint64) []sample {
	var list []sample
	for _, s := range all {
		if h := s.calls(fnDevFlags); s.Dev != nil && len(h) > 0 {
			last := h[len(h)-1]
			if net := nets[s.NetNS]; net != 0 {
				s.Dev["dev.nd_net"] = le64(net)
			}
			list = append(list, sample{last.Regs[0], last.Mem[0], s.Dev})
		}
	}
	return list
}

// netSamples are the namespaces in which a route was looked up.
func netSamples(all []*scene) []sample {
	var list []sample
	for _, s := range all {
		for _, h := range s.calls(fnRoute) {
			list = append(list, sample{h.Regs[0], h.Mem[0], map[string][]byte{"net.inum": le32(int(s.NetNS))}})
		}
	}
	return list
}

// An skbSample adds to an sk_buff where its headers are, from skb->data on.
type skbSample struct {
	sample
	header map[string]int
}

// ethernet is the length of the header that lo has (drivers/net/loopback.c).
const ethernet = 14

// skbSamples are the packets that crossed lo, device dev.
func skbSamples(all []*scene, dev uint64) []skbSample {
	var list []skbSample
	for _, s := range all {
		if s.Packet != nil {
			list = append(list, s.xmit(dev)...)
			list = append(list, s.received(dev)...)
		}
		for i, h := range s.consumed() {
			if i < len(s.Received) {
				users := 1
				if s.Received[i] < 0 {
					users = 2 // the queue's, and that of MSG_PEEK (__skb_try_recv_datagram)
				}
				list = append(list, skbSample{sample{h.Regs[1], h.Mem[0], map[string][]byte{"skb.users": le32(users)}}, nil})
			}
		}
	}
	return list
}

// consumed are the calls by which datagrams are given back.
func (s *scene) consumed() []*Hit { return append(s.calls(fnConsume), s.calls(fnFree)...) }

func (s *scene) want(extra int, dev uint64) map[string][]byte {
	w := map[string][]byte{"skb.protocol": be16(0x0800)}
	if s.Packet.V6 {
		w["skb.protocol"] = be16(0x86dd)
	}
	if s.Packet.EtherType != 0 {
		w["skb.protocol"] = be16(s.Packet.EtherType)
	}
	if !s.Packet.TCP {
		w["skb.len"], w["skb.data_len"] = le32(s.Packet.Len+extra), le32(s.Packet.DataLen)
	}
	if dev != 0 {
		w["skb.dev"] = le64(dev)
	}
	return w
}

// xmit is the packet when lo gets it: data is at the Ethernet header.
func (s *scene) xmit(dev uint64) []skbSample {
	var list []skbSample
	for _, h := range s.calls(fnXmit) {
		w := s.want(ethernet, dev)
		headers := map[string]int{"skb.mac_header": 0, "skb.network_header": ethernet}
		if s.Packet.EtherType == 0 {
			headers["skb.transport_header"] = ethernet + s.Packet.Header
			if !s.Packet.TCP && s.sk() != 0 {
				w["skb.sk"] = le64(s.sk())
			}
		}
		list = append(list, skbSample{sample{h.Regs[0], h.Mem[0], w}, headers})
		if !s.Packet.TCP {
			break // others are answers
		}
	}
	return list
}

// received is the packet on its way up: data is at the header of the layer.
func (s *scene) received(dev uint64) []skbSample {
	if s.Packet.TCP || s.Packet.V6 || s.Packet.EtherType != 0 {
		return nil
	}
	var list []skbSample
	if h := s.calls(fnIPRcv); len(h) > 0 {
		// The transport header is set by now, or is not yet, by version.
		list = append(list, skbSample{sample{h[0].Regs[0], h[0].Mem[0], s.want(0, dev)}, map[string]int{
			"skb.mac_header": -ethernet, "skb.network_header": 0}})
	}
	if h := s.calls(fnUDPRcv); len(h) > 0 && s.Packet.UDP {
		list = append(list, skbSample{sample{h[0].Regs[0], h[0].Mem[0], s.want(-s.Packet.Header, dev)}, map[string]int{
			"skb.mac_header": -ethernet - s.Packet.Header, "skb.network_header": -s.Packet.Header, "skb.transport_header": 0}})
	}
	return list
}

// A msgSample is a struct msghdr, with what the pointer at its start leads to.
type msgSample struct {
	sample
	target []byte
	name   []byte // the address given
}

// msgSamples are the messages sent, msg being parameter param of the function.
func msgSamples(all []*scene, fn string, param int) []msgSample {
	var list []msgSample
	for _, s := range all {
		h := s.calls(fn)
		if s.Send == nil || len(h) == 0 || s.Send.V6 != (fn == fnSend6) {
			continue
		}
		m := msgSample{sample: sample{addr: h[0].Regs[param], want: map[string][]byte{"msg.namelen": le32(s.Send.NameLen)}}, name: s.Send.Name}
		switch {
		case param == 1:
			m.mem, m.target = h[0].Mem[0], h[0].Mem[2]
		case param == 2 && len(h[0].Mem) > 3:
			m.mem, m.target = h[0].Mem[1], h[0].Mem[3]
		default:
			continue
		}
		list = append(list, m)
	}
	return list
}

// named tells whether off is the place of msg_name: NULL when no address was
// given, and otherwise a pointer to that. Only the start of the struct was
// followed, so it is there or it is not found.
func named(list []msgSample) place {
	p := place{size: 8}
	given := 0
	for _, m := range list {
		ptr := u64at(m.mem, 0)
		if len(m.name) == 0 {
			if ptr != 0 {
				return p
			}
			continue
		}
		if !isKernel(ptr) || !bytes.HasPrefix(m.target, m.name) {
			return p
		}
		given++
		p.evidence += 8 * len(m.name)
	}
	p.samples = len(list)
	p.ok = given >= 2 && given < len(list)
	p.candidates = []int{0}
	return p
}
