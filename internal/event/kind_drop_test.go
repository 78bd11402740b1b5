package event

import (
	"errors"
	"slices"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

// A device is shown only where the pointer leads to one.
func TestDevice(t *testing.T) {
	const dev = 0xffff888003c0f000
	word := func(n uint64) []byte {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(n >> (8 * i))
		}
		return b
	}
	name := func(s string) []byte { return append([]byte(s), make([]byte, 16-len(s))...) }
	index := func(n uint32) []byte { return word(uint64(n))[:4] }
	skb := append(word(dev+0x1234), word(dev-0x300)...) // what a tree of packets has there
	for _, c := range []struct {
		what string
		in   [][]byte
		want string
	}{
		{"a device", [][]byte{word(dev), name("eth0"), index(2), word(dev)}, "eth0"},
		{"a name that is hostile", [][]byte{word(dev), name("a\x1b[31m"), index(3), word(dev)}, "a\x1b[31m"},
		{"NULL", [][]byte{word(0), nil, nil, nil}, ""},
		{"a packet", [][]byte{word(dev), skb, index(0xff), word(dev + 8)}, ""},
		{"what another had, left over", [][]byte{word(dev), name("eth0"), index(2), word(dev + 0x1000)}, ""},
		{"without queues", [][]byte{word(dev), name("eth0"), index(2), nil}, ""},
		{"no name", [][]byte{word(dev), name(""), index(2), word(dev)}, ""},
		{"a name without an end", [][]byte{word(dev), []byte("sixteencharacter"), index(2), word(dev)}, ""},
		// Where the queues are not known, that the number stands for them tells.
		{"unknown queues", [][]byte{word(dev), name("eth0"), index(2), index(2)}, "eth0"},
		{"unknown queues, a packet", [][]byte{word(dev), skb, index(2), index(2)}, ""},
		{"unknown queues, no number", [][]byte{word(dev), name("eth0"), index(0), index(0)}, ""},
		{"unknown queues, a wild number", [][]byte{word(dev), name("eth0"), index(0xffff8880), index(0xffff8880)}, ""},
	} {
		out := []*Value{{}, {}}
		device(c.in, out)
		if got := out[0]; got.Set != (c.want != "") || got.Set && string(got.Text) != c.want || out[1].Set != got.Set {
			t.Errorf("%s: %t %q, want %q", c.what, got.Set, got.Text, c.want)
		}
	}
}

// reasonTypes has the enums of a kernel.
type reasonTypes map[string]*fetchargs.Type

func (r reasonTypes) TypeNamed(name string) (*fetchargs.Type, error) {
	if t := r[name]; t != nil {
		return t, nil
	}
	return nil, fetchargs.ErrNoType
}
func (r reasonTypes) FuncNamed(string) (*fetchargs.Type, error) { return nil, fetchargs.ErrNoType }
func (r reasonTypes) Source() string                            { return "a test" }

func reasonsOf(pairs ...fetchargs.Enumerator) *fetchargs.Type {
	return &fetchargs.Type{Kind: fetchargs.Enum, Size: 4, Values: pairs}
}

func TestDropReasons(t *testing.T) {
	e := func(name string, value int64) fetchargs.Enumerator {
		return fetchargs.Enumerator{Name: name, Value: value}
	}
	full := &Kernel{Types: reasonTypes{
		reasonEnum: reasonsOf(e("SKB_NOT_DROPPED_YET", 0), e("SKB_CONSUMED", 1), e("SKB_DROP_REASON_NOT_SPECIFIED", 2), e("SKB_DROP_REASON_NO_SOCKET", 3),
			e("SKB_DROP_REASON_MAX", 4), e("SKB_DROP_REASON_SUBSYS_MASK", 0xffff0000)),
		subsysEnum:                     reasonsOf(e("SKB_DROP_REASON_SUBSYS_CORE", 0), e("SKB_DROP_REASON_SUBSYS_MAC80211_UNUSABLE", 1), e("SKB_DROP_REASON_SUBSYS_OPENVSWITCH", 2)),
		"enum ovs_drop_reason":         reasonsOf(e("__OVS_DROP_REASON", 0x20000), e("OVS_DROP_LAST_ACTION", 0x20001)),
		"enum ___mac80211_drop_reason": reasonsOf(e("___RX_CONTINUE", 1), e("___RX_DROP_U_MIC_FAIL", 0x10001)),
	}}
	// Without type information, the names are in the format of the event.
	bare := &Kernel{Types: reasonTypes{}, Tracepoint: func(name string) ([]fetchargs.RecordField, error) {
		if name != "skb:kfree_skb" {
			return nil, errors.New("no such event")
		}
		return []fetchargs.RecordField{{Name: "reason", Type: reasonsOf(e("NOT_SPECIFIED", 2), e("NO_SOCKET", 3))}}, nil
	}}
	none := &Kernel{Types: reasonTypes{}}
	unsigned := &fetchargs.Type{Kind: fetchargs.Int, Size: 4}
	for _, c := range []struct {
		k    *Kernel
		num  uint64
		want string
	}{
		{full, 3, "NO_SOCKET"}, {full, 1, "CONSUMED"}, {full, 0, "NOT_DROPPED_YET"}, {full, 4, "4"}, {full, 99, "99"},
		{full, 0x20001, "OVS_DROP_LAST_ACTION"}, {full, 0x20007, "OPENVSWITCH:7"}, {full, 0x10001, "RX_DROP_U_MIC_FAIL"},
		{full, 0x20000, "OPENVSWITCH:0"}, {full, 0x90003, "subsystem 9:3"},
		{bare, 3, "NO_SOCKET"}, {bare, 7, "7"}, {bare, 0x30001, "subsystem 3:1"}, {none, 3, "3"},
	} {
		kind, err := dropReasonKind(unsigned, c.k)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(kind.Append(nil, &Value{Set: true, Num: c.num})); got != c.want {
			t.Errorf("%#x: %s, want %s", c.num, got, c.want)
		}
		if n, ok := kind.Lookup(c.want); c.k != none && slices.Contains(kind.Names, c.want) && (!ok || n != c.num) {
			t.Errorf("%s is %#x, %t", c.want, n, ok)
		}
	}
	kind, _ := dropReasonKind(unsigned, full)
	if n, ok := kind.Lookup("SKB_DROP_REASON_NO_SOCKET"); !ok || n != 3 {
		t.Errorf("the whole name: %d, %t", n, ok)
	}
	if slices.Contains(kind.Names, "MAX") || slices.Contains(kind.Names, "SUBSYS_MASK") {
		t.Errorf("names %v", kind.Names)
	}
}
