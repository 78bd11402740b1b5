package calibrate

// solvePacket finds the members of sk_buff.
func (s *solver) solvePacket() {
	list := skbSamples(s.scenes, s.lo)
	samples := make([]sample, len(list))
	for i := range list {
		samples[i] = list[i].sample
	}
	s.solveAll("skb", samples)
	s.solveLinear(samples)
	head, data := s.places["skb.head"], s.places["skb.data"]
	if head.ok && data.ok {
		s.solveHeaders(list, head.off, data.off)
	}
}

// minPackets is how many packets of different lengths must agree.
const minPackets = 4

func (s *solver) solveLinear(samples []sample) {
	lengths := map[string]bool{}
	n := 0
	for _, sm := range samples {
		if v := sm.want["skb.len"]; v != nil {
			lengths[string(v)] = true
			n++
		}
	}
	found := linears(samples)
	head, data, tail := place{size: 8, samples: n}, place{size: 8, samples: n}, place{size: 4, samples: n}
	for _, l := range found {
		head.candidates = add(head.candidates, l.head)
		data.candidates = add(data.candidates, l.data)
		tail.candidates = add(tail.candidates, l.tail)
	}
	if len(found) == 1 && len(lengths) >= minPackets {
		l := found[0]
		head.ok, head.off = true, l.head
		data.ok, data.off = true, l.data
		tail.ok, tail.off = true, l.tail
	}
	s.places["skb.head"], s.places["skb.data"], s.places["skb.tail"] = head, data, tail
}

func add(list []int, n int) []int {
	for _, have := range list {
		if have == n {
			return list
		}
	}
	return append(list, n)
}

// solveHeaders finds the offsets of the headers from head: three neighbours of
// one type, sk_buff_data_t of 32 bits in 3.10 and u16 since 3.11.
func (s *solver) solveHeaders(list []skbSample, head, data int) {
	keys := []string{"skb.transport_header", "skb.network_header", "skb.mac_header"}
	var samples []sample
	for _, sm := range list {
		if sm.header == nil || data+8 > len(sm.mem) || head+8 > len(sm.mem) {
			continue
		}
		room := int(u64at(sm.mem, data) - u64at(sm.mem, head))
		w := map[string][]byte{}
		for key, from := range sm.header {
			w[key] = le16(room + from)
		}
		samples = append(samples, sample{sm.addr, sm.mem, w})
	}
	places := make([]place, len(keys))
	ok := true
	for i, key := range keys {
		places[i] = find(samples, key, 2, 2)
		ok = ok && places[i].ok
	}
	size := 0
	if ok {
		size = stride(places[0].off, places[1].off, places[2].off)
		for i, key := range keys {
			ok = ok && (size != 4 || places[i].off%4 == 0 && zeros(samples, key, places[i].off+2, 2))
		}
	}
	for i, key := range keys {
		places[i].size, places[i].ok = size, ok && size != 0
		s.places[key] = places[i]
	}
}

