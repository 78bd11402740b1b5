package tools

import (
	"net/netip"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "arp",
	Short: "ARP packets and IPv6 neighbour discovery, who answered, and what was not answered",
	Long: `Shows each ARP packet that comes in or goes out, and the same questions and
answers of IPv6's neighbour discovery: -4 shows ARP alone, -6 the other alone.

The columns have SystemTap's names. ar_sip and ar_sha are the sender's
addresses, ar_tip the address that is asked for or told, ar_tha the MAC that
goes with it in ARP. For neighbour discovery ar_sha is the MAC from which the
frame came.

latency_us, of an answer, is the time since the first question that it answers,
and tries how often was asked. Questions that went out and were never answered
are shown at the end, as arp.unanswered. Announcements and probes for
duplicates, which want no answer, are not among them.

pid and comm are those of the process whose packet made the kernel ask. What
comes in, and what goes out by a timer or as an answer, is in softirq, where the
current task is a bystander: it has none.`,
	Example: `# Who asks, who answers, on one interface
skprobe arp --where 'dev == "eth0"'`,
	Cost: "about 2 µs for each packet of ARP or neighbour discovery; nothing for others",
	Events: []event.Source{{
		Name:    "arp.in",
		Flag:    "in",
		Short:   "an ARP packet comes in",
		Softirq: true,
		Probes:  []event.Probe{{Funcs: []string{"arp_rcv"}, Params: "struct sk_buff *skb, struct net_device *dev", NonNull: []string{"skb", "dev"}, Fields: arpFields("dev")}},
	}, {
		Name:   "arp.out",
		Flag:   "out",
		Short:  "an ARP packet goes out",
		Probes: []event.Probe{{Funcs: []string{"arp_xmit"}, Params: "struct sk_buff *skb", NonNull: []string{"skb"}, Fields: arpFields("skb->dev")}},
	}, {
		Name:    "nd.in",
		Flag:    "nd-in",
		Short:   "a packet of IPv6's neighbour discovery comes in",
		Softirq: true,
		Probes: []event.Probe{{
			Funcs:    []string{"ndisc_rcv"},
			Params:   "struct sk_buff *skb",
			NonNull:  []string{"skb"},
			Optional: true, // CONFIG_IPV6
			Fields: append([]event.Field{
				{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "saddr", Name: "ar_sip"}, {Part: "smac", Name: "ar_sha"}, {Part: "nd_target", Name: "ar_tip"}}},
				{Name: "nd", Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "icmp_type", Name: "type"}}, Hidden: true},
			}, ndFields("nd_type")...),
		}},
	}, {
		Name:  "nd.out",
		Flag:  "nd-out",
		Short: "a packet of IPv6's neighbour discovery goes out",
		Probes: []event.Probe{{
			// Its packet has no header of IPv6 yet: skb->data is that of ICMPv6.
			Funcs:    []string{"ndisc_send_skb"},
			Params:   "struct sk_buff *skb, struct in6_addr *daddr, struct in6_addr *saddr", // since 3.9
			NonNull:  []string{"skb"},
			Optional: true,
			Fields: append([]event.Field{
				{Name: "ar_sip", Expr: "saddr", Kind: event.IPv6, Help: arpHelp["ar_sip"]},
				{Name: "nd_type", Expr: "*(u8 *)skb->data", Kind: event.Uint, Hidden: true},
				{Name: "target", Expr: "(u8 *)skb->data + 8", Kind: event.IPv6, Hidden: true},
				{Name: "ar_tip", Help: arpHelp["ar_tip"], Cases: []event.Case{
					{If: ndIs("nd_type", 135), From: "target"}, {If: ndIs("nd_type", 136), From: "target"}}},
			}, ndFields("nd_type")...),
		}},
	}, {
		Name:    "arp.unanswered",
		Short:   "a question that went out was not answered until the end",
		Softirq: true,
	}},
	Columns: []string{"ar_op", "ar_sip", "ar_sha", "ar_tip", "ar_tha", "dev", "latency_us", "tries"},
	Keys:    []string{"dev"},
	Reduce:  newQuestions,
})

var arpHelp = map[string]string{
	"ar_op":  "operation: request, reply, or solicitation, advertisement and others of neighbour discovery",
	"ar_sip": "address of the sender",
	"ar_sha": "MAC of the sender",
	"ar_tip": "address that is asked for or told",
	"ar_tha": "MAC of the target",
}

