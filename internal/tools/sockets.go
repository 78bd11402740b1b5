package tools

import (
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/packet"
)

var _ = add(event.Tool{
	Name:  "sockets",
	Short: "sockets that processes bind and listen on, with their options and the result",
	Long: `Shows each bind and listen of a process on an IPv4 or IPv6 socket, of TCP, UDP
and other protocols, and whether it succeeded.

laddr and lport of a bind are what it asked for; where that was port 0, lport is
the port that the kernel chose, from 6.9 on, and absent before. backlog is that
of a listen, after the kernel has cut it to somaxconn.

opts are options that decide whether it succeeds and what the socket gets:
reuseaddr, reuseport, freebind, transparent, v6only, and no_port where the port
is left to connect (IP_BIND_ADDRESS_NO_PORT).`,
	Example: `# Who takes port 8080, and who fails to
skprobe sockets --lport 8080`,
	Cost: "about 6 µs for each bind and listen",
	Events: []event.Source{{
		Name:  "sock.bind",
		Flag:  "bind",
		Short: "a socket is bound to an address",
		Probes: []event.Probe{
			{Funcs: []string{"inet_bind"}, Params: bindParams, NonNull: bindNonNull, Return: true, Fields: bindFields(event.Sockaddr4, 16)},
			{Funcs: []string{"inet6_bind"}, Params: bindParams, NonNull: bindNonNull, Return: true, Optional: true, Fields: bindFields(event.Sockaddr, 24)},
		},
	}, {
		Name:  "sock.listen",
		Flag:  "listen",
		Short: "a socket begins to listen, or changes its backlog",
		Probes: []event.Probe{{
			Funcs:   []string{"inet_listen"},
			Params:  "struct socket *sock, int backlog",
			NonNull: []string{"sock"},
			Return:  true,
			Fields: append(socketFields(),
				event.Field{Expr: "sock->sk", Kind: event.Sock, Parts: []event.Pick{{Part: "laddr"}}},
				event.Field{Name: "given_port", Expr: "sock->sk->__sk_common.skc_num", Kind: event.Uint16, Hidden: true},
				event.Field{Name: "backlog", Expr: "backlog", Kind: event.Int, Help: "most connections that may wait to be accepted"}),
		}},
	}},
	Options: []event.Option{
		{Name: "print-uid", Letter: "U", Help: "show the user whose the socket is", Columns: []string{"uid"}},
		{Name: "uid", Letter: "u", Takes: true, Help: "only sockets of this user (`UID`)", Columns: []string{"uid"}, Where: uidIs},
	},
	Aliases: []event.Alias{{Name: "bindsnoop", Args: []string{"--bind"}}, {Name: "solisten", Args: []string{"--listen"}}},
	Letters: map[string]string{"lport": "P"},
	Columns: []string{"uid", "proto", "family", "laddr", "lport", "backlog", "opts", "ifindex", "result", "type"},
	Reduce:  newSockets,
})

// The protocols and types of sockets, include/uapi/linux/in.h and
// include/linux/net.h.
var (
	socketProtocol = event.Named("protocol", "protocol of the socket", 0, protocolNames()...)
	socketType     = event.Named("type", "type of the socket", 1, "stream", "dgram", "raw", "rdm", "seqpacket", "dccp")
)

const socketRaw = 3 // SOCK_RAW

func protocolNames() []string {
	const mptcp = 262
	names := make([]string, mptcp+1)
	for n := range 256 {
		names[n] = packet.ProtoName(uint8(n))
	}
	names[mptcp] = "mptcp"
	return names
}

const bindParams = "struct socket *sock, struct sockaddr *uaddr, int addr_len"

var bindNonNull = []string{"sock", "uaddr"}

// bindFields are those of inet_bind and inet6_bind. An address that is shorter
// than those of its sort is refused, and not in memory as a whole.
func bindFields(sockaddr *event.Kind, length int64) []event.Field {
	whole := []event.Cond{{Field: "addr_len", Op: event.AtLeast, Num: length}}
	return append(socketFields(),
		event.Field{Name: "to", Expr: "uaddr", Kind: sockaddr, Hidden: true},
		event.Field{Name: "addr_len", Expr: "addr_len", Kind: event.Int, Hidden: true},
		event.Field{Name: "laddr", Help: "local address: that which was asked for", Cases: []event.Case{{If: whole, From: "to_addr"}}},
		event.Field{Name: "given_port", Hidden: true, Cases: []event.Case{{If: whole, From: "to_port"}}})
}