// confirmRest confirms the functions whose parameters are known by now.
func (s *solver) confirmRest() {
	calls := map[string][]call{}
	at := func(h *Hit, known map[string]uint64) {
		calls[h.Func] = append(calls[h.Func], call{hit: h, known: known})
	}
	for _, sc := range s.scenes {
		if sc.mark != nil && len(sc.Sock) > 0 && s.isSock(sc.mark.Mem[0], sc.Sock) {
			at(sc.mark, map[string]uint64{"sk": sc.mark.Regs[0], "level": 0, "optname": sc.mark.Regs[2]})
		}
		for _, h := range sc.calls(fnDevFlags) {
			if p := s.places["dev.name"]; p.ok && sc.Dev != nil && holds(h.Mem[0], p, sc.Dev["dev.name"]) {
				at(h, map[string]uint64{"dev": h.Regs[0]})
			}
		}
		for _, h := range sc.calls(fnRoute) {
			if net := s.nets[sc.NetNS]; net != 0 {
				at(h, map[string]uint64{"net": net})
			}
		}
		skb := s.packetOf(sc)
		for fn, known := range sc.Calls {
			if h := sc.calls(fn); len(h) > 0 && sc.sk() != 0 {
				at(h[0], s.knownOf(sc, known, skb))
			}
		}
		if skb == 0 || s.lo == 0 {
			continue
		}
		for n, h := range sc.calls(fnXmit) {
			if n == 0 {
				at(h, map[string]uint64{"skb": skb, "dev": s.lo})
			}
		}
		if h := sc.calls(fnIPRcv); len(h) > 0 {
			at(h[0], map[string]uint64{"skb": skb, "dev": s.lo, "orig_dev": s.lo})
		}
		if h := sc.calls(fnUDPRcv); len(h) > 0 {
			at(h[0], map[string]uint64{"skb": skb})
		}
		if h := sc.calls(fnNeigh); len(h) > 0 && s.places["neigh.dev"].ok {
			at(h[0], map[string]uint64{"skb": skb, "neigh": h[0].Regs[0]})
		}
	}
	s.received(at)
	for fn, list := range calls {
		s.funcs[fn] = confirm(fn, list)
	}
	for _, sig := range signatures {
		if _, ok := s.funcs[sig.fn]; !ok {
			s.funcs[sig.fn] = confirm(sig.fn, nil)
		}
	}
}

// knownOf are the values of parameters in a call for the step's socket.
func (s *solver) knownOf(sc *scene, more map[string]uint64, skb uint64) map[string]uint64 {
	known := map[string]uint64{"sk": sc.sk()}
	if skb != 0 {
		known["skb"] = skb
	}
	if net := s.nets[sc.NetNS]; net != 0 {
		known["net"] = net
	}
	for name, v := range more {
		known[name] = v
	}
	return known
}

const msgPeek = 2 // MSG_PEEK, include/linux/socket.h

// received has the calls of a receive: the packet is that of the step before,
// in which it was sent.
func (s *solver) received(at func(*Hit, map[string]uint64)) {
	var skb uint64
	for _, sc := range s.scenes {
		for i, h := range sc.consumed() {
			if i < len(sc.Received) && skb != 0 && sc.sk() != 0 {
				at(h, map[string]uint64{"sk": sc.sk(), "skb": skb, "len": uint64(sc.Received[i])})
			}
		}
		for i, h := range append(sc.calls(fnRecv4), sc.calls(fnRecv6)...) {
			if i < len(sc.Received) && sc.sk() != 0 {
				known := map[string]uint64{"sk": sc.sk(), "len": uint64(sc.Buffer), "flags": 0}
				if sc.Received[i] < 0 {
					known["flags"] = msgPeek
				}
				at(h, known)
			}
		}
		if p := s.packetOf(sc); p != 0 {
			skb = p
		}
	}
}

// packetOf is where the packet of the step lies, 0 where it was not seen: lo
// got it, and its length is right.
func (s *solver) packetOf(sc *scene) uint64 {
	h := sc.calls(fnXmit)
	if sc.Packet == nil || sc.Packet.TCP || len(h) == 0 || !s.places["skb.len"].ok ||
		!holds(h[0].Mem[0], s.places["skb.len"], le32(sc.Packet.Len+ethernet)) {
		return 0
	}
	return h[0].Regs[0]
}

// isSock tells whether memory holds what a socket of the step must hold.
func (s *solver) isSock(mem []byte, want map[string][]byte) bool {
	for _, key := range []string{"sock.num", "sock.family"} {
		if p := s.places[key]; !p.ok || !holds(mem, p, want[key]) {
			return false
		}
	}
	return true
}

// holds tells whether the value is at the place.
func holds(mem []byte, p place, value []byte) bool {
	return p.ok && value != nil && p.off+len(value) <= len(mem) && string(mem[p.off:p.off+len(value)]) == string(value)
}
