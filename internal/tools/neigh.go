package tools

import (
	"net/netip"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

// nudState are the states of a neighbour: NUD_… of
// include/uapi/linux/neighbour.h.
var nudState = event.Numbered("nud", "state of a neighbour", map[uint64]string{
	0: "NONE", 0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY", 0x10: "PROBE", 0x20: "FAILED", 0x40: "NOARP", 0x80: "PERMANENT",
})

// nudValid are those in which the MAC is known (NUD_VALID of
// include/net/neighbour.h).
var nudValid = []int64{0x02, 0x04, 0x08, 0x10, 0x40, 0x80}

var _ = add(event.Tool{
	Name:  "neigh",
	Short: "state changes of neighbours: who is looked for, found, doubted, lost",
	Long: `Shows each change in the state of an entry of the neighbour tables (ARP and
IPv6's neighbour discovery): INCOMPLETE while it is looked for, REACHABLE when
it has answered, STALE when that was some time ago, DELAY and PROBE while it is
asked again, FAILED when it does not answer; PERMANENT and NOARP are set by
people and by devices without addresses. mac is absent while none is known.

The changes come from the kernel's tracepoints neigh:* (5.1). Older kernels show
those that neigh_update makes, and none by timers. Most happen in softirq; a pid
is shown where a process asked for the change.`,
	Example: `# Which neighbours are lost
skprobe neigh --where 'newstate == "FAILED"'`,
	Cost: "about 4 µs for each change of a state",
	Events: []event.Source{{
		Name:  "neigh.state",
		Short: "a neighbour goes from one state to another",
		Probes: []event.Probe{
			{Tracepoint: "neigh:neigh_update_done", Fields: recordedNeighbour(), Else: []event.Probe{{
				// What it is asked to do, not what it does.
				Funcs: []string{"__neigh_update", "neigh_update"}, NonNull: []string{"neigh"}, Fields: askedNeighbour(),
			}}},
			{Tracepoint: "neigh:neigh_event_send_done", Optional: true, Fields: recordedNeighbour()},
			{Tracepoint: "neigh:neigh_timer_handler", Optional: true, Fields: recordedNeighbour()},
		},
	}, {
		// The state before is that at the start of the functions: they hold the
		// neighbour's lock, or run in softirq.
		Name:   "neigh.before",
		Hidden: true,
		Short:  "a neighbour's state may change now",
		Probes: []event.Probe{
			{Tracepoint: "neigh:neigh_update", Optional: true, Fields: recordedNeighbour()},
			{Funcs: []string{"__neigh_event_send"}, Optional: true, NonNull: []string{"neigh"}, Fields: neighbourOf("neigh")},
			// Its parameter is a timer_list since 4.15, and was the neighbour.
			{Funcs: []string{"neigh_timer_handler"}, Optional: true,
				Fields: neighbourOf("container_of(t, struct neighbour, timer) ?? ((struct neighbour *)arg)")},
		},
	}},
	Columns: []string{"dev", "addr", "mac", "oldstate", "newstate"},
	Keys:    []string{},
	Reduce:  newNeighbours,
})

// recordedNeighbour are the fields of the tracepoints.
func recordedNeighbour() []event.Field {
	return neighbourFields("dev", "family", "primary_key4", "primary_key6", "lladdr", "nud_state")
}

// neighbourOf are the fields of a struct neighbour.
func neighbourOf(neigh string) []event.Field {
	p := "(" + neigh + ")->"
	return neighbourFields(p+"dev->name", p+"tbl->family", p+"primary_key", p+"primary_key", p+"ha", p+"nud_state")
}

// askedNeighbour are those of neigh_update, whose parameter is the state that
// is wanted.
func askedNeighbour() []event.Field {
	fields := neighbourOf("neigh")
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case "newstate":
			f.Expr = "new"
		case "oldstate":
			*f = event.Field{Name: f.Name, Expr: "neigh->nud_state", Kind: nudState, Help: f.Help}
		}
	}
	return fields
}