// arpFields are those of a packet of ARP.
func arpFields(dev string) []event.Field {
	return append([]event.Field{
		{Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "ar_sip", Help: arpHelp["ar_sip"]}, {Part: "ar_sha", Help: arpHelp["ar_sha"]},
			{Part: "ar_tip", Help: arpHelp["ar_tip"]}, {Part: "ar_tha", Help: arpHelp["ar_tha"]}}},
		{Name: "arp", Expr: "skb", Kind: event.Packet(), Parts: []event.Pick{{Part: "ar_op", Name: "op"}}, Hidden: true},
		{Name: "ar_op", Kind: event.Char, Cases: []event.Case{{From: "arp_op"}}, Help: arpHelp["ar_op"]},
		{Name: "family", Kind: event.Char, Cases: []event.Case{{Text: "inet"}}, Wide: true, Help: "inet for ARP, inet6 for neighbour discovery"},
	}, questionFields(dev)...)
}

// ndTypes are the types of ICMPv6 that are neighbour discovery (RFC 4861).
var ndTypes = map[int64]string{133: "router-solicitation", 134: "router-advertisement", 135: "solicitation", 136: "advertisement", 137: "redirect"}

func ndIs(field string, n int64) []event.Cond {
	return []event.Cond{{Field: field, Op: event.Equals, Num: n}}
}

// ndFields are those of a packet of neighbour discovery whose type is in a
// field.
func ndFields(kind string) []event.Field {
	op := event.Field{Name: "ar_op", Kind: event.Char, Help: arpHelp["ar_op"]}
	for n := int64(133); n <= 137; n++ {
		op.Cases = append(op.Cases, event.Case{If: ndIs(kind, n), Text: ndTypes[n]})
	}
	return append([]event.Field{op,
		{Name: "family", Kind: event.Char, Cases: []event.Case{{Text: "inet6"}}, Wide: true}}, questionFields("skb->dev")...)
}

// questionFields are what all events have.
func questionFields(dev string) []event.Field {
	return []event.Field{
		{Name: "dev", Expr: dev + "->name", Help: "device"},
		{Name: "device", Expr: dev, Kind: event.Pointer, Hidden: true},
		event.DevNetNS(dev),
		{Name: "latency_us", Computed: true, Kind: event.Uint, Help: "time from the question to this answer, in microseconds"},
		{Name: "tries", Computed: true, Kind: event.Uint, Help: "how often was asked before this answer, or without one"},
	}
}

// A question is one that waits for its answer. The same address can be asked
// for on several devices, and in both directions.
type question struct {
	device        uint64
	out           bool
	asker, target netip.Addr // neighbour discovery: the asker is not in the answer
}

type asked struct {
	first *event.Event
	tries uint64
}

// maxQuestions is how many questions are remembered.
const maxQuestions = 4096

// questions finds the answers.
type questions struct {
	open *track.Table[question, asked]

	op, sip, tip, device, latency, tries int
}

func newQuestions(s *event.Schema, _ event.Settings) event.Reducer {
	return &questions{open: track.New[question, asked](maxQuestions), op: s.Index("ar_op"), sip: s.Index("ar_sip"), tip: s.Index("ar_tip"),
		device: s.Index("device"), latency: s.Index("latency_us"), tries: s.Index("tries")}
}

func (q *questions) Event(ev *event.Event, show func(*event.Event) error) error {
	op, sip, tip, device := ev.Value(q.op), ev.Value(q.sip), ev.Value(q.tip), ev.Value(q.device)
	if op == nil || sip == nil || tip == nil || device == nil {
		return show(ev)
	}
	out := ev.Name == "arp.out" || ev.Name == "nd.out"
	key := question{device: device.Num, out: out, target: tip.Addr}
	switch string(op.Text) {
	case "request":
		key.asker = sip.Addr
		fallthrough
	case "solicitation":
		if sip.Addr == tip.Addr || sip.Addr.IsUnspecified() {
			break // an announcement, or a look for duplicates
		}
		if a := q.open.Get(key); a != nil {
			a.tries++
		} else {
			q.open.Put(key, asked{ev.Clone(), 1})
		}
	case "reply":
		key.asker, key.target = tip.Addr, sip.Addr
		fallthrough
	case "advertisement":
		key.out = !out
		if a := q.open.Get(key); a != nil && ev.Mono >= a.first.Mono {
			ev.SetNum(q.latency, (ev.Mono-a.first.Mono)/1000)
			ev.SetNum(q.tries, a.tries)
			q.open.Delete(key)
		}
	}
	return show(ev)
}

// Finish shows what was asked here and not answered: what others ask is for
// others to answer too.
func (q *questions) Finish(_ uint64, show func(*event.Event) error) (err error) {
	q.open.All(func(key question, a *asked) bool {
		if !key.out {
			return true
		}
		ev := a.first
		ev.Name = "arp.unanswered"
		ev.SetNum(q.tries, a.tries)
		err = show(ev)
		return err == nil
	})
	return err
}

func (q *questions) Evicted() uint64 { return q.open.Evicted() }
