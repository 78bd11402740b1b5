package ktype

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestDWARFSpots looks places up in a whole kernel and in a module of it.
func TestDWARFSpots(t *testing.T) {
	root, vmlinux := debugKernel(t)
	d, err := OpenDWARF(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	d.modules = newModuleFiles(root, strings.TrimPrefix(filepath.Base(vmlinux), "vmlinux-"), d.vmlinux)
	for _, c := range []struct {
		place  Place
		spots  int // at least
		symbol string
		file   string
		local  string
	}{
		{Place{Func: "tcp_rcv_established", Label: "step5"}, 1, "tcp_rcv_established", "net/ipv4/tcp_input.c", "skb"},
		{Place{Func: "udp_sendmsg", HasLine: true}, 1, "udp_sendmsg", "net/ipv4/udp.c", "len"},
		{Place{Func: "tcp_data_snd_check"}, 3, "", "net/ipv4/tcp_input.c", "sk"},
		{Place{Func: "sockcm_init"}, 4, "", "include/net/sock.h", "sockc"},
		{Place{File: "net/core/dev.c", Line: 4000}, 1, "", "net/core/dev.c", ""},
		{Place{Module: "bridge", Func: "br_handle_frame", HasLine: true}, 1, "bridge:br_handle_frame", "net/bridge/br_input.c", "pskb"},
		{Place{Module: "bridge", Func: "br_handle_frame", Label: "forward"}, 1, "bridge:br_handle_frame", "net/bridge/br_input.c", "pskb"},
		{Place{Module: "bridge", Func: "br_pass_frame_up"}, 1, "", "net/bridge/br_input.c", "skb"},
	} {
		spots, err := d.Spots(c.place)
		if err != nil || len(spots) < c.spots {
			t.Errorf("%s: %d places, %v", c.place, len(spots), err)
			continue
		}
		for _, s := range spots {
			if c.symbol != "" && s.Symbol != c.symbol || s.File != c.file {
				t.Errorf("%s: %s+%d, %s:%d", c.place, s.Symbol, s.Offset, s.File, s.Line)
			}
			if c.local != "" {
				t.Logf("%s at %s+%d: %s", c.place, s.Symbol, s.Offset, local(t, s, c.local))
			}
		}
	}
}
