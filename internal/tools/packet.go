package tools

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

var _ = add(event.Tool{
	Name:  "packet",
	Short: "packets at any place of the stack, with their headers",
	Long: `Shows the packets that pass a place of the kernel's network stack:

  rx         a device has received a frame; what GRO has put together is one
  tx         a frame is given to a device's driver
  queue      a packet is given to a device, and has not passed its queue yet
  forward    a packet is to be forwarded
  local-in   a packet is for this host
  local-out  this host has made a packet, which its firewall has let through
  FUNCTION   a function of the kernel with an sk_buff is entered

Without --at these are rx and tx, which is what tcpdump would see. A last
argument is a filter as tcpdump takes it; headers behind VLAN tags and IPv6
extension headers are found, and those within tunnels (tunnel, inner_saddr, …).
-e shows the link layer, --wide all that is known.

A field is absent where the kernel has not recorded the bytes in which it lies,
96 from the beginning of the packet's data on: --snap takes more of them.

--path follows each packet by its address in the kernel, and shows it once, when
it has come to its end: fate says what became of it, path which places it
passed, with the times between. The other columns, pid and comm too, are those
at the first place.

pid and comm are those of the sender where a packet is made or queued. At the
other places the current task is a bystander, and there are none.`,
	Example: `# SYNs that this host sends, and the MSS that they offer
skprobe packet --at tx 'tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn' --format json

# The way of each ping through the stack
skprobe packet --path 'icmp[icmptype] = icmp-echo'

# What one connection does, for Wireshark
skprobe packet -w web.pcapng 'tcp port 443 and host 192.0.2.7'`,
	Cost: "3 to 5 µs for each packet at each place",
	Options: []event.Option{{
		Name: "at", Takes: true, Default: "rx,tx", Help: "only at these `PLACES` (,…): rx, tx, queue, forward, local-in, local-out, all, or a FUNCTION",
		Events: placeNames(), Choose: choosePlaces,
	}, {
		Name: "path", Help: "show the way of each packet through the places (all of them, without --at) and its fate, in one line",
		Events: []string{pathShown, pathDropped, pathFreed, dropCallers}, Args: []string{"at=all"}, Reduce: newTrails,
	}, {
		Name: "link", Letter: "e", Help: "show the link layer", Columns: []string{"smac", "dmac", "vlan"},
	}},
	Events: append(packetPlaces(), pathEnds()...),
	Columns: []string{"dev", "smac", "dmac", "vlan", "ethertype", "proto", "saddr", "sport", "daddr", "dport", "flags", "len",
		"fate", "duration_us", "reason", "location", "path",
		"vlan2", "ar_op", "ar_sip", "ar_sha", "ar_tip", "ar_tha", "icmp_type", "icmp_code", "icmp_id", "icmp_seq", "seq", "ack_seq", "win", "mss"},
})

// A stackPlace is one that has a name of its own.
type stackPlace struct {
	name, short string
	softirq     bool // what passes it is nobody's business who is current
	probes      []event.Probe
}

// stackPlaces are those that --at names.
func stackPlaces() []stackPlace {
	const params = "struct sk_buff *skb"
	in := func(kind func() *event.Kind) []event.Field { return passing("$skb", kind(), "$skb->dev") }
	at := func(optional bool, funcs ...string) event.Probe {
		return event.Probe{Funcs: funcs, Params: params, Optional: optional, Fields: in(event.Packet)}
	}
	queue := at(false, "__dev_queue_xmit", "dev_queue_xmit")
	return []stackPlace{
		{"rx", "a device has received a frame", true, []event.Probe{{
			// The beginning of __netif_receive_skb_core, which the compiler
			// often changes.
			Tracepoint: "net:netif_receive_skb",
			Fields:     in(event.Arriving),
			Else: []event.Probe{{
				Funcs:  []string{"__netif_receive_skb_core"}, // with skb or pskb
				Fields: in(event.Arriving),
				// Not for what comes as a list (4.19).
				Else: []event.Probe{{Funcs: []string{"__netif_receive_skb"}, Params: params, Fields: in(event.Arriving)}},
			}},
		}}},
		{"tx", "a frame is given to a driver", true, []event.Probe{{
			Tracepoint: "net:net_dev_start_xmit",
			Fields:     in(event.Packet),
			// Before the queue, and before what the device cannot do itself.
			Else: []event.Probe{queue},
		}}},
		{"queue", "a packet is given to a device", false, []event.Probe{queue}},
		{"forward", "a packet is to be forwarded", true, []event.Probe{at(false, "ip_forward"), at(true, "ip6_forward")}},
		{"local-in", "a packet is for this host", true, []event.Probe{at(false, "ip_local_deliver"), at(true, "ip6_input")}},
		{"local-out", "this host has made a packet", false, []event.Probe{outputPlace("ip_output"), outputPlace("ip_mc_output"), outputPlace("ip6_output")}},
	}
}

