package tools

import (
	"fmt"
	"strconv"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

var _ = add(event.Tool{
	Name:  "tcpconnect",
	Short: "TCP connections that processes open, with how long it took and how it ended",
	Long: `Shows each connect of a process over TCP when its result is there: established,
or failed, and why. With non-blocking sockets that is long after connect
returned, and the errno is the one that the process finds in SO_ERROR.

latency_us is the time from the SYN to the result; of a connect that failed
before a SYN was sent (no route, no free port), the time since connect began.
Where a process gives up before there is a result (it closes the socket, as
after a timeout of its own), it is how long it waited, and result is absent.
What still waits when tracing ends is shown then, with how long it has waited.
A connect that began before tracing is not shown.

laddr and lport are those that the kernel chose, and absent where it failed
before that. raddr and rport are the peer's; IPv4 addresses of IPv6 sockets are
shown as such, and family says which sort of socket it is.

What is refused before TCP sees it (by seccomp, a security module or a program
of the cgroup, or because the socket is connected) is not shown.`,
	Example: `# What does not come about, of which process, and why
skprobe tcpconnect --failed --aborted --pending`,
	Cost: "about 10 µs for each connection that is opened, and 1 µs for each change of a TCP socket's state",
	Events: []event.Source{
		{Name: "tcp.connected", Flag: "established", Softirq: true, Socket: "skaddr", Short: "a connection is established"},
		{Name: "tcp.connect_failed", Flag: "failed", Softirq: true, Socket: "skaddr", Short: "a connection fails"},
		{Name: "tcp.connect_aborted", Flag: "aborted", Softirq: true, Socket: "skaddr", Short: "the process gives up before there is a result"},
		{Name: "tcp.connect_pending", Flag: "pending", Softirq: true, Socket: "skaddr", Short: "there is no result yet when tracing ends"},
		{
			Name: connecting, Hidden: true, Short: "connect begins",
			Probes: []event.Probe{{
				Funcs:   []string{"tcp_v4_connect"},
				Params:  connectParams,
				NonNull: []string{"sk", "uaddr"},
				// tcp_v6_connect calls tcp_v4_connect for an IPv4-mapped address.
				Only:   []event.Cond{{Field: "family", Op: event.Equals, Num: afInet}},
				Fields: connectFields(event.Sockaddr4, 16),
			}, {
				Funcs:    []string{"tcp_v6_connect"},
				Params:   connectParams,
				NonNull:  []string{"sk", "uaddr"},
				Optional: true,                              // CONFIG_IPV6
				Fields:   connectFields(event.Sockaddr, 24), // SIN6_LEN_RFC2133 of net/ipv6.h
			}},
		}, {
			Name: sendingSYN, Hidden: true, Short: "the ends of the connection are known, and a SYN is sent",
			Probes: []event.Probe{{
				Funcs:   []string{"tcp_connect"},
				Params:  "struct sock *sk",
				NonNull: []string{"sk"},
				Fields:  append(sockAddrs("sk"), connectResult()...),
			}},
		}, {
			Name: connectReturns, Hidden: true, Short: "connect returns, perhaps with an error",
			Probes: []event.Probe{
				{Funcs: []string{"tcp_v4_connect"}, Return: true, Fields: connectReturn},
				{Funcs: []string{"tcp_v6_connect"}, Return: true, Fields: connectReturn, Optional: true},
			},
		}, {
			// Of two probes on one function the later one runs first, so this one
			// comes after synAnswer also where there is no tracepoint.
			Name: synAnswered, Hidden: true, Softirq: true, Short: "a socket is not in the state SYN_SENT any more",
			Probes: []event.Probe{stateProbe(notSynSent)},
		}, {
			Name: synAnswer, Hidden: true, Softirq: true, Short: "a socket will not be in the state SYN_SENT any more",
			Probes: []event.Probe{{
				Funcs:   []string{"tcp_set_state"},
				Params:  setStateParams,
				NonNull: []string{"sk"},
				Rare:    notSynSent,
				Fields: append(stateChange("sk", "sk->__sk_common.skc_state", "state"),
					event.Field{Name: "err", Expr: "sk->sk_err", Kind: event.Int, Hidden: true},
					event.Field{Name: "syn_retrans", Expr: "((struct tcp_sock *)sk)->total_retrans", Kind: event.Uint, Wide: true,
						Help: "how often the SYN was sent again"}),
			}},
		}, {
			Name: dnsAnswers, Hidden: true, Short: "a process receives an answer of a name server (--dns)",
			Probes: []event.Probe{dnsAnswer()},
		},
	},
	Options: []event.Option{
		{Name: "count-flows", Letter: "c", Help: "show only how many there were to each peer and port, at the end", Args: []string{"count-by=laddr,raddr,rport"}},
		{Name: "print-uid", Letter: "U", Help: "show the user whose the socket is", Columns: []string{"uid"}},
		{Name: "uid", Letter: "u", Takes: true, Help: "only sockets of this user (`UID`)", Columns: []string{"uid"}, Where: uidIs},
		{Name: "dns", Letter: "d", Help: "show for which name the address was looked up before, from the DNS answers of port 53", Events: []string{dnsAnswers}, Columns: []string{"name"}},
	},
	Aliases: []event.Alias{{Name: "tcpconnlat", Args: []string{"--established"}}},
	Letters: map[string]string{"rport": "P"},
	Columns: []string{"uid", "family", "laddr", "lport", "raddr", "rport", "latency_us", "result", "syn_retrans", "name"},
	Keys:    []string{"family", "rport"},
	Reduce:  newConnects,
})

// The events from which a connect is put together, in the order in which they come,
// and, last, the answers from which it has its name.
const (
	connecting     = "tcp.connecting"
	sendingSYN     = "tcp.syn"
	connectReturns = "tcp.connect_return"
	synAnswer      = "tcp.syn_answer"
	synAnswered    = "tcp.syn_answered"
	dnsAnswers     = "dns.received"
)

// notSynSent are the changes of state that end a connect. SYN_RECV comes after
// SYN_SENT where both ends connect. It is that of every accepted socket too,
// which is not ours.
var notSynSent = []event.Cond{{Field: "oldstate", Op: event.AnyOf, Num: 1<<tcpSynSent | 1<<tcpSynRecv}}

// connectParams are those of tcp_v4_connect and tcp_v6_connect. The last kernels
// have another name for the same struct.
const connectParams = "struct sock *sk, struct sockaddr *uaddr, int addr_len"

// connectFields are those of tcp_v4_connect and tcp_v6_connect. An address that
// is shorter than those of its sort is refused, and not in memory as a whole.
func connectFields(sockaddr *event.Kind, length int64) []event.Field {
	whole := []event.Cond{{Field: "addr_len", Op: event.AtLeast, Num: length}}
	return append(connectResult(),
		event.Field{Name: "family", Expr: "sk->__sk_common.skc_family", Kind: event.Family, Help: "address family of the socket"},
		event.Field{Name: "to", Expr: "uaddr", Kind: sockaddr, Hidden: true},
		event.Field{Name: "addr_len", Expr: "addr_len", Kind: event.Int, Hidden: true},
		event.Field{Name: "raddr", Help: "remote address", Cases: []event.Case{{If: whole, From: "to_addr"}}},
		event.Field{Name: "rport", Help: "remote port", Cases: []event.Case{{If: whole, From: "to_port"}}},
		event.NetNS("sk"))
}

// connectResult are fields of the events that become one that is shown.
func connectResult() []event.Field {
	return []event.Field{
		event.SkAddr("sk"),
		event.UID("sk"),
		{Name: "latency_us", Computed: true, Kind: event.Uint, Help: "microseconds from the SYN to the result, or to the time of the event where there is none"},
		{Name: "result", Computed: true, Kind: event.Errno, Help: "0, or the errno with which it failed, negative; absent where there is none"},
		{Name: "name", Computed: true, Kind: event.Char, OnRequest: true, Help: "name of which the address is, as the process asked before"},
	}
}

// uidIs is the condition that the option --uid stands for.
func uidIs(value string) (string, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return "", fmt.Errorf("give the number of a user, as id -u shows it")
	}
	return fmt.Sprintf("uid == %d", n), nil
}

