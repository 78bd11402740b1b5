package session

import (
	"fmt"
	"os"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
)

// Tests have old kernels on a new one: $SKPROBE_DIALECT is a version whose
// language of fetch-args is then used, and what came after it is as if it were
// not there.

// An oldKernel is what a kernel of some version is taken for. The zero value
// takes a kernel for what it is.
type oldKernel struct {
	dialect fetchargs.Dialect
	// names are the names that functions have here, by those that they had
	// then. They have no other.
	names map[string]string
	// tracepoints are those that came later.
	tracepoints []string
	// eventProbes tells whether it has them (5.15).
	eventProbes bool
}

// Until 4.9 a datagram was given back by a function that all kinds of sockets
// use.
var oldNames = map[string]string{"skb_free_datagram_locked": "skb_consume_udp"}

// sock:inet_sock_set_state is of 4.16, and the others of tcp:* of 4.15 and 4.16.
var newTracepoints = []string{"sock:inet_sock_set_state", "tcp:tcp_retransmit_skb", "tcp:tcp_retransmit_synack", "tcp:tcp_send_reset",
	"tcp:tcp_receive_reset", "tcp:tcp_destroy_sock", "tcp:tcp_rcv_space_adjust", "tcp:tcp_probe"}

var oldKernels = map[string]oldKernel{
	"3.10": {dialect: fetchargs.Dialect310, names: oldNames, tracepoints: newTracepoints},
	"4.4":  {dialect: fetchargs.Dialect44, names: oldNames, tracepoints: newTracepoints},
	"4.19": {dialect: fetchargs.Dialect419},
	"4.20": {dialect: fetchargs.Dialect420},
	"5.3":  {dialect: fetchargs.Dialect53},
	"6.9":  {dialect: fetchargs.Dialect69, eventProbes: true},
}

// forced is the old kernel that a test asks for.
func forced() (k oldKernel, ok bool) {
	k, ok = oldKernels[os.Getenv("SKPROBE_DIALECT")]
	return k, ok
}

// hasTracepoint returns an error for a tracepoint that is not to be used.
func (k *oldKernel) hasTracepoint(name string) error {
	if os.Getenv("SKPROBE_TRACEPOINTS") == "no" { // for tests of what comes in their place
		return fmt.Errorf("tracepoint %s: not used: SKPROBE_TRACEPOINTS=no", name)
	}
	if slices.Contains(k.tracepoints, name) {
		return fmt.Errorf("tracepoint %s: not used: SKPROBE_DIALECT=%s", name, os.Getenv("SKPROBE_DIALECT"))
	}
	return nil
}

// functions are the names that some functions of that kernel have here, without
// those that it did not have.
func (k *oldKernel) functions(names []string) []string {
	if len(k.names) == 0 {
		return names
	}
	var here []string
	for _, name := range names {
		if now := k.names[name]; now != "" {
			here = append(here, now)
			continue
		}
		later := false
		for _, now := range k.names {
			later = later || now == name
		}
		if !later {
			here = append(here, name)
		}
	}
	return here
}
