package tracefs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEvents(t *testing.T) {
	const text = `p:kprobes/p_udp_sendmsg_0 udp_sendmsg
p:skprobe_12_345/udp udp_sendmsg+0 sk=%di:x64 len=%dx:u32
r:skprobe_12_345/ret tcp_v4_connect ret=$retval:s32
r16:g/deep tcp_connect arg1=$retval
p:g/mod bridge:br_dev_xmit+4 a=+0(+8(%si)):string
p:g/imm __dev_queue_xmit v=\1 n=\"x y"

f:fprobes/fp vfs_read%return ret=$retval
e:g/ep syscalls/sys_enter_openat file=+0($filename):ustring
`
	got, err := ParseEvents(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []DynamicEvent{
		{Type: "p", Group: "kprobes", Event: "p_udp_sendmsg_0", Place: "udp_sendmsg"},
		{Type: "p", Group: "skprobe_12_345", Event: "udp", Place: "udp_sendmsg+0", Args: "sk=%di:x64 len=%dx:u32"},
		{Type: "r", Group: "skprobe_12_345", Event: "ret", Place: "tcp_v4_connect", Args: "ret=$retval:s32"},
		{Type: "r", MaxActive: 16, Group: "g", Event: "deep", Place: "tcp_connect", Args: "arg1=$retval"},
		{Type: "p", Group: "g", Event: "mod", Place: "bridge:br_dev_xmit+4", Args: "a=+0(+8(%si)):string"},
		{Type: "p", Group: "g", Event: "imm", Place: "__dev_queue_xmit", Args: `v=\1 n=\"x y"`},
		{Type: "f", Group: "fprobes", Event: "fp", Place: "vfs_read%return", Args: "ret=$retval"},
		{Type: "e", Group: "g", Event: "ep", Place: "syscalls/sys_enter_openat", Args: "file=+0($filename):ustring"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseEventRefuses(t *testing.T) {
	for _, line := range []string{"", ":a/b c", "-:a/b", "px:a/b c", "p99999999999:a/b c", "P:a/b c"} {
		if e, err := ParseEvent(line); err == nil {
			t.Errorf("%q: got %+v", line, e)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add("p:skprobe_12_345/udp udp_sendmsg+0 sk=%di:x64 len=%dx:u32")
	f.Add("r16:g/deep tcp_connect")
	f.Add("p vfs_read")
	f.Fuzz(func(t *testing.T, line string) {
		event, err := ParseEvent(line)
		if err != nil {
			return
		}
		// What was understood is what it prints, if it has names that we would use.
		if !validName(event.Group) || !validName(event.Event) {
			return
		}
		again, err := ParseEvent(event.String())
		if err != nil || again != event {
			t.Errorf("%q: %+v, then %q: %+v, %v", line, event, event.String(), again, err)
		}
	})
}

func TestParseProfile(t *testing.T) {
	const text = "  udp                                                    12               0\n" +
		"  a_name_that_is_longer_than_the_forty_four_columns 18446744073709551615 3\n"
	got, err := ParseProfile(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []ProfileEntry{
		{"udp", Counts{12, 0}},
		{"a_name_that_is_longer_than_the_forty_four_columns", Counts{1<<64 - 1, 3}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"a b c\n", "a 1 x\n", "a 1\n"} {
		if got, err := ParseProfile(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: got %+v", bad, got)
		}
	}
}

func TestProfileJoin(t *testing.T) {
	events := []DynamicEvent{{Group: "a", Event: "x"}, {Group: "b", Event: "x"}, {Group: "b", Event: "x"}}
	entries := []ProfileEntry{{"x", Counts{1, 2}}, {"x", Counts{10, 20}}, {"x", Counts{100, 200}}}
	got, ok := join(events, entries)
	want := map[Name]Counts{{"a", "x"}: {1, 2}, {"b", "x"}: {110, 220}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	if _, ok := join(events[:2], entries); ok {
		t.Error("a different number of lines was taken")
	}
	entries[0].Event = "y"
	if _, ok := join(events, entries); ok {
		t.Error("different names were taken")
	}
}