var connectReturn = []event.Field{{Name: "ret", Expr: "(int)$retval", Kind: event.Errno, Hidden: true}}

// maxConnects is how many connections may be on their way at a time.
const maxConnects = 16384

// connects puts connections together from what happens to their sockets.
type connects struct {
	bySocket *track.Table[uint64, connect]
	// calls are the sockets with which threads are in connect.
	calls *track.Table[uint32, uint64]
	names *askedNames

	name, raddr, skaddr, ret, newstate, err, latency, result int
}

// A connect is a connection without a result.
type connect struct {
	ev    *event.Event // as far as it is known
	begun uint64
	told  bool // err is
	err   uint64
}

func newConnects(s *event.Schema, _ event.Settings) event.Reducer {
	return &connects{bySocket: track.New[uint64, connect](maxConnects), calls: track.New[uint32, uint64](maxConnects),
		names: newAskedNames(s), name: s.Index("name"), raddr: s.Index("raddr"), skaddr: s.Index("skaddr"), ret: s.Index("ret"), newstate: s.Index("newstate"), err: s.Index("err"),
		latency: s.Index("latency_us"), result: s.Index("result")}
}

// Event shows a connection when its result is there.
func (c *connects) Event(ev *event.Event, show func(*event.Event) error) error {
	switch ev.Name {
	case connectReturns:
		return c.returned(ev, show)
	case dnsAnswers:
		c.names.answer(ev)
		return nil
	}
	sk := ev.Value(c.skaddr)
	if sk == nil {
		return nil
	}
	known := c.bySocket.Get(sk.Num)
	switch {
	case ev.Name == connecting:
		c.begin(sk.Num, ev)
		c.calls.Put(ev.Thread, sk.Num)
	case ev.Name == sendingSYN && known == nil:
		c.begin(sk.Num, ev)
	case known == nil: // accepted, or begun before tracing
	case ev.Name == sendingSYN:
		// By another thread than connect, where that waits for data
		// (TCP_FASTOPEN_CONNECT).
		known.ev.Update(ev)
		known.begun = ev.Mono
	case ev.Name == synAnswer:
		known.ev.Update(ev)
		if err := ev.Value(c.err); err != nil {
			known.told, known.err = true, err.Num
		}
	case ev.Name == synAnswered:
		return c.answered(sk.Num, known, ev, show)
	}
	return nil
}

