package tools

import "github.com/skprobe/skprobe/internal/event"

var _ = add(event.Tool{
	Name:  "bridge",
	Short: "frames that enter and leave a bridge, by port, forwarded or flooded",
	Long: `Shows the frames that pass a bridge: bridge.in where one enters by a port,
bridge.out where one leaves by a port, once for each port if it is flooded,
bridge.up where one is for this host itself, and bridge.down where this host
sends through the bridge.

action tells of bridge.out whether the bridge knew by which port the
destination is reached (forward), or sent the frame to all (flood). A frame
that enters and neither leaves nor goes up was dropped or kept: by STP, a VLAN
filter, a firewall, or because it came in where it would have to go out. What a
firewall on the bridge drops on its way out has been shown as bridge.out.

Where the module bridge is not loaded yet, skprobe waits for it.`,
	Example: `# Frames that a bridge floods, because it does not know where their destination is
skprobe bridge --out --where 'action == "flood"'`,
	Cost: "about 3 µs for each frame, at each of the places that it passes",
	Events: []event.Source{{
		Name:    "bridge.in",
		Flag:    "in",
		Short:   "a frame enters by a port",
		Softirq: true,
		Probes: []event.Probe{{
			Funcs:  []string{"bridge:br_handle_frame", "br_handle_frame"},
			Params: "struct sk_buff **pskb",
			Fields: bridgeFields("*pskb", portOf("(*pskb)->dev")),
		}},
	}, {
		Name:    "bridge.out",
		Flag:    "out",
		Short:   "a frame leaves by a port",
		Softirq: true,
		Probes: []event.Probe{{
			Funcs:  []string{"bridge:__br_forward", "__br_forward"},
			Params: "struct net_bridge_port *to, struct sk_buff *skb",
			Fields: append(bridgeFields("skb", "to"),
				event.Field{Name: "to", Expr: "to", Kind: event.Pointer, Hidden: true},
				event.Field{Name: "action", Computed: true, Kind: event.Char, Help: "forward: to the port of its destination; flood: to all"}),
		}},
	}, {
		Name:    "bridge.up",
		Flag:    "up",
		Short:   "a frame is for this host",
		Softirq: true,
		Probes: []event.Probe{{
			Funcs:    []string{"bridge:br_pass_frame_up", "br_pass_frame_up"},
			Params:   "struct sk_buff *skb",
			Optional: true,
			Fields:   bridgeFields("skb", portOf("skb->dev")),
		}},
	}, {
		Name:  "bridge.down",
		Flag:  "down",
		Short: "this host sends a frame",
		Probes: []event.Probe{{
			Funcs:  []string{"bridge:br_dev_xmit", "br_dev_xmit"},
			Params: "struct sk_buff *skb, struct net_device *dev",
			Fields: []event.Field{
				bridgeFrame("skb"),
				{Name: "bridge", Expr: "dev->name", Help: "device of the bridge"},
				event.DevNetNS("dev"),
			},
		}},
	}, {
		// Called for the port of a known destination alone, and calls
		// __br_forward, as what floods does.
		Name:    "bridge.known",
		Hidden:  true,
		Softirq: true,
		Short:   "the port of a destination is known",
		Probes: []event.Probe{{
			Funcs:    []string{"bridge:br_forward", "br_forward"},
			Params:   "struct net_bridge_port *to",
			Optional: true,
			Fields:   []event.Field{{Name: "to", Expr: "to", Kind: event.Pointer, Hidden: true}},
		}},
	}},
	Columns: []string{"bridge", "port", "port_no", "action", "smac", "dmac", "ethertype", "saddr", "daddr", "proto", "len"},
	Keys:    []string{},
	Reduce:  newForwards,
})

// portOf is the port of a bridge that a device is.
func portOf(dev string) string { return "((struct net_bridge_port *)" + dev + "->rx_handler_data)" }

func bridgeFrame(skb string) event.Field {
	return event.Field{Expr: skb, Kind: event.Packet(), Parts: []event.Pick{
		{Part: "smac"}, {Part: "dmac"}, {Part: "ethertype"}, {Part: "vlan", Wide: true},
		{Part: "proto", Wide: true}, {Part: "saddr", Wide: true}, {Part: "daddr", Wide: true}, {Part: "len", Wide: true}}}
}

func bridgeFields(skb, port string) []event.Field {
	return []event.Field{
		bridgeFrame(skb),
		{Name: "bridge", Expr: port + "->br->dev->name", Help: "device of the bridge"},
		{Name: "port", Expr: port + "->dev->name", Help: "device of the port"},
		{Name: "port_no", Expr: port + "->port_no", Kind: event.Uint16, Help: "number of the port"},
		event.DevNetNS(port + "->dev"),
	}
}

// forwards tells frames that are forwarded from those that are flooded: each
// CPU handles one at a time.
type forwards struct {
	known map[uint32]uint64 // the port that is known, by CPU

	to, action int
}

func newForwards(s *event.Schema, _ event.Settings) event.Reducer {
	return &forwards{known: map[uint32]uint64{}, to: s.Index("to"), action: s.Index("action")}
}

func (f *forwards) Event(ev *event.Event, show func(*event.Event) error) error {
	to := ev.Value(f.to)
	switch ev.Name {
	case "bridge.known":
		if to != nil {
			f.known[ev.CPU] = to.Num
		}
		return nil
	case "bridge.out":
		action := "flood"
		if to != nil && f.known[ev.CPU] == to.Num {
			action = "forward"
		}
		ev.SetText(f.action, []byte(action))
	}
	delete(f.known, ev.CPU)
	return show(ev)
}

// Evicted is 0: there is one frame for each CPU.
func (f *forwards) Evicted() uint64 { return 0 }
