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
	} else if known && ev.Task && ev.PID != 0 && o.ends && !(c.ifUnknown && o.table.Get(sk.Num) != nil) {
		if w := (owner{ev.PID, ev.TID, c.nameOf(ev)}); !c.ifUnknown || !strings.HasPrefix(w.comm, kernelWorker) {
			o.table.Put(sk.Num, w)
		}
	}
	if c.Ends {
		o.table.Delete(sk.Num)
	}
}

// nameOf is the name of the current thread. That of one that ends, and that
// nobody had looked at before, only the event itself can tell.
func (c *Compiled) nameOf(ev *Event) string {
	if to, ok := c.byName[threadName]; ok && ev.Comm == "" {
		if name := &ev.Values[:cap(ev.Values)][to.field.out[to.part]]; name.Set {
			return string(name.Text)
		}
	}
	return ev.Comm
}

// threadName is a hidden field with the name of the current thread.
const threadName = "thread_name"

// Evicted returns how many owners were forgotten because there were too many.
func (o *Owners) Evicted() uint64 { return o.table.Evicted() }

// SkAddr is the address of a socket in the kernel, for [Source.Socket]; it is
// not shown.
func SkAddr(expr string) Field {
	return Field{Name: "skaddr", Expr: expr, Kind: Pointer, Hidden: true, Help: "address of the socket in the kernel, which tells sockets apart"}
}

// TCPOwners are the sources from which [Owners] know whose TCP sockets are:
// those of TCPConnections, and who listens.
func TCPOwners() []Source { return append(TCPConnections(nil), tcpListening()...) }

// TCPListeners are the sources from which [Owners] know whose listening TCP
// sockets are.
func TCPListeners() []Source { return append(tcpListening(), tcpDestroyed()) }

// tcpListening tells who listens; a listening socket belongs to who last
// accepted from it. What cannot be had on a kernel is done without.
func tcpListening() []Source {
	return []Source{{
		Name: "tcp.listening", Hidden: true, Socket: "skaddr", Short: "a process listens",
		Probes: []Probe{withSocket("inet_csk_listen_start")},
	}, {
		Name: "tcp.accepting", Hidden: true, Socket: "skaddr", Short: "a process waits for a connection to accept",
		Probes: []Probe{withSocket("inet_csk_accept")},
	}}
}

// withSocket is the probe of a function whose first parameter is a socket, on
// all kernels.
func withSocket(function string) Probe {
	return Probe{Funcs: []string{function}, Params: "struct sock *sk", NonNull: []string{"sk"}, Fields: []Field{SkAddr("sk")}, Optional: true}
}

// TCPConnections are the sources from which [Owners] know whose connected TCP
// sockets are: who connects, and who accepts, with the fields that accepted
// makes, if it is not nil: see [TCPAccept].
func TCPConnections(accepted func(sk string) []Field) []Source {
	accept := TCPAccept(accepted)
	accept.Else[0].Optional = true
	return []Source{{
		Name: "tcp.connecting", Hidden: true, Socket: "skaddr", Short: "a process connects",
		Probes: []Probe{withSocket("tcp_v4_connect"), withSocket("tcp_v6_connect")},
	}, {
		Name: "tcp.accepted", Hidden: true, Socket: "skaddr", Short: "a process accepts",
		Probes: []Probe{accept},
	}, tcpDestroyed()}
}

// tcpDestroyed is the end of a socket, mostly in softirq, where a kprobe may be
// missed. Before 4.16 it is tcp_v4_destroy_sock, which ends those of IPv6 too
// (net/ipv4/tcp_ipv4.c, the same from 3.10 to 7.1).
func tcpDestroyed() Source {
	destroyed := Probe{Tracepoint: "tcp:tcp_destroy_sock", Fields: []Field{SkAddr("skaddr")}, Else: []Probe{withSocket("tcp_v4_destroy_sock")}}
	return Source{Name: "tcp.destroyed", Hidden: true, Socket: "skaddr", Softirq: true, Ends: true, Short: "a socket ends", Probes: []Probe{destroyed}}
}

// TCPClosing is the source from which [Owners] know whose those TCP sockets are
// that were there before tracing began: who closes them.
func TCPClosing() Source {
	closes := withSocket("tcp_close")
	named := closes
	named.Fields = []Field{SkAddr("sk"), {Name: threadName, Expr: "$comm", Kind: String, Hidden: true}}
	named.Else = []Probe{closes} // before 4.8
	return Source{Name: "tcp.closing", Hidden: true, Socket: "skaddr", IfUnknown: true, Short: "a process closes a socket", Probes: []Probe{named}}
}

// TCPAccept is the probe that tells that a thread accepts a connection; fields,
// if it is not nil, makes those that it has beside SkAddr, from the expression of
// its socket.
//
// The return of inet_csk_accept is not seen in threads that slept there when
// tracing began. They all call security_sock_graft afterwards (sock_graft in
// include/net/sock.h, 3.10 to 7.1), which a kernel without
// CONFIG_SECURITY_NETWORK does not have. It is called for other protocols too.
func TCPAccept(fields func(sk string) []Field) Probe {
	if fields == nil {
		fields = func(string) []Field { return nil }
	}
	protocol := Field{Name: "accept_protocol", Expr: "sk->sk_protocol", Kind: Uint, Hidden: true}
	return Probe{
		Funcs:   []string{"security_sock_graft"},
		Params:  "struct sock *sk, struct socket *parent",
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
