package tools

import (
	"slices"
	"time"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "tcptop",
	Short: "bytes over TCP by process and connection, each second",
	Long: `Counts the bytes that processes send and receive over TCP, by process and
connection, and shows those with the most each second: on a terminal in the same
place, otherwise one table after the other.

Bytes are counted where processes move them: tx_bytes are those that sockets
took, rx_bytes those that were taken from sockets, each once. A process that
looks at bytes without taking them (MSG_PEEK) has not received them.

--count-by, --sum, --every, --top and --sort change what is shown and how:
with --count-by comm there is a row for all processes of a name.`,
	Example: `# Which services of a host receive most, in one minute
skprobe tcptop --count-by comm,lport --sort rx_bytes --every 0 --duration 1m`,
	Cost: "about 4 µs for each call that sends, and 2 µs for each that receives",
	Events: []event.Source{{
		Name:  "tcp.send",
		Flag:  "send",
		Short: "a process has given bytes to a TCP socket",
		Probes: []event.Probe{{
			// What calls the second with the socket locked, as TLS in the
			// kernel does, does not pass the first.
			Funcs:   []string{"tcp_sendmsg_locked", "tcp_sendmsg"},
			NonNull: []string{"sk"},
			Return:  true,
			Only:    []event.Cond{{Field: "sent", Op: event.AtLeast, Num: 1}},
			Fields:  tcpSent(),
		}, {
			// Gone in 6.5. It calls none of the above, nor they it.
			Funcs:    []string{"do_tcp_sendpages", "tcp_sendpage"},
			NonNull:  []string{"sk"},
			Optional: true,
			Return:   true,
			Only:     []event.Cond{{Field: "sent", Op: event.AtLeast, Num: 1}},
			Fields:   tcpSent(),
		}},
	}, {
		Name:  "tcp.recv",
		Flag:  "recv",
		Short: "a process has taken bytes from a TCP socket",
		Probes: []event.Probe{{
			// Called after bytes were taken, by whatever call takes them, with
			// how many that call has taken until now; by one that waits for
			// more too, and after MSG_PEEK. The second calls the first, which
			// is of 6.1, and may be inlined.
			Funcs:   []string{"__tcp_cleanup_rbuf", "tcp_cleanup_rbuf"},
			NonNull: []string{"sk"},
			Rare:    []event.Cond{{Field: "copied", Op: event.AtLeast, Num: 1}},
			Fields: slices.Concat(usedEnds("sk"), []event.Field{
				event.SkAddr("sk"), event.NetNS("sk"),
				{Name: "copied", Expr: "copied", Kind: event.Int, Hidden: true},
				{Name: "copied_seq", Expr: "((struct tcp_sock *)sk)->copied_seq", Kind: event.Uint, Hidden: true, Optional: true},
				{Name: "rcv_nxt", Expr: "((struct tcp_sock *)sk)->rcv_nxt", Kind: event.Uint, Hidden: true, Optional: true},
				{Name: "bytes_received", Expr: "((struct tcp_sock *)sk)->bytes_received", Kind: event.Uint, Hidden: true, Optional: true},
				{Name: "rx_bytes", Computed: true, Kind: event.Size, Help: "bytes that the process received"},
			}),
		}},
	}},
	Columns: []string{"family", "laddr", "lport", "raddr", "rport", "rx_bytes", "tx_bytes"},
	Keys:    []string{"family", "laddr", "lport", "raddr", "rport"},
	Reduce:  newReceived,
	Counting: &event.Counting{
		By:    []string{"pid", "comm", "laddr", "lport", "raddr", "rport"},
		Sums:  []event.Sum{{Field: "rx_bytes", Name: "rx_bytes"}, {Field: "tx_bytes", Name: "tx_bytes"}},
		Every: time.Second, Top: 20, Redraw: true,
	},
})

func tcpSent() []event.Field {
	return append(usedEnds("sk"), event.NetNS("sk"),
		event.Field{Name: "sent", Expr: "$retval", Kind: event.Int, Hidden: true},
		event.Field{Name: "tx_bytes", Expr: "$retval", Kind: event.Size, Help: "bytes that the process sent"})
}

// received counts each byte once, as the sequence number of the next byte to be
// taken tells.
type received struct {
	next *track.Table[uint64, uint32] // socket → copied_seq

	sk, copied, copiedSeq, rcvNxt, total, rx int
}

func newReceived(s *event.Schema, _ event.Settings) event.Reducer {
	return &received{next: track.New[uint64, uint32](65536),
		sk: s.Index("skaddr"), copied: s.Index("copied"), copiedSeq: s.Index("copied_seq"), rcvNxt: s.Index("rcv_nxt"),
		total: s.Index("bytes_received"), rx: s.Index("rx_bytes")}
}

// Event sets rx_bytes.
func (r *received) Event(ev *event.Event, show func(*event.Event) error) error {
	copied := ev.Value(r.copied)
	if copied == nil {
		return show(ev)
	}
	if n := r.taken(ev, copied.Num); n > 0 {
		ev.SetNum(r.rx, n)
		return show(ev)
	}
	return nil
}

// taken is how many of the bytes that a call has copied until now were taken
// by it and not counted before.
func (r *received) taken(ev *event.Event, copied uint64) uint64 {
	sk, seq := ev.Value(r.sk), ev.Value(r.copiedSeq)
	if sk == nil || seq == nil {
		return copied
	}
	now := uint32(seq.Num)
	last := r.next.Get(sk.Num)
	if last != nil {
		since := uint64(now - *last)
		*last = now
		// The end of the stream, and urgent data, have a number too. Where it
		// is more, this is another socket that has got the address.
		if since <= copied+2 {
			return min(since, copied)
		}
	} else {
		r.next.Put(sk.Num, now)
	}
	// The first call that is seen of a socket: it took no more than has ever
	// been taken.
	total, nxt := ev.Value(r.total), ev.Value(r.rcvNxt)
	if total == nil || nxt == nil {
		return copied
	}
	waiting := uint64(uint32(nxt.Num) - now)
	return min(copied, total.Num-min(total.Num, waiting))
}

// Evicted returns how many sockets were forgotten.
func (r *received) Evicted() uint64 { return r.next.Evicted() }