// socketFields are those that bind and listen have alike.
func socketFields() []event.Field {
	const inet, common = "((struct inet_sock *)sock->sk)->", "sock->sk->__sk_common."
	flag := func(name, expr string) event.Field {
		return event.Field{Name: name, Expr: expr, Kind: event.Uint, Hidden: true, Optional: true}
	}
	// The bits of inet_flags (6.6) are those of include/net/inet_sock.h.
	return []event.Field{
		{Name: "proto", Expr: "sock->sk->sk_protocol", Kind: socketProtocol, Help: "protocol of the socket"},
		{Name: "type", Expr: "sock->sk->sk_type", Kind: socketType, Wide: true, Help: "type of the socket: stream, dgram, raw"},
		{Name: "family", Expr: common + "skc_family", Kind: event.Family, Help: "address family of the socket"},
		{Name: "lport", Computed: true, Kind: event.Uint16, Help: "local port; absent where the kernel chose one that is not known, or where there is none"},
		{Name: "bound_if", Expr: common + "skc_bound_dev_if", Kind: event.Uint, Hidden: true},
		{Name: "ifindex", Help: "interface to which the socket is limited", Cases: []event.Case{{If: []event.Cond{{Field: "bound_if", Op: event.NotEquals, Num: 0}}, From: "bound_if"}}},
		{Name: "result", Expr: "(int)$retval", Kind: event.Errno, Help: "0, or the errno with which it failed, negative"},
		{Name: "port", Expr: common + "skc_num", Kind: event.Uint16, Hidden: true, AtReturn: true, Optional: true},
		flag("reuseaddr", common+"skc_reuse"),
		flag("reuseport", common+"skc_reuseport"),
		flag("freebind", inet+"freebind ?? ("+inet+"inet_flags >> 11) & 1"),
		flag("transparent", inet+"transparent ?? ("+inet+"inet_flags >> 15) & 1"),
		flag("v6only", common+"skc_ipv6only"),
		flag("no_port", inet+"bind_address_no_port ?? ("+inet+"inet_flags >> 18) & 1"),
		{Name: "opts", Computed: true, Of: "reuseaddr", Kind: event.Char, Help: "options of the socket: reuseaddr, reuseport, freebind, transparent, v6only, no_port"},
		event.UID("sock->sk"),
		event.NetNS("sock->sk"),
	}
}

// options are the names of options, in the order in which they are shown.
var options = []string{"reuseaddr", "reuseport", "freebind", "transparent", "v6only", "no_port"}

// sockets says of each event what no field of its own does.
type sockets struct {
	typ, port, given, lport, opts int
	flags                         []int // parallel to options
	text                          []byte
}

func newSockets(s *event.Schema, _ event.Settings) event.Reducer {
	r := &sockets{typ: s.Index("type"), port: s.Index("port"), given: s.Index("given_port"), lport: s.Index("lport"), opts: s.Index("opts")}
	for _, name := range options {
		r.flags = append(r.flags, s.Index(name))
	}
	return r
}

// Event sets the port and the options.
func (s *sockets) Event(ev *event.Event, show func(*event.Event) error) error {
	typ := ev.Value(s.typ)
	for _, port := range []int{s.port, s.given} {
		// What a raw socket has there is its protocol.
		if v := ev.Value(port); v != nil && v.Num != 0 && typ != nil && typ.Num != socketRaw {
			ev.SetNum(s.lport, v.Num)
			break
		}
	}
	s.text = s.text[:0]
	for i, at := range s.flags {
		if v := ev.Value(at); v != nil && v.Num != 0 {
			if len(s.text) > 0 {
				s.text = append(s.text, ',')
			}
			s.text = append(s.text, options[i]...)
		}
	}
	if len(s.text) > 0 {
		ev.SetText(s.opts, s.text)
	}
	return show(ev)
}

// Evicted is none: each event is shown by itself.
func (s *sockets) Evicted() uint64 { return 0 }
