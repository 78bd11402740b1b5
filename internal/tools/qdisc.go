package tools

import (
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "qdisc",
	Short: "packets in the queues of devices: how long they wait, and which are dropped there",
	Long: `Shows the packets that a queueing discipline (tc) takes, lets go, and drops:
qdisc.enqueue, qdisc.dequeue with the time that the packet waited, and
qdisc.drop, which is a packet that was handed to a device's queue and freed
before its driver had it. wait_us of a drop is the time in the queue, and
absent where the queue did not take it in.

A packet for which nobody has to wait passes by without being enqueued, and is
not shown. When several packets are let go at once, packets says how many the
first one stands for; each of the others is shown when its driver gets it.

handle is that of the root qdisc, the major number in its upper 16 bits. It
uses the kernel's tracepoints qdisc:qdisc_dequeue (4.16), qdisc:qdisc_enqueue
(5.15), net:* and skb:kfree_skb, also on kernels without kprobes. Before 5.15
there is no qdisc.enqueue, and packets wait from when the device got them. Why a
packet is dropped is shown by skprobe drop.`,
	Example: `# Packets that waited for more than 10 ms, by device
skprobe qdisc --dequeue --where 'wait_us > 10000' --count-by dev --hist wait_us`,
	Cost: "about 4 µs for each packet that is sent",
	Events: []event.Source{{
		Name:    "qdisc.enqueue",
		Flag:    "enqueue",
		Short:   "a queue takes a packet",
		Softirq: true,
		Probes:  []event.Probe{{Tracepoint: "qdisc:qdisc_enqueue", Optional: true, Fields: append(queueFields(), waitField)}},
	}, {
		Name:    "qdisc.dequeue",
		Flag:    "dequeue",
		Short:   "a queue lets a packet go",
		Softirq: true,
		Probes: []event.Probe{{
			Tracepoint: "qdisc:qdisc_dequeue",
			Only:       []event.Cond{{Field: "skbaddr", Op: event.NotEquals, Num: 0}}, // also where it is empty
			Fields: append(queueFields(), waitField,
				event.Field{Name: "packets", Expr: "packets", Kind: event.Uint, Wide: true, Help: "packets that are let go at once"}),
		}},
	}, {
		Name:    "qdisc.drop",
		Flag:    "drop",
		Short:   "a packet is dropped in a queue, or before it",
		Softirq: true,
		Probes: []event.Probe{{
			Tracepoint: "skb:kfree_skb",
			Fields: []event.Field{
				skbAddr,
				{Name: "dev", Computed: true, Kind: event.Char, Help: devHelp},
				{Name: "len", Computed: true, Kind: event.Size, Help: lenHelp},
				{Name: "location", Expr: "location", KindName: "symbol", Help: "where it was dropped"},
				waitField,
			},
		}},
	}, passingOn(true), {
		Name:    "qdisc.given",
		Hidden:  true,
		Softirq: true,
		Short:   "a packet is handed to a device",
		Probes: []event.Probe{{
			Tracepoint: "net:net_dev_queue",
			Fields: []event.Field{skbAddr, {Name: "dev", Expr: "name", Kind: event.String, Help: devHelp},
				{Name: "len", Expr: "len", Kind: event.Size, Help: lenHelp}},
		}},
	}, {
		Name:    "qdisc.sent",
		Hidden:  true,
		Softirq: true,
		Short:   "a driver gets a packet",
		Probes: []event.Probe{{
			Tracepoint: "net:net_dev_start_xmit", Fields: []event.Field{skbAddr},
			Else: []event.Probe{{Tracepoint: "net:net_dev_xmit", Fields: []event.Field{skbAddr}}}, // before 4.1
		}},
	}},
	Columns: []string{"dev", "handle", "len", "wait_us", "location"},
	Keys:    []string{},
	Reduce:  newQueues,
})

const (
	devHelp = "device"
	lenHelp = "bytes of the packet, with its link layer"
)

