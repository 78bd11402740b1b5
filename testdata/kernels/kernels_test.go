package kernels

import (
	"errors"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
)

// TestRecorded checks the recordings against what is known of these kernels
// from their sources.
func TestRecorded(t *testing.T) {
	list := Recorded(t)
	if len(list) < 7 {
		t.Fatalf("%d kernels", len(list))
	}
	for _, k := range list {
		sk, err := k.Types.TypeNamed("struct sock_common")
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		for name, off := range map[string]int{"skc_daddr": 0, "skc_rcv_saddr": 4, "skc_dport": 12, "skc_num": 14, "skc_family": 16, "skc_state": 18} {
			if m, ok := sk.Member(name); !ok || m.Offset != off {
				t.Errorf("%s: %s at %d, want %d", k.Name, name, m.Offset, off)
			}
		}
		f, err := k.Types.FuncNamed("udp_sendmsg")
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		if m := f.Members[0].Type.Elem(); m.Name != "struct sock" || m.Incomplete {
			t.Errorf("%s: the first parameter of udp_sendmsg points to %s, incomplete: %v", k.Name, m, m.Incomplete)
		}
		if _, err := k.Types.FuncNamed("xmit_one"); err != nil && !errors.Is(err, fetchargs.ErrNoType) {
			t.Error(err)
		}
	}
}

// TestChooseOnRecorded is how the drop of a packet is found over the years.
func TestChooseOnRecorded(t *testing.T) {
	candidates := []string{"sk_skb_reason_drop", "kfree_skb_reason", "kfree_skb"}
	want := map[string]string{
		"4.18-el8-arm64": "kfree_skb", "4.19-amd64": "kfree_skb", "4.19-arm64": "kfree_skb", "5.10-amd64": "kfree_skb",
		"6.1-amd64": "kfree_skb_reason", "6.12-amd64": "sk_skb_reason_drop", "7.3-amd64": "sk_skb_reason_drop",
	}
	for _, k := range Recorded(t) {
		c, err := kernel.Choose(k.Find(t, candidates...), candidates)
		if err != nil || c.Symbol.Name != want[k.Name] || c.Unverified {
			t.Errorf("%s: %q, %v, want %s", k.Name, c.Symbol.Name, err, want[k.Name])
		}
	}
}
