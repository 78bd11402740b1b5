package event

import (
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// Reasons for which a packet is dropped are numbers, and another number in each
// kernel: enum skb_drop_reason (include/net/dropreason-core.h, since 5.17). Since
// 6.4 the high 16 bits say which part of the kernel counts its own.
const (
	reasonEnum   = "enum skb_drop_reason"
	subsysEnum   = "enum skb_drop_reason_subsys"
	subsysShift  = 16
	reasonPrefix = "SKB_DROP_REASON_"
)

// partEnums are the enums of parts of the kernel that have reasons of their own.
var partEnums = []string{"enum qdisc_drop_reason", "enum ovs_drop_reason", "enum mac80211_drop_reason", "enum ___mac80211_drop_reason"}

// dropReasons are the names of one kernel's reasons.
type dropReasons struct {
	names  map[uint64]string
	values map[string]uint64
	order  []string
}

// newDropReasons finds the names in the type information, or where there is none
// in the print format of the kernel's own event.
func newDropReasons(t *fetchargs.Type, k *Kernel) *dropReasons {
	r := &dropReasons{names: map[uint64]string{}, values: map[string]uint64{}}
	if known, err := k.Types.TypeNamed(reasonEnum); err == nil {
		t = known
	} else if len(t.Values) == 0 && k.Tracepoint != nil {
		fields, _ := k.Tracepoint("skb:kfree_skb")
		for _, f := range fields {
			if f.Name == "reason" {
				t = f.Type
			}
		}
	}
	for _, e := range t.Values {
		r.add(e.Name, uint64(e.Value))
	}
	for _, name := range partEnums {
		if part, err := k.Types.TypeNamed(name); err == nil {
			for _, e := range part.Values {
				if uint32(e.Value)>>subsysShift != 0 && !strings.HasSuffix(e.Name, "_DROP_REASON") {
					r.add(strings.TrimLeft(e.Name, "_"), uint64(uint32(e.Value)))
				}
			}
		}
	}
	if parts, err := k.Types.TypeNamed(subsysEnum); err == nil {
		for _, e := range parts.Values[min(1, len(parts.Values)):] { // the first is the core, whose reasons have names
			r.names[uint64(e.Value)<<subsysShift] = strings.TrimPrefix(e.Name, reasonPrefix+"SUBSYS_")
		}
	}
	return r
}

func (r *dropReasons) add(name string, value uint64) {
	name = shortReason(name)
	if name == "MAX" || name == "SUBSYS_MASK" || r.names[value] != "" {
		return // which are no reasons
	}
	r.names[value], r.values[name] = name, value
	r.order = append(r.order, name)
}

// shortReason is a name without what all of them begin with: NO_SOCKET, and
// CONSUMED for SKB_CONSUMED.
func shortReason(name string) string {
	if short, ok := strings.CutPrefix(name, reasonPrefix); ok {
		return short
	}
	return strings.TrimPrefix(name, "SKB_")
}

// append writes the name of a reason, or the part of the kernel and its number
// there.
func (r *dropReasons) append(dst []byte, v *Value) []byte {
	name, ok := r.names[v.Num]
	part := v.Num >> subsysShift
	if ok && (part == 0 || v.Num&(1<<subsysShift-1) != 0) {
		return append(dst, name...)
	}
	if part == 0 {
		return appendUnsigned(dst, v)
	}
	if name, ok = r.names[part<<subsysShift]; ok {
		dst = append(dst, name...)
	} else {
		dst = strconv.AppendUint(append(dst, "subsystem "...), part, 10)
	}
	return strconv.AppendUint(append(dst, ':'), v.Num&(1<<subsysShift-1), 10)
}

func (r *dropReasons) lookup(text string) (uint64, bool) {
	if n, ok := r.values[shortReason(text)]; ok {
		return n, true
	}
	return lookupUnsigned(text)
}

// dropReasonKind shows a reason by its name in the running kernel, without the
// SKB_DROP_REASON_ that all of them have in front.
func dropReasonKind(t *fetchargs.Type, k *Kernel) (*Kind, error) {
	r := newDropReasons(t, k)
	return &Kind{Name: "dropreason", Class: Text, Width: 20, Reads: []Read{{Expr: "$", Size: 4}}, Decode: decodeUnsigned, Compare: CompareNumber,
		Append: r.append, Lookup: r.lookup, Names: r.order}, nil
}
