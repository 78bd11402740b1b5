package calibrate

import "bytes"

// solveSock finds the members of struct sock and of what it is the start of.
func (s *solver) solveSock() {
	samples := sockSamples(s.scenes)
	for _, sc := range s.scenes {
		if net := s.nets[sc.NetNS]; net != 0 && sc.Sock != nil {
			sc.Sock["sock.net"] = le64(net)
		}
	}
	s.solveAll("sock", samples)
	s.solveProtocol(samples)
	s.solveBacklog(samples)
	s.solveRequests(samples)
	s.solveFlags(samples)
	s.solveInet6(samples)
}

// solveProtocol finds sk_protocol. It was a bit field of 8 bits in front of
// sk_type until 5.5, and has 16 bits beside it since (include/net/sock.h).
func (s *solver) solveProtocol(samples []sample) {
	p := find(samples, "sock.protocol", 1, 1)
	if typ := s.places["sock.type"]; p.ok && typ.ok {
		switch wide := typ.off - p.off; {
		case wide == 1:
			p.size = 1
		case (wide == 2 || wide == -2) && p.off%2 == 0 && zeros(samples, "sock.protocol", p.off+1, 1):
			p.size = 2
		default:
			p.ok = false
		}
	} else {
		p.ok = false
	}
	s.places["sock.protocol"] = p
}

// zeros tells whether there are n zeros at off in each sample that has the key.
func zeros(samples []sample, key string, off, n int) bool {
	for _, sm := range samples {
		if sm.want[key] != nil && (off+n > len(sm.mem) || len(bytes.Trim(sm.mem[off:off+n], "\x00")) > 0) {
			return false
		}
	}
	return true
}

// solveBacklog finds the two counters of a listening socket, which are
// neighbours of one type: 16 bits, later 32.
func (s *solver) solveBacklog(samples []sample) {
	const have, most = "sock.ack_backlog", "sock.max_ack_backlog"
	a, b := find(samples, have, 2, 2), find(samples, most, 2, 2)
	size := 0
	if a.ok && b.ok {
		size = stride(a.off, b.off)
	}
	ok := size == 2 || size == 4 && zeros(samples, have, a.off+2, 2) && zeros(samples, most, b.off+2, 2)
	a.size, b.size, a.ok, b.ok = size, size, ok, ok
	s.places[have], s.places[most] = a, b
}

// solveRequests finds the length of the queue of requests, and behind it how many
// of these are young: all, unless the traffic took so long that one became old.
func (s *solver) solveRequests(samples []sample) {
	const all, young = "sock.qlen", "sock.young"
	at, evidence := offsets(samples, all, 4)
	p := place{size: 4, candidates: at, samples: count(samples, all), evidence: evidence}
	p.ok = (len(at) == 1 || len(at) == 2 && at[1] == at[0]+4) && isYoung(samples, all, at[0]+4) && evidence >= minEvidence && p.samples >= 2
	q := p
	if p.ok {
		p.off, q.off = at[0], at[0]+4
	}
	s.places[all], s.places[young] = p, q
}

// isYoung tells whether the number at off can be that of the young ones among the
// requests: never more, and mostly as many.
func isYoung(samples []sample, key string, off int) bool {
	some, same := 0, 0
	for _, sm := range samples {
		want := sm.want[key]
		switch {
		case want == nil:
		case off+4 > len(sm.mem) || u32at(sm.mem, off) > u32at(want, 0):
			return false
		case u32at(want, 0) > 0:
			some++
			if u32at(sm.mem, off) == u32at(want, 0) {
				same++
			}
		}
	}
	return same >= 2 && 2*same >= some
}

// flagBits are those of a socket's flags that options set: SOCK_URGINLINE,
// SOCK_KEEPOPEN, SOCK_LINGER and SOCK_BROADCAST of enum sock_flags in
// include/net/sock.h, the same from 3.10 to 7.1.
const flagBits = 1<<2 | 1<<3 | 1<<4 | 1<<6

// solveFlags finds the flags: the word that has those bits, and others of which
// nothing is known.
func (s *solver) solveFlags(samples []sample) {
	p := place{size: 8, samples: count(samples, "sock.flags")}
	seen := map[uint64]bool{}
	for off := 0; off+8 <= sockWindow; off += 8 {
		fits := p.samples > 0
		for _, sm := range samples {
			want := sm.want["sock.flags"]
			if want == nil {
				continue
			}
			seen[u64at(want, 0)] = true
			fits = fits && off+8 <= len(sm.mem) && u64at(sm.mem, off)&flagBits == u64at(want, 0)
		}
		if fits {
			p.candidates = append(p.candidates, off)
		}
	}
	if len(seen) >= 6 {
		p.evidence = 64
	}
	if len(p.candidates) == 1 && p.evidence > 0 {
		p.ok, p.off = true, p.candidates[0]
	}
	s.places["sock.flags"] = p
}

// maxSock is more than the largest socket has, which is struct tcp6_sock.
const maxSock = 4096

// solveInet6 finds pinet6: it points into the same object for a socket of IPv6
// (struct udp6_sock and its like), and nowhere for one of IPv4. Until 3.12 the
// socket's addresses are there.
func (s *solver) solveInet6(samples []sample) {
	p := place{size: 8}
	var six, four []sample
	for _, sm := range samples {
		switch f := sm.want["sock.family"]; {
		case f == nil || sm.want["sock.num"] == nil:
		case bytes.Equal(f, le16(10)):
			six = append(six, sm)
		default:
			four = append(four, sm)
		}
	}
	inside := func(sm sample, off int) bool {
		v := u64at(sm.mem, off)
		return v > sm.addr && v < sm.addr+maxSock && v%8 == 0
	}
	for off := 0; off+8 <= sockWindow; off += 8 {
		fits := len(six) >= 2 && len(four) >= 2
		for _, sm := range six {
			fits = fits && off+8 <= len(sm.mem) && inside(sm, off)
		}
		for _, sm := range four {
			fits = fits && off+8 <= len(sm.mem) && u64at(sm.mem, off) == 0
		}
		if fits {
			p.candidates = append(p.candidates, off)
		}
	}
	p.samples, p.evidence = len(six)+len(four), 64
	if len(p.candidates) == 1 {
		p.ok, p.off = true, p.candidates[0]
	}
	s.places["sock.pinet6"] = p
	if !p.ok {
		return
	}
	// What lies beyond is no part of struct sock_common.
	var infos []sample
	for _, sm := range six {
		start := int(u64at(sm.mem, p.off) - sm.addr)
		if start >= len(sm.mem) {
			continue // struct tcp6_sock is larger than what was read
		}
		for _, key := range []string{"sock.v6_rcv_saddr", "sock.v6_daddr"} {
			if q := s.places[key]; q.ok && q.off >= start {
				q.ok = false
				s.places[key] = q
			}
		}
		infos = append(infos, sample{sm.addr + uint64(start), sm.mem[start:], map[string][]byte{
			"pinfo.saddr": sm.want["sock.v6_saddr"], "pinfo.rcv_saddr": sm.want["sock.v6_rcv_saddr"], "pinfo.daddr": sm.want["sock.v6_daddr"]}})
	}
	s.solveAll("pinfo", infos)
}
