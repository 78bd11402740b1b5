package tools

import (
	"regexp"
	"slices"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/track"
)

// Limits of what is remembered.
const (
	maxEntries = 65536
	maxReasons = 16384
)

// A reason is why a packet is invalid, as a thread was told at a time.
type reason struct {
	at   uint64
	text []byte
}

// tracked knows since when entries are there, and finds out why packets are
// invalid.
type tracked struct {
	entries *track.Table[uint64, uint64]
	reasons *track.Table[uint32, reason]

	ct, ret, elapsed, of, whyInner int
	whyArgs                        []int
	proto, verdict, why, duration  int
}

func newTracked(s *event.Schema, _ event.Settings) event.Reducer {
	t := &tracked{entries: track.New[uint64, uint64](maxEntries), reasons: track.New[uint32, reason](maxReasons),
		ct: s.Index("ct"), ret: s.Index("ret"), elapsed: s.Index("elapsed"), of: s.Index("of_proto"), whyInner: s.Index("why_inner"),
		proto: s.Index("proto"), verdict: s.Index("verdict"), why: s.Index("reason"), duration: s.Index("duration_ms")}
	for _, arg := range whyArgs {
		t.whyArgs = append(t.whyArgs, s.Index("why_"+arg))
	}
	return t
}

// Evicted returns how many entries and reasons were forgotten.
func (t *tracked) Evicted() uint64 { return t.entries.Evicted() + t.reasons.Evicted() }

func (t *tracked) Event(ev *event.Event, show func(*event.Event) error) error {
	ct := ev.Value(t.ct)
	switch ev.Name {
	case "conntrack.why":
		if text := t.text(ev); text != "" {
			t.reasons.Put(ev.Thread, reason{ev.Mono, []byte(text)})
		}
		return nil
	case "conntrack.invalid":
		if !t.isOther(ev) {
			return nil
		}
	case "conntrack.new":
		if ct != nil {
			t.entries.Put(ct.Num, ev.Mono)
		}
	case "conntrack.destroyed":
		if ct == nil {
			break
		}
		if since := t.entries.Get(ct.Num); since != nil && ev.Mono >= *since {
			ev.SetNum(t.duration, (ev.Mono-*since)/1000)
		}
		t.entries.Delete(ct.Num)
	case "conntrack.tcp":
		t.packet(ev)
	}
	return show(ev)
}

// isOther tells whether an invalid packet is of another protocol than TCP, whose
// packets have an event of their own, and says why it is invalid.
func (t *tracked) isOther(ev *event.Event) bool {
	of := ev.Value(t.of)
	if of == nil {
		return false
	}
	if proto, known := ipProtocol.Lookup(string(of.Text)); known {
		if proto == ipTCP {
			return false
		}
		ev.SetNum(t.proto, proto)
	}
	ev.SetNum(t.verdict, trackedInvalid)
	if text := t.text(ev); text != "" {
		ev.SetText(t.why, []byte(text))
	}
	return true
}

// packet sets what became of a packet: the function returns NF_ACCEPT, -NF_REPEAT
// for one that opens the connection anew, or something else.
func (t *tracked) packet(ev *event.Event) {
	ev.SetNum(t.proto, ipTCP)
	ret, elapsed := ev.Value(t.ret), ev.Value(t.elapsed)
	if ret == nil || elapsed == nil {
		return
	}
	switch int64(ret.Num) {
	case nfAccept:
		ev.SetNum(t.verdict, trackedAccept)
	case -nfRepeat:
		ev.SetNum(t.verdict, trackedRepeat)
	default:
		ev.SetNum(t.verdict, trackedInvalid)
	}
	if r := t.reasons.Get(ev.Thread); r != nil {
		if r.at >= ev.Mono-elapsed.Num {
			ev.SetText(t.why, r.text)
		}
		t.reasons.Delete(ev.Thread)
	}
}

// text is what the kernel would log.
func (t *tracked) text(ev *event.Event) string {
	for i, at := range t.whyArgs {
		format := textAt(ev, at)
		switch {
		case format == "":
			continue
		case format == "%pV":
			format = textAt(ev, t.whyInner)
		case (format == "%s" || format == "%s ") && i+1 < len(t.whyArgs):
			return textAt(ev, t.whyArgs[i+1])
		}
		return verb.ReplaceAllString(format, "…")
	}
	return ""
}

// verb is a number or an address in a format of printk.
var verb = regexp.MustCompile(`%[-+#0-9.hlz]*(p\w*|[a-zA-Z])`)

// textAt is a value that is a text, and not other bytes.
func textAt(ev *event.Event, at int) string {
	v := ev.Value(at)
	if v == nil || len(v.Text) < 2 || slices.ContainsFunc(v.Text, func(b byte) bool { return b < ' ' || b > '~' }) {
		return ""
	}
	return string(v.Text)
}
