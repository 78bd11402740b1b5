// Package dns decodes DNS messages (RFC 1035), also ones of which only the beginning is there.
package dns

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A Message is what is shown of a DNS message.
type Message struct {
	ID        uint16
	Response  bool
	Truncated bool // the answer did not fit into a datagram
	RCode     uint8
	Opcode    uint8
	// Name and Type are those of the first question; of a response without one, as multicast DNS has it, those of its first
	// answer. Name has no dot at its end, but for the root's own.
	Name string
	Type uint16
	// Answers is how many records the answer section has, Data what the first of them say: addresses, or where there are none
	// names and texts.
	Answers int
	Data    []string
	// Addrs are the addresses.
	Addrs []netip.Addr
}

// maxData is how many answers are shown, and maxAddrs how many addresses there are at most.
const (
	maxData  = 8
	maxAddrs = 64
)

// Decode replaces m by the message that b begins with. It reports false where b is none: m means nothing then. What lies
// beyond the end of b is missing.
func (m *Message) Decode(b []byte) bool {
	*m = Message{Data: m.Data[:0], Addrs: m.Addrs[:0]}
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || len(b) < 12 {
		return false
	}
	m.ID, m.Response, m.Truncated, m.RCode, m.Opcode = h.ID, h.Response, h.Truncated, uint8(h.RCode), uint8(h.OpCode)
	questions := int(b[4])<<8 | int(b[5])
	m.Answers = int(b[6])<<8 | int(b[7])
	if questions > 0 {
		q, err := p.Question()
		if err != nil {
			return false
		}
		m.Name, m.Type = trim(q.Name), uint16(q.Type)
		if p.SkipAllQuestions() != nil {
			return true
		}
	} else if p.SkipAllQuestions() != nil {
		return false
	}
	m.answers(&p)
	return true
}

// answers takes addresses, and where there are none other data.
func (m *Message) answers(p *dnsmessage.Parser) {
	var others []string
	for {
		h, err := p.AnswerHeader()
		if err != nil {
			break
		}
		if m.Name == "" {
			m.Name, m.Type = trim(h.Name), uint16(h.Type)
		}
		addr, data, ok := record(p, h)
		if !ok {
			break
		}
		switch {
		case addr.IsValid() && len(m.Addrs) < maxAddrs:
			m.Addrs = append(m.Addrs, addr)
		case data != "" && len(others) < maxData:
			others = append(others, data)
		}
	}
	for _, addr := range m.Addrs[:min(len(m.Addrs), maxData)] {
		m.Data = append(m.Data, addr.String())
	}
	if len(m.Data) == 0 {
		m.Data = append(m.Data, others...)
	}
}

// record takes the record whose header was read: an address or other data. It has neither where it is of a type that is not shown.
func record(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) (addr netip.Addr, data string, ok bool) {
	var err error
	switch h.Type {
	case dnsmessage.TypeA:
		var r dnsmessage.AResource
		if r, err = p.AResource(); err == nil {
			addr = netip.AddrFrom4(r.A)
		}
	case dnsmessage.TypeAAAA:
		var r dnsmessage.AAAAResource
		if r, err = p.AAAAResource(); err == nil {
			addr = netip.AddrFrom16(r.AAAA)
		}
	case dnsmessage.TypeCNAME:
		var r dnsmessage.CNAMEResource
		if r, err = p.CNAMEResource(); err == nil {
			data = trim(r.CNAME)
		}
	case dnsmessage.TypeNS:
		var r dnsmessage.NSResource
		if r, err = p.NSResource(); err == nil {
			data = trim(r.NS)
		}
	case dnsmessage.TypePTR:
		var r dnsmessage.PTRResource
		if r, err = p.PTRResource(); err == nil {
			data = trim(r.PTR)
		}
	case dnsmessage.TypeMX:
		var r dnsmessage.MXResource
		if r, err = p.MXResource(); err == nil {
			data = strconv.Itoa(int(r.Pref)) + " " + trim(r.MX)
		}
	case dnsmessage.TypeSRV:
		var r dnsmessage.SRVResource
		if r, err = p.SRVResource(); err == nil {
			data = trim(r.Target) + ":" + strconv.Itoa(int(r.Port))
		}
	case dnsmessage.TypeTXT:
		var r dnsmessage.TXTResource
		if r, err = p.TXTResource(); err == nil {
			data = strconv.Quote(strings.Join(r.TXT, ""))
		}
	default:
		err = p.SkipAnswer()
	}
	return addr, data, err == nil
}

// trim is a name without the dot at its end.
func trim(n dnsmessage.Name) string {
	if s := n.String(); len(s) > 1 {
		return strings.TrimSuffix(s, ".")
	}
	return "."
}
