package event

import (
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/track"
)

// maxOwned is how many sockets have a known owner at a time.
const maxOwned = 65536

// kernelWorker begins the names of the kernel's own threads that close files
// which nobody has open any more (fs/file_table.c: delayed_fput).
const kernelWorker = "kworker/"

// Owners remembers whose the sockets are: the thread that last did something
// with one in its own context, by a [Source] with Socket that is not Softirq. An
// event in softirq, where the current task is a bystander, gets its socket's
// owner. It must see the end of sockets too, or it knows no owners: the address
// of one that is gone is another's next.
type Owners struct {
	table *track.Table[uint64, owner]
	ends  bool // the end of sockets is seen
}

type owner struct {
	pid, tid uint32
	comm     string
}

// NewOwners returns the memory that a program's sources need, nil where they
// need none: nothing that is shown of a process has to do with what happens in
// softirq.
func (p *Program) NewOwners() *Owners {
	if !p.owners {
		return nil
	}
	ends := slices.ContainsFunc(p.Probes, func(c *Compiled) bool { return c.Ends && c.socket >= 0 })
	return &Owners{track.New[uint64, owner](maxOwned), ends}
}

// Event takes each event of a compiled probe, with what perf says of the
// current task, in the order of time. known is false where that thread is
// ending and nothing is known of it.
func (o *Owners) Event(c *Compiled, ev *Event, known bool) {
	if c.socket < 0 {
		return
	}
	sk := &ev.Values[:cap(ev.Values)][c.socket]
	if !sk.Set || sk.Num == 0 {
		return
	}
	if c.Softirq {
		if w := o.table.Get(sk.Num); w != nil {
			ev.Task, ev.PID, ev.TID, ev.Comm = true, w.pid, w.tid, w.comm
		}
	} else if known && ev.Task && ev.PID != 0 && o.ends && !(c.ifUnknown && (o.table.Get(sk.Num) != nil || strings.HasPrefix(ev.Comm, kernelWorker))) {
		o.table.Put(sk.Num, owner{ev.PID, ev.TID, ev.Comm})
	}
	if c.Ends {
		o.table.Delete(sk.Num)
	}
}

// Evicted returns how many owners were forgotten because there were too many.
func (o *Owners) Evicted() uint64 { return o.table.Evicted() }

// SkAddr is the address of a socket in the kernel, for [Source.Socket]; it is
// not shown.
func SkAddr(expr string) Field {
	return Field{Name: "skaddr", Expr: expr, Kind: Pointer, Hidden: true, Help: "address of the socket in the kernel, which tells sockets apart"}
}

// TCPOwners are the sources from which [Owners] know whose TCP sockets are:
// those of TCPConnections, and who listens; a listening socket belongs to who
// last accepted from it. What cannot be had on a kernel is done without.
func TCPOwners() []Source {
	sk := []Field{SkAddr("sk")}
	nonNull := []string{"sk"}
	return append(TCPConnections(), Source{
		Name: "tcp.listening", Hidden: true, Socket: "skaddr", Short: "a process listens",
		Probes: []Probe{{Funcs: []string{"inet_csk_listen_start"}, NonNull: nonNull, Fields: sk, Optional: true}},
	}, Source{
		Name: "tcp.accepting", Hidden: true, Socket: "skaddr", Short: "a process waits for a connection to accept",
		Probes: []Probe{{Funcs: []string{"inet_csk_accept"}, NonNull: nonNull, Fields: sk, Optional: true}},
	})
}

// TCPConnections are the sources from which [Owners] know whose connected TCP
// sockets are: who connects, and who accepts.
func TCPConnections() []Source {
	sk := []Field{SkAddr("sk")}
	nonNull := []string{"sk"}
	accepted := TCPAccept(func(string) []Field { return nil })
	accepted.Else[0].Optional = true
	return []Source{{
		Name: "tcp.connecting", Hidden: true, Socket: "skaddr", Short: "a process connects",
		Probes: []Probe{
			{Funcs: []string{"tcp_v4_connect"}, NonNull: nonNull, Fields: sk,
				Else: []Probe{{Funcs: []string{"tcp_connect"}, NonNull: nonNull, Fields: sk, Optional: true}}},
			{Funcs: []string{"tcp_v6_connect"}, NonNull: nonNull, Fields: sk, Optional: true},
		},
	}, {
		Name: "tcp.accepted", Hidden: true, Socket: "skaddr", Short: "a process accepts",
		Probes: []Probe{accepted},
	}, {
		Name: "tcp.destroyed", Hidden: true, Socket: "skaddr", Softirq: true, Ends: true, Short: "a socket ends",
		Probes: []Probe{tcpDestroyed()},
	}}
}

// tcpDestroyed is the end of a socket. tcp_v4_destroy_sock ends those of IPv6
// too (net/ipv4/tcp_ipv4.c, the same from 3.10 to 7.1). Where its parameter is
// not known, a socket ends when it is closed, which comes before.
func tcpDestroyed() Probe {
	closed := func(sk, state string) []Field {
		return []Field{SkAddr(sk), {Name: "newstate", Expr: state, Kind: State, Hidden: true}}
	}
	only := []Cond{{"newstate", Equals, 7}} // TCP_CLOSE, include/net/tcp_states.h
	return Probe{Funcs: []string{"tcp_v4_destroy_sock"}, NonNull: []string{"sk"}, Fields: []Field{SkAddr("sk")},
		Else: []Probe{{Funcs: []string{"tcp_set_state"}, NonNull: []string{"sk"}, Fields: closed("sk", "state"), Only: only,
			Else: []Probe{{Tracepoint: "sock:inet_sock_set_state", Fields: closed("skaddr", "newstate"), Only: only, Optional: true}}}}}
}

// TCPClosing is the source from which [Owners] know whose those TCP sockets are
// that were there before tracing began: who closes them.
func TCPClosing() Source {
	return Source{
		Name: "tcp.closing", Hidden: true, Socket: "skaddr", IfUnknown: true, Short: "a process closes a socket",
		Probes: []Probe{{Funcs: []string{"tcp_close"}, NonNull: []string{"sk"}, Fields: []Field{SkAddr("sk")}, Optional: true}},
	}
}

// TCPAccept is the probe that tells that a thread accepts a connection; fields
// makes those that it has beside SkAddr, from the expression of its socket.
//
// The return of inet_csk_accept is not seen in threads that slept there when
// tracing began. They all call security_sock_graft afterwards (sock_graft in
// include/net/sock.h, 3.10 to 7.1), which a kernel without
// CONFIG_SECURITY_NETWORK does not have. It is called for other protocols too.
func TCPAccept(fields func(sk string) []Field) Probe {
	protocol := Field{Name: "accept_protocol", Expr: "sk->sk_protocol", Kind: Uint, Hidden: true}
	return Probe{
		Funcs:   []string{"security_sock_graft"},
		NonNull: []string{"sk"},
		Only:    []Cond{{Field: protocol.Name, Op: Equals, Num: 6}}, // IPPROTO_TCP
		Fields:  append([]Field{SkAddr("sk"), protocol}, fields("sk")...),
		Else: []Probe{{
			Funcs:  []string{"inet_csk_accept"},
			Return: true,
			Only:   []Cond{{Field: "skaddr", Op: NotEquals, Num: 0}},
			Fields: append([]Field{SkAddr("$retval")}, fields("$retval")...),
		}},
	}
}
