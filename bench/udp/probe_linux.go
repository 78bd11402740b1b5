// Package udp is what bench looks at: the probe of skprobe's udp tool on udp_sendmsg, in the running kernel.
package udp

import (
	"fmt"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/tools"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

const symbol = "udp_sendmsg"

// A Probe is the tool compiled for this kernel, and its probe of udp_sendmsg.
type Probe struct {
	*kprobe.Probe
	Program  *event.Program
	Compiled *event.Compiled
}

// Define defines the probe. Close removes it.
func Define(tfs *tracefs.FS) (*Probe, error) {
	for _, t := range tools.All() {
		if t.Name != "udp" {
			continue
		}
		programs, _, err := session.CompileOnly(session.Layout{Source: "btf"}, []*event.Tool{t})
		if err != nil {
			return nil, err
		}
		for _, c := range programs[0].Probes {
			if c.Symbol != symbol {
				continue
			}
			p, err := kprobe.Open(tfs, kprobe.Spec{Event: kprobe.EventName(symbol, 0), Symbol: symbol, Args: c.Entry.Plan.Args})
			if err != nil {
				return nil, err
			}
			if err := c.Entry.Bind(p.Places()); err != nil {
				p.Close()
				return nil, err
			}
			return &Probe{p, programs[0], c}, nil
		}
	}
	return nil, fmt.Errorf("the udp tool does not probe %s", symbol)
}
