package tracefs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFormatNames(t *testing.T) {
	for _, c := range []struct {
		printFmt, field string
		want            []Symbol
		flags           bool
	}{
		{`"family=%s oldstate=%s", __print_symbolic(REC->family, { 2, "AF_INET" }, { 10, "AF_INET6" }), __print_symbolic(REC->oldstate, { 1, "TCP_ESTABLISHED" })`,
			"oldstate", []Symbol{{"TCP_ESTABLISHED", 1}}, false},
		{`"family=%s", __print_symbolic(REC->family, { 2, "AF_INET" }, { 10, "AF_INET6" }), REC->x`, "family", []Symbol{{"AF_INET", 2}, {"AF_INET6", 10}}, false},
		{`"prev_state=%s%s", (REC->prev_state & 0xff) ? __print_flags(REC->prev_state & 0xff, "|", { 0x1, "S" }) : "R", REC->x`, "prev_state", nil, false},
		{`"flags=%s", (REC->flags) ? __print_flags(REC->flags, "|", {(1 << 2), "a,}"}, {(unsigned long)((( gfp_t)(1ULL << 5))), "b\"" }, {SOMETHING, "c"}) : "none"`,
			"flags", []Symbol{{"a,}", 4}, {`b\"`, 32}}, true},
		{`"%s", __print_symbolic(REC->reason, { -1, "NONE" }, { 0x20UL, "X" })`, "reason", []Symbol{{"NONE", -1}, {"X", 32}}, false},
		{`"%s", __print_symbolic(REC->reason, { 1, "NONE`, "reason", nil, false},
		{`"%s", __print_symbolic(REC->reasonable, { 1, "NONE" })`, "reason", nil, false},
		{`"%s", __print_symbolic((u8)(REC->type), { 1, "ONE" })`, "type", []Symbol{{"ONE", 1}}, false},
		{`"%s", __print_symbolic(REC->type >> 3, { 1, "ONE" })`, "type", nil, false},
		{``, "x", nil, false},
	} {
		f := &Format{PrintFmt: c.printFmt}
		names, flags := f.Names(c.field)
		if diff := cmp.Diff(c.want, names); diff != "" || flags != c.flags {
			t.Errorf("%s of %s: flags %t, %s", c.field, c.printFmt, flags, diff)
		}
	}
}

func FuzzFormatNames(f *testing.F) {
	f.Add(`"%s", __print_symbolic(REC->x, { 1, "a" }, {(1 << 3), "b" })`)
	f.Fuzz(func(t *testing.T, s string) {
		(&Format{PrintFmt: s}).Names("x")
	})
}
