package tools

import (
	"net/netip"

	"github.com/skprobe/skprobe/internal/dns"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// dnsAnswer is a datagram of a name server that a process receives.
func dnsAnswer() event.Probe {
	p := udpTaken(nil,
		[]event.Field{{Name: "dns", Expr: "skb", Kind: event.DatagramReceived(), Parts: []event.Pick{
			{Part: "sport", Name: "sport", Hidden: true}, {Part: "payload", Name: "payload", Hidden: true}}}},
		func(string) []event.Field { return nil })
	p.Rare = []event.Cond{{Field: "dns_sport", Op: event.Equals, Num: 53}}
	return p
}

// maxNames is of how many addresses the names are remembered.
const maxNames = 16384

// A told address is one that a process was told of.
type told struct {
	pid  uint32 // 0: whichever process was told of it last
	addr netip.Addr
}

// askedNames remembers the names that processes asked for, by their addresses.
type askedNames struct {
	byAddr  *track.Table[told, []byte]
	message dns.Message
	payload int
}

func newAskedNames(s *event.Schema) *askedNames {
	return &askedNames{byAddr: track.New[told, []byte](maxNames), payload: s.Index("dns_payload")}
}

// answer takes a datagram of a name server.
func (n *askedNames) answer(ev *event.Event) {
	payload := ev.Value(n.payload)
	if payload == nil || !n.message.Decode(payload.Text) || !n.message.Response {
		return
	}
	name := []byte(n.message.Name)
	for _, addr := range n.message.Addrs {
		n.byAddr.Put(told{ev.PID, addr.Unmap()}, name)
		n.byAddr.Put(told{0, addr.Unmap()}, name)
	}
}

// of is the name for which a process was told an address, or else another one,
// which may have asked for it (nscd, systemd-resolved). It is nil where there
// is none.
func (n *askedNames) of(pid uint32, addr netip.Addr) []byte {
	for _, pid := range []uint32{pid, 0} {
		if name := n.byAddr.Get(told{pid, addr.Unmap()}); name != nil {
			return *name
		}
	}
	return nil
}
