package calibrate

import "slices"

// A param is a parameter of a function, with its C type as [typeOf] takes it.
type param struct{ name, typ string }

// A signature is one prototype that a function has had. Calibration decides
// which of those of a function is that of this kernel.
type signature struct {
	fn     string
	result string
	params []param
	must   []string // parameters whose value must have been seen where they are
}

var (
	pSk    = param{"sk", "*struct sock"}
	pSkb   = param{"skb", "*struct sk_buff"}
	pMsg   = param{"msg", "*struct msghdr"}
	pDev   = param{"dev", "*struct net_device"}
	pNet   = param{"net", "*struct net"}
	pIocb  = param{"iocb", "*void"}
	pLen   = param{"len", "unsigned long"}
	pPt    = param{"pt", "*void"}
	pOrig  = param{"orig_dev", "*struct net_device"}
	pNeigh = param{"neigh", "*struct neighbour"}
	pBlock = param{"noblock", "int"}
	pFlags = param{"flags", "int"}
	pALen  = param{"addr_len", "*int"}
)

// signatures of 3.10 to 7.x.
var signatures = []signature{
	{fnMark, "int", []param{pSk, {"level", "int"}, {"optname", "int"}, {"optval", "*void"}, {"optlen", "*int"}}, []string{"sk", "level", "optname"}},
	{fnSend4, "int", []param{pSk, pMsg, pLen}, []string{"sk", "msg", "len"}},
	{fnSend4, "int", []param{pIocb, pSk, pMsg, pLen}, []string{"sk", "msg", "len"}}, // until 4.0
	{fnSend6, "int", []param{pSk, pMsg, pLen}, []string{"sk", "msg", "len"}},
	{fnSend6, "int", []param{pIocb, pSk, pMsg, pLen}, []string{"sk", "msg", "len"}},
	{fnConsume, "void", []param{pSk, pSkb, {"len", "int"}}, []string{"sk", "skb", "len"}},
	{fnFree, "void", []param{pSk, pSkb}, []string{"sk", "skb"}},                        // and len from 4.7 to 4.9
	{fnRecv4, "int", []param{pSk, pMsg, pLen, pFlags}, []string{"sk", "len", "flags"}}, // since 5.19
	{fnRecv4, "int", []param{pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}},
	{fnRecv4, "int", []param{pIocb, pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}}, // until 4.0
	{fnRecv6, "int", []param{pSk, pMsg, pLen, pFlags}, []string{"sk", "len", "flags"}},
	{fnRecv6, "int", []param{pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}},
	{fnRecv6, "int", []param{pIocb, pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}},
	{fnRoute, "*void", []param{pNet, {"flp4", "*void"}, pSk}, []string{"net"}},
	{fnXmit, "int", []param{pSkb, pDev}, []string{"skb", "dev"}},
	{fnIPRcv, "int", []param{pSkb, pDev, pPt, pOrig}, []string{"skb", "dev", "orig_dev"}},
	{fnUDPRcv, "int", []param{pSkb}, []string{"skb"}},
	{fnNeigh, "int", []param{pNeigh, pSkb}, []string{"neigh", "skb"}},
	{fnDevFlags, "unsigned int", []param{pDev}, []string{"dev"}},
	{fnSetState, "void", []param{pSk, {"state", "int"}}, []string{"sk", "state"}},
	{fnConnect, "int", []param{pSk}, []string{"sk"}},
	{fnSendTCP, "int", []param{pSk, pMsg, {"size", "unsigned long"}}, []string{"sk", "size"}},
	{fnSendTCP, "int", []param{pIocb, pSk, pMsg, {"size", "unsigned long"}}, []string{"sk", "size"}}, // until 4.0
	{fnCleanup, "void", []param{pSk, {"copied", "int"}}, []string{"sk", "copied"}},
	{fnRecvTCP, "int", []param{pSk, pMsg, pLen, pFlags}, []string{"sk", "len", "flags"}}, // since 5.19, with addr_len until 7.0
	{fnRecvTCP, "int", []param{pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}},
	{fnRecvTCP, "int", []param{pIocb, pSk, pMsg, pLen, pBlock, pFlags, pALen}, []string{"sk", "len", "flags"}}, // until 4.0
	// What follows is (flags, err), with kern since 4.11, and a struct since 6.10.
	{fnAccept, "*struct sock", []param{pSk}, []string{"sk"}},
	{fnIPOutput, "int", []param{pSkb}, []string{"skb"}},            // until 4.0
	{fnIPOutput, "int", []param{pSk, pSkb}, []string{"sk", "skb"}}, // until 4.3
	{fnIPOutput, "int", []param{pNet, pSk, pSkb}, []string{"net", "sk", "skb"}},
	{fnSendSkb4, "int", []param{pNet, pSkb}, []string{"net", "skb"}},
	{fnSendSkb6, "int", []param{pSkb}, []string{"skb"}}, // since 4.0
}

// A call is one call of a function with the values that its parameters must
// have had.
type call struct {
	hit   *Hit
	known map[string]uint64
}

// agrees tells whether the call is possible with the signature.
func (c *call) agrees(s *signature) bool {
	for i, p := range s.params {
		v, ok := c.known[p.name]
		if !ok || i >= len(c.hit.Regs) {
			continue
		}
		mask := ^uint64(0)
		if p.typ == "int" {
			mask = 1<<32 - 1
		}
		if c.hit.Regs[i]&mask != v&mask {
			return false
		}
	}
	return true
}

// A confirmed function is one whose parameters were seen where a signature has
// them.
type confirmed struct {
	signature
	calls int
	ok    bool
	why   string
}

// confirm chooses among the signatures of a function: all calls must agree with
// exactly one, and show each of its important parameters.
func confirm(fn string, calls []call) confirmed {
	var left []confirmed
	for _, s := range signatures {
		if s.fn != fn {
			continue
		}
		if c := s.confirm(calls); c.ok {
			left = append(left, c)
		}
	}
	switch {
	case len(left) == 1:
		return left[0]
	case len(calls) == 0:
		return confirmed{signature: signature{fn: fn}, why: "no call was seen"}
	case len(left) > 1:
		return confirmed{signature: signature{fn: fn}, why: "more than one prototype fits"}
	}
	return confirmed{signature: signature{fn: fn}, calls: len(calls), why: "no known prototype fits what was seen"}
}

func (s *signature) confirm(calls []call) confirmed {
	c := confirmed{signature: *s, calls: len(calls)}
	seen := map[string][]uint64{}
	for i := range calls {
		if !calls[i].agrees(s) {
			return c
		}
		for name, v := range calls[i].known {
			if !slices.Contains(seen[name], v) {
				seen[name] = append(seen[name], v)
			}
		}
	}
	for _, name := range s.must {
		if len(seen[name]) == 0 {
			return c
		}
		// One value of a number may be chance; one pointer is not.
		i := slices.IndexFunc(s.params, func(p param) bool { return p.name == name })
		if s.params[i].typ[0] != '*' && len(seen[name]) < 2 && name != "level" {
			return c
		}
	}
	c.ok = true
	return c
}
