package tools

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/testdata/kernels"
)

// lacking is a source of layouts that does not have one type or function.
type lacking struct {
	fetchargs.Types
	name string
}

func (l lacking) TypeNamed(name string) (*fetchargs.Type, error) {
	if name == l.name {
		return nil, fmt.Errorf("%w: %s", fetchargs.ErrNoType, name)
	}
	return l.Types.TypeNamed(name)
}

func (l lacking) FuncNamed(name string) (*fetchargs.Type, error) {
	if name == l.name {
		return nil, fmt.Errorf("%w: %s", fetchargs.ErrNoType, name)
	}
	return l.Types.FuncNamed(name)
}

// Where a layout lacks something, the columns that need it are absent, those
// that could be wrong without it as well, and the others are there.
func TestMissing(t *testing.T) {
	k := kernels.Named(t, "6.1-amd64")
	udp := All()[slices.IndexFunc(All(), func(t *event.Tool) bool { return t.Name == "udp" })]
	compile := func(tool *event.Tool, name string) (*event.Program, error) {
		return event.Compile(tool, nil, nil, event.Kernel{Arch: fetchargs.AMD64, Types: lacking{k.Types, name}, Dialect: fetchargs.Dialect53,
			Choose: func(funcs []string) (string, error) { return funcs[0], nil }})
	}
	p, err := compile(udp, "struct udp_sock")
	if err != nil {
		t.Fatal(err)
	}
	for column, there := range map[string]bool{
		"laddr": true, "lport": true, "size": true, "sock_raddr": true,
		"raddr": true, // of udp.recvmsg
		"dest":  false,
	} {
		if got := p.Schema.Column(column) >= 0; got != there {
			t.Errorf("without struct udp_sock: column %s: %t", column, got)
		}
	}
	if len(p.Missing) == 0 {
		t.Error("nothing is told to be missing")
	}

	exact := *udp
	exact.Exact = true
	if _, err := compile(&exact, "struct udp_sock"); !errors.Is(err, fetchargs.ErrNoType) {
		t.Errorf("fields asked for by name: %v", err)
	}
	if p, err := compile(udp, "udp_sendmsg"); err == nil {
		t.Errorf("udp_sendmsg without its parameters has %d probes", len(p.Probes))
	}
}

// Without what a hook is, its verdict on a packet is there, where a function
// tells that the packet is the first parameter.
func TestMissingHook(t *testing.T) {
	k := kernels.Named(t, "6.1-amd64")
	netfilter := All()[slices.IndexFunc(All(), func(t *event.Tool) bool { return t.Name == "netfilter" })]
	for _, has := range []bool{true, false} {
		p, err := event.Compile(netfilter, nil, []string{"netns"}, event.Kernel{Arch: fetchargs.AMD64, Types: lacking{lacking{k.Types, "struct nf_hook_state"}, "nf_hook_slow"}, Dialect: fetchargs.Dialect53,
			Choose: func(funcs []string) (string, error) {
				if funcs[0] == "nf_register_net_hook" && !has {
					return "", fetchargs.ErrNoType
				}
				return funcs[0], nil
			}})
		if !has {
			if err == nil {
				t.Error("where the packet is was guessed")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for column, there := range map[string]bool{"verdict": true, "saddr": true, "dport": true, "dev": true, "netns": true, "hook": false, "pf": false, "indev": false, "outdev": false} {
			if got := p.Schema.Column(column) >= 0; got != there {
				t.Errorf("column %s: %t", column, got)
			}
		}
	}
}