func neighbourFields(dev, family, key4, key6, mac, state string) []event.Field {
	is := func(field string, n int64) []event.Cond {
		return []event.Cond{{Field: field, Op: event.Equals, Num: n}}
	}
	known := event.Field{Name: "mac", Help: "MAC, where it is known"}
	for _, n := range nudValid {
		known.Cases = append(known.Cases, event.Case{If: is("newstate", n), From: "lladdr"})
	}
	return []event.Field{
		{Name: "dev", Expr: dev, Help: "device"},
		{Name: "family", Expr: family, Kind: event.Family, Wide: true, Help: "inet for ARP, inet6 for neighbour discovery"},
		{Name: "addr4", Expr: key4, Kind: event.IPv4, Hidden: true},
		{Name: "addr6", Expr: key6, Kind: event.IPv6, Hidden: true},
		{Name: "addr", Help: "address of the neighbour", Cases: []event.Case{
			{If: is("family", afInet6), From: "addr6"}, {If: is("family", afInet), From: "addr4"}}},
		{Name: "newstate", Expr: state, Kind: nudState, Help: "state after"},
		{Name: "lladdr", Expr: mac, Kind: event.MAC, Hidden: true},
		known,
		{Name: "oldstate", Computed: true, Kind: nudState, Help: "state before"},
	}
}

// A change is one that is under way: a function looks at a neighbour, and will
// tell its state when it is done.
type change struct {
	dev   string
	addr  netip.Addr
	state uint64 // before
}

// maxChanges is how many changes can be under way on one CPU: a neighbour that
// is asked may answer, in softirq, before the function that asks is done.
const maxChanges = 16

// neighbours finds what the state was before a change.
type neighbours struct {
	open    map[uint32][]change // of each CPU, the innermost last
	evicted uint64

	dev, addr, oldstate, newstate int
}

func newNeighbours(s *event.Schema, _ event.Settings) event.Reducer {
	return &neighbours{open: map[uint32][]change{}, dev: s.Index("dev"), addr: s.Index("addr"),
		oldstate: s.Index("oldstate"), newstate: s.Index("newstate")}
}

func (n *neighbours) Event(ev *event.Event, show func(*event.Event) error) error {
	dev, addr, state := ev.Value(n.dev), ev.Value(n.addr), ev.Value(n.newstate)
	if dev == nil || addr == nil || state == nil {
		return nil
	}
	old, known := state.Num, false
	if v := ev.Value(n.oldstate); v != nil {
		old, known = v.Num, true // one function tells both
	}
	about := func(c change) bool { return c.addr == addr.Addr && c.dev == string(dev.Text) }
	if cpu, i := n.under(ev.CPU, about); i >= 0 && !known {
		old, known = n.open[cpu][i].state, true
		if ev.Name != "neigh.before" {
			n.open[cpu] = n.open[cpu][:i] // done, with what it called
		}
	}
	for _, open := range n.open {
		for i := range open {
			if about(open[i]) {
				open[i].state = state.Num
			}
		}
	}
	if ev.Name == "neigh.before" {
		open := n.open[ev.CPU]
		if len(open) == maxChanges {
			open = open[:copy(open, open[1:])]
			n.evicted++
		}
		n.open[ev.CPU] = append(open, change{string(dev.Text), addr.Addr, state.Num})
	}
	if !known || old == state.Num {
		return nil
	}
	ev.Name = "neigh.state"
	ev.SetNum(n.oldstate, old)
	return show(ev)
}

// under finds the innermost change that is under way, on the CPU or, if there is
// none, on another: a task that asks a neighbour tells its state after softirqs
// are allowed again, when it may have been moved.
func (n *neighbours) under(cpu uint32, about func(change) bool) (uint32, int) {
	last := func(cpu uint32) int {
		for i, c := range slices.Backward(n.open[cpu]) {
			if about(c) {
				return i
			}
		}
		return -1
	}
	if i := last(cpu); i >= 0 {
		return cpu, i
	}
	for other := range n.open {
		if i := last(other); i >= 0 {
			return other, i
		}
	}
	return cpu, -1
}

// Evicted returns how many changes were given up.
func (n *neighbours) Evicted() uint64 { return n.evicted }