var (
	skbAddr   = event.Field{Name: "skbaddr", Expr: "skbaddr", Kind: event.Pointer, Hidden: true}
	waitField = event.Field{Name: "wait_us", Computed: true, Kind: event.Uint, Help: "time in the queue, in microseconds"}
)

// queueFields are those of the tracepoints of queues.
func queueFields() []event.Field {
	return []event.Field{
		skbAddr,
		{Name: "dev", Computed: true, Kind: event.Char, Help: devHelp},
		{Name: "ifindex", Expr: "ifindex", Kind: event.Uint, Wide: true, Help: "number of the device"},
		{Name: "handle", Expr: "handle", Kind: event.Hex, Help: "handle of the root qdisc"},
		{Name: "len", Computed: true, Kind: event.Size, Help: lenHelp},
	}
}

// A queued packet is one that was handed to a device and not yet to its driver.
type queued struct {
	dev   []byte
	len   uint64
	since uint64       // when it was handed over, or, once it is, enqueued
	in    *event.Event // with which it was enqueued, nil where it was not, or left again
	taken bool         // it was enqueued
}

// maxQueued is how many packets in queues are remembered.
const maxQueued = 16384

// queues follow packets by their address.
type queues struct {
	packets *track.Table[uint64, queued]
	callers *callers
	tells   bool // the kernel tells when a packet is enqueued

	skb, dev, len, wait int
}

func newQueues(s *event.Schema, _ event.Settings) event.Reducer {
	return &queues{packets: track.New[uint64, queued](maxQueued), callers: newCallers(s), skb: s.Index("skbaddr"), dev: s.Index("dev"), len: s.Index("len"), wait: s.Index("wait_us")}
}

func (q *queues) Event(ev *event.Event, show func(*event.Event) error) error {
	if ev.Name == dropCallers {
		q.callers.note(ev)
		return nil
	}
	skb := ev.Value(q.skb)
	if skb == nil {
		return nil
	}
	if ev.Name == "qdisc.given" {
		p := queued{since: ev.Mono}
		if dev := ev.Value(q.dev); dev != nil {
			p.dev = append(p.dev, dev.Text...)
		}
		if size := ev.Value(q.len); size != nil {
			p.len = size.Num
		}
		q.packets.Put(skb.Num, p)
		return nil
	}
	p := q.packets.Get(skb.Num)
	if p == nil {
		if ev.Name == "qdisc.enqueue" || ev.Name == "qdisc.dequeue" {
			return show(ev) // it was handed over before tracing began
		}
		return nil
	}
	switch ev.Name {
	case "qdisc.enqueue":
		q.tells = true
		q.describe(ev, p)
		p.since, p.taken, p.in = ev.Mono, true, ev.Clone()
	case "qdisc.dequeue":
		q.describe(ev, p)
		q.waited(ev, p)
		p.in = nil
	case "qdisc.drop":
		q.describe(ev, p)
		q.callers.place(ev)
		if p.taken {
			q.waited(ev, p)
		}
		q.packets.Delete(skb.Num)
	case "qdisc.sent":
		left := p.in
		q.packets.Delete(skb.Num)
		if left == nil {
			return nil
		}
		// It was let go behind another one.
		left.Name, left.Mono, left.CPU = "qdisc.dequeue", ev.Mono, ev.CPU
		q.waited(left, p)
		return show(left)
	}
	return show(ev)
}

func (q *queues) describe(ev *event.Event, p *queued) {
	ev.SetText(q.dev, p.dev)
	ev.SetNum(q.len, p.len)
}

func (q *queues) waited(ev *event.Event, p *queued) {
	if ev.Mono >= p.since && (p.taken || !q.tells) {
		ev.SetNum(q.wait, (ev.Mono-p.since)/1000)
	}
}

// Evicted returns how many packets were forgotten.
func (q *queues) Evicted() uint64 { return q.packets.Evicted() }