// begin remembers a connect, with the name for whose address it is.
func (c *connects) begin(sk uint64, ev *event.Event) {
	begun := c.bySocket.Put(sk, connect{ev: ev.Clone(), begun: ev.Mono})
	if raddr := ev.Value(c.raddr); raddr != nil {
		if name := c.names.of(ev.PID, raddr.Addr); name != nil {
			begun.ev.SetText(c.name, name)
		}
	}
}

// returned takes the return of connect, which tells what failed in it.
func (c *connects) returned(ev *event.Event, show func(*event.Event) error) error {
	call := c.calls.Get(ev.Thread)
	if call == nil {
		return nil // that of tcp_v6_connect, after tcp_v4_connect in it
	}
	sk := *call
	c.calls.Delete(ev.Thread)
	ret, known := ev.Value(c.ret), c.bySocket.Get(sk)
	if ret == nil || known == nil || int64(ret.Num) >= 0 {
		return nil
	}
	known.ev.SetNum(c.result, ret.Num)
	return c.end(sk, known, "tcp.connect_failed", ev.Mono, show)
}

// answered takes the state of a socket that comes after SYN_SENT.
func (c *connects) answered(sk uint64, known *connect, ev *event.Event, show func(*event.Event) error) error {
	known.ev.Update(ev)
	state := ev.Value(c.newstate)
	switch {
	case state == nil:
		return nil
	case state.Num == tcpEstablished:
		known.ev.SetNum(c.result, 0)
		return c.end(sk, known, "tcp.connected", ev.Mono, show)
	case state.Num != tcpClosed:
		return nil // SYN_RECV: both ends connect
	}
	if call := c.calls.Get(ev.Thread); call != nil && *call == sk {
		return nil // it fails in connect, whose return tells why
	}
	if known.told && known.err == 0 {
		return c.end(sk, known, "tcp.connect_aborted", ev.Mono, show)
	}
	if known.told {
		known.ev.SetNum(c.result, -known.err)
	}
	return c.end(sk, known, "tcp.connect_failed", ev.Mono, show)
}

// end shows what became of a connection, and forgets it.
func (c *connects) end(sk uint64, known *connect, name string, now uint64, show func(*event.Event) error) error {
	ev := known.ev
	ev.Name, ev.Mono = name, now
	ev.SetNum(c.latency, (max(now, known.begun)-known.begun)/1000)
	c.bySocket.Delete(sk)
	return show(ev)
}

// Finish shows the connections that have no result yet.
func (c *connects) Finish(now uint64, show func(*event.Event) error) (err error) {
	c.bySocket.All(func(sk uint64, known *connect) bool {
		err = c.end(sk, known, "tcp.connect_pending", now, show)
		return err == nil
	})
	return err
}

// Evicted returns how many connections were forgotten.
func (c *connects) Evicted() uint64 {
	return c.bySocket.Evicted() + c.calls.Evicted() + c.names.byAddr.Evicted()
}