// outputPlace is where packets pass that were made here, and those that are
// forwarded, which have come in on a device. What its own is, is not known yet.
func outputPlace(function string) event.Probe {
	return event.Probe{
		Funcs:    []string{function},
		NonNull:  []string{"skb"},
		Optional: function != "ip_output",
		Rare:     []event.Cond{{Field: "iif", Op: event.Equals, Num: 0}},
		Fields: append(passing("$skb", event.Packet(), ""),
			event.Field{Name: "iif", Expr: "$skb->skb_iif", Kind: event.Uint, Hidden: true}, event.ParamNetNS("net")),
	}
}

// passing are the fields of a packet that passes a place, with its device where
// that is known.
func passing(skb string, kind *event.Kind, dev string) []event.Field {
	fields := []event.Field{
		{Expr: skb, Kind: kind, Parts: shownParts(kind)},
		{Name: "mark", Expr: skb + "->mark", Kind: event.Hex, Wide: true, Optional: true, Help: "mark of the packet"},
		{Name: "skb", Expr: skb, Kind: event.Pointer, Wide: true, Help: "address of the packet in the kernel, which tells packets apart until they are freed"},
	}
	if dev != "" {
		fields = append(fields, event.Field{Name: "dev", Expr: dev + "->name", Help: "device: by which it came, or by which it is to go"}, event.DevNetNS(dev))
	}
	return fields
}

// alwaysShown are the parts of a packet that are in the table anyway.
var alwaysShown = []string{"ethertype", "proto", "saddr", "sport", "daddr", "dport", "flags"}

// shownParts are all parts of a packet. len is that of the frame, which is the
// same wherever skb->data is.
func shownParts(kind *event.Kind) []event.Pick {
	var picks []event.Pick
	for _, part := range kind.Parts {
		switch {
		case part.OnRequest, part.Name == "len":
		case part.Name == "frame_len":
			picks = append(picks, event.Pick{Part: part.Name, Name: "len"})
		default:
			picks = append(picks, event.Pick{Part: part.Name, Wide: !slices.Contains(alwaysShown, part.Name)})
		}
	}
	return picks
}

func packetPlaces() []event.Source {
	var all []event.Source
	for _, p := range stackPlaces() {
		all = append(all, event.Source{Name: "packet." + p.name, Short: p.short, Softirq: p.softirq, Probes: p.probes})
	}
	return all
}

func placeNames() []string {
	var names []string
	for _, p := range stackPlaces() {
		names = append(names, "packet."+p.name)
	}
	return names
}

// choosePlaces reads the value of --at. What is no place is a function.
func choosePlaces(value string) (chosen []string, more []event.Source, err error) {
	known := placeNames()
	for word := range strings.SplitSeq(value, ",") {
		switch {
		case word == "all":
			chosen = append(chosen, known...)
		case slices.Contains(known, "packet."+word):
			chosen = append(chosen, "packet."+word)
		case !isFunction(word):
			return nil, nil, fmt.Errorf("%q is no place: there are rx, tx, queue, forward, local-in, local-out, all, and functions", word)
		case !slices.ContainsFunc(more, func(s event.Source) bool { return s.Name == word }):
			more = append(more, event.Source{Name: word, Short: "the function is entered", Probes: []event.Probe{{
				Funcs: []string{word}, Fields: passing("$skb", event.Packet(), "$skb->dev")}}})
		}
	}
	return chosen, more, nil
}

// isFunction tells whether a word can be the name of a function, perhaps with
// its module.
func isFunction(word string) bool {
	word = word[strings.IndexByte(word, ':')+1:]
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == ""
}
