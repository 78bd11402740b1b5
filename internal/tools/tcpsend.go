package tools

import (
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

var _ = add(event.Tool{
	Name:  "tcpsend",
	Short: "what processes send over TCP, call by call: bytes, flags, result",
	Long: `Shows each call that gives bytes to a TCP socket, when it returns: the ends of
the connection, how many bytes were to be sent, how many the socket took, and
with which flags.

done is less than size where the socket's buffer was full and the call did not
wait. It is what the socket took, which is not yet what the peer has received.
error is what the call returned instead. A call that waits is shown when it
ends. sendfile and splice send too: from 6.5 on with the flag SPLICE_PAGES,
before page by page, with flags of the kernel's own.`,
	Example: `# Who sends how much to whom, each second
skprobe tcpsend --count-by comm,raddr --sum done --every 1s`,
	Cost: "about 4 µs for each call, which is seen when it begins and when it ends",
	Events: []event.Source{{
		Name:  "tcp.sendmsg",
		Short: "a process has given bytes to a TCP socket",
		Probes: []event.Probe{{
			Funcs:   []string{"tcp_sendmsg"},
			NonNull: []string{"sk", "msg"},
			Return:  true,
			Fields:  tcpCall("sk", "size", sendFlags("msg->msg_flags")),
		}, {
			// Gone in 6.5. It does not call tcp_sendmsg.
			Funcs:    []string{"tcp_sendpage"},
			Params:   "struct sock *sk, void *page, int offset, unsigned long size, int flags",
			NonNull:  []string{"sk"},
			Optional: true,
			Return:   true,
			Fields:   tcpCall("sk", "size", sendFlags("flags")),
		}},
	}},
	Columns: tcpCallColumns,
})

var tcpCallColumns = []string{"family", "laddr", "lport", "raddr", "rport", "size", "done", "error", "flags"}

// sendFlags are the flags of a send.
func sendFlags(expr string) event.Field {
	return event.Field{Name: "flags", Expr: expr, Kind: event.MsgFlags, Help: "flags of the call: MSG_PEEK is PEEK"}
}

// tcpCall are the fields of a call that moves bytes to or from a socket, from
// the expressions of the socket and of how many bytes are asked for, and others.
func tcpCall(sk, size string, others ...event.Field) []event.Field {
	return slices.Concat(usedEnds(sk), []event.Field{
		{Name: "size", Expr: size, Kind: event.Size, Help: "bytes that the call asks for"},
		{Name: "bytes", Expr: "$retval", Kind: event.Int, Hidden: true},
		{Name: "result", Expr: "$retval", Kind: event.Errno, Hidden: true},
		{Name: "done", Help: "bytes that were moved; absent where the call failed", Cases: []event.Case{
			{If: []event.Cond{{Field: "bytes", Op: event.AtLeast}}, From: "bytes"}}},
		{Name: "error", Help: "why none were (JSON: a negative number)", Cases: []event.Case{
			{If: []event.Cond{{Field: "result", Op: event.Less}}, From: "result"}}},
		event.NetNS(sk),
	}, others)
}

// usedEnds are the ends of a socket that a process uses. There may be bytes to
// take when both ends have closed, and one that is closed has no skc_num any
// more.
func usedEnds(sk string) []event.Field {
	return []event.Field{
		{Expr: sk, Kind: event.Sock, Parts: []event.Pick{{Part: "family"}, {Part: "laddr"}, {Part: "raddr"}, {Part: "rport"}}},
		{Name: "lport", Expr: "((struct inet_sock *)" + sk + ")->inet_sport", Kind: event.Port, Help: "local port"},
	}
}
