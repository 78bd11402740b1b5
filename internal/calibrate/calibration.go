package calibrate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Found is a member that was sought: where it is, or why it is not known.
type Found struct {
	Struct, Member string // "struct sock_common", "skc_daddr"
	Type           string // C type, "" where the width is not known
	OK             bool
	Offset, Size   int
	// Candidates are the places that fit what was seen.
	Candidates []int
	Why        string // how it was found, or why not
	Needed     bool   // of this kernel's tools: worth a word if it is missing

	member *member
}

// A Function is one whose prototype was sought.
type Function struct {
	Name   string
	OK     bool
	Result string
	Params []param
	Why    string
}

// A Result is what calibration found.
type Result struct {
	Members   []Found
	Functions []Function
	// Notes are what could not be tried, for people: no IPv6, no second
	// device.
	Notes []string
	Times Times
	// Recording is from what it was found.
	Recording *Recording
}

// Times are how long the parts of a calibration took.
type Times struct{ Define, Open, Traffic, Solve, Remove time.Duration }

// A solver is the state of [Solve].
type solver struct {
	scenes []*scene
	places map[string]place
	nets   map[uint32]uint64 // namespaces by inode number
	lo     uint64            // the device lo
	msg    []msgSample
	funcs  map[string]confirmed
}

// Solve finds what can be found in a recording. It claims nothing for which two
// places fit.
func Solve(r *Recording) *Result {
	s := &solver{scenes: r.scenes(), places: map[string]place{}, nets: map[uint32]uint64{}, funcs: map[string]confirmed{}}
	s.solveNet()
	s.solveSock()
	s.solveSocket()
	s.solveDev()
	s.solvePacket()
	s.solveNeigh()
	s.solveMsg()
	s.confirmRest()
	return s.result(r.Names)
}

// solveAll finds the members of one kind of memory whose size is known. Two
// members for one place means that nothing was seen that tells them apart.
func (s *solver) solveAll(kind string, samples []sample) {
	at := map[int][]string{}
	for _, m := range members {
		if strings.HasPrefix(m.key, kind+".") && m.size != 0 {
			p := find(samples, m.key, m.size, m.align)
			s.places[m.key] = p
			if p.ok {
				at[p.off] = append(at[p.off], m.key)
			}
		}
	}
	for _, keys := range at {
		if len(keys) > 1 {
			for _, key := range keys {
				p := s.places[key]
				p.ok = false
				s.places[key] = p
			}
		}
	}
}

// solveNet finds the namespaces by their inode numbers.
func (s *solver) solveNet() {
	samples := netSamples(s.scenes)
	s.solveAll("net", samples)
	p := s.places["net.inum"]
	if !p.ok {
		return
	}
	for _, sm := range samples {
		s.nets[uint32(u32at(sm.want["net.inum"], 0))] = sm.addr
	}
}

// solveSocket finds the struct sock of a struct socket that listens.
func (s *solver) solveSocket() {
	var samples []sample
	for _, sc := range s.scenes {
		if h := sc.calls(fnListen); sc.Listen && len(h) > 0 && sc.sk() != 0 {
			samples = append(samples, sample{h[0].Regs[0], h[0].Mem[0], map[string][]byte{"socket.sk": le64(sc.sk())}})
		}
	}
	s.solveAll("socket", samples)
}

func (s *solver) solveDev() {
	samples := devSamples(s.scenes, s.nets)
	s.solveAll("dev", samples)
	for _, sc := range s.scenes {
		h := sc.calls(fnDevFlags)
		if p := s.places["dev.name"]; p.ok && sc.Lo && len(h) > 0 {
			s.lo = h[len(h)-1].Regs[0]
		}
	}
}

func (s *solver) solveNeigh() {
	var samples []sample
	for _, sc := range s.scenes {
		for _, h := range sc.calls(fnNeigh) {
			if s.lo != 0 {
				samples = append(samples, sample{h.Regs[0], h.Mem[0], map[string][]byte{"neigh.dev": le64(s.lo)}})
			}
		}
	}
	s.solveAll("neigh", samples)
}

// solveMsg finds msghdr behind the parameter that a signature has for it.
func (s *solver) solveMsg() {
	for _, fn := range []string{fnSend4, fnSend6} {
		s.funcs[fn] = confirm(fn, s.sends(fn))
		if c := s.funcs[fn]; c.ok {
			i := slices.Index(c.params, pMsg)
			s.msg = append(s.msg, msgSamples(s.scenes, fn, i)...)
		}
	}
	var samples []sample
	for _, m := range s.msg {
		samples = append(samples, m.sample)
	}
	s.solveAll("msg", samples)
	s.places["msg.name"] = named(s.msg)
}

// sends are the calls of a sending function, in which msg is known by what its
// start leads to.
func (s *solver) sends(fn string) []call {
	var calls []call
	for _, sc := range s.scenes {
		h := sc.calls(fn)
		if sc.Send == nil || len(h) == 0 || sc.sk() == 0 || sc.Send.V6 != (fn == fnSend6) {
			continue
		}
		known := map[string]uint64{"sk": sc.sk(), "len": uint64(sc.Send.Len)}
		if name := sc.Send.Name; len(name) > 0 {
			for i, at := range map[int]int{1: 2, 2: 3} {
				if at < len(h[0].Mem) && bytes.HasPrefix(h[0].Mem[at], name) {
					known["msg"] = h[0].Regs[i]
				}
			}
		}
		calls = append(calls, call{hit: h[0], known: known})
	}
	return calls
}

func (s *solver) result(names map[string]string) *Result {
	r := &Result{}
	for i := range members {
		m := &members[i]
		p := s.places[m.key]
		f := Found{Struct: m.owner, Member: m.path, Type: m.typ, OK: p.ok, Offset: p.off, Size: p.size, Candidates: p.candidates, Needed: !m.extra, member: m}
		switch {
		case p.ok:
			f.Why = fmt.Sprintf("%d samples", p.samples)
			if m.typ == "" {
				f.Type = map[int]string{1: "u8", 2: "u16", 4: "u32"}[p.size]
			}
		case p.samples == 0:
			f.Why = "nothing was seen of it"
		case len(p.candidates) == 0:
			f.Why = fmt.Sprintf("no place fits all of %d samples", p.samples)
		case len(p.candidates) == 1:
			f.Why = fmt.Sprintf("one place fits %d samples, which is too little to go by", p.samples)
		default:
			f.Why = fmt.Sprintf("%d places fit %d samples", len(p.candidates), p.samples)
		}
		r.Members = append(r.Members, f)
	}
	var done []string
	for _, sig := range signatures {
		if slices.Contains(done, sig.fn) {
			continue
		}
		done = append(done, sig.fn)
		c := s.funcs[sig.fn]
		if slices.Contains(older, sig.fn) && s.funcs[fnConsume].ok || sig.fn == fnConsume && s.funcs[fnFree].ok {
			continue // one or the other
		}
		f := Function{Name: sig.fn, OK: c.ok, Result: c.result, Params: c.params, Why: c.why}
		if name := names[sig.fn]; name != "" {
			f.Name = name
		}
		if c.ok {
			f.Why = fmt.Sprintf("%d calls show %s", c.calls, strings.Join(c.must, ", "))
		}
		r.Functions = append(r.Functions, f)
	}
	return r
}

// Names are the names of the parameters, in order.
func (f *Function) Names() []string {
	var names []string
	for _, p := range f.Params {
		names = append(names, p.name)
	}
	return names
}
