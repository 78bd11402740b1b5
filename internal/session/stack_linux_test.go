package session

import (
	"slices"
	"testing"
)

func TestStackCutter(t *testing.T) {
	names := map[uint64]string{1: "event_triggers_call+0x82", 2: "trace_event_raw_event_kfree_skb+0x85", 3: "sk_skb_reason_drop+0x94", 4: "ip_rcv+0x1"}
	c := stackCutter{symbol: func(dst []byte, addr uint64) []byte { return append(dst, names[addr]...) }}
	for _, tt := range []struct{ stack, want []uint64 }{
		{[]uint64{1, 2, 3, 4}, []uint64{3, 4}},
		{[]uint64{3, 4}, []uint64{3, 4}},
		{nil, nil},
		{[]uint64{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 3}, []uint64{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 3}},
	} {
		if got := c.cut(tt.stack); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.stack, got, tt.want)
		}
	}
}
