package tools

import "github.com/skprobe/skprobe/internal/event"

var _ = add(event.Tool{
	Name:  "tcprecv",
	Short: "what processes receive over TCP, call by call: bytes, flags, result",
	Long: `Shows each call that takes bytes from a TCP socket, when it returns: the ends of
the connection, for how many bytes there was room, how many came, and with
which flags.

done is 0 at the end of the stream. error is what the call returned instead:
-EAGAIN where nothing was there and the call did not wait. A call that waits is
shown when it ends. With the flag PEEK the bytes remain where they are.

A call that had begun before tracing is not seen. Bytes that the kernel takes
for itself (TLS in the kernel, NFS) are not calls of a process.`,
	Example: `# Sizes of what nginx reads
skprobe tcprecv --comm nginx --hist done`,
	Cost: "about 4 µs for each call, which is seen when it begins and when it ends",
	Events: []event.Source{{
		Name:  "tcp.recvmsg",
		Short: "a process has taken bytes from a TCP socket",
		Probes: []event.Probe{{
			Funcs:   []string{"tcp_recvmsg"},
			NonNull: []string{"sk"},
			Return:  true,
			Fields:  tcpCall("sk", "len", event.Field{Expr: "flags", Kind: event.RecvFlags}),
		}},
	}, {
		Name:  "tcp.splice_read",
		Short: "a process has moved bytes from a TCP socket into a pipe",
		Probes: []event.Probe{{
			Funcs:    []string{"tcp_splice_read"},
			NonNull:  []string{"sock"},
			Optional: true, // its parameters are not known where layouts were measured
			Return:   true,
			Fields:   tcpCall("sock->sk", "len"), // its flags are others
		}},
	}},
	Columns: tcpCallColumns,
})
