package tracefs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSymbols(t *testing.T) {
	for _, c := range []struct {
		print, field string
		want         []Symbol
	}{
		{`"%s", __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 0x3, "NO_SOCKET" })`, "reason", []Symbol{{"NOT_SPECIFIED", 2}, {"NO_SOCKET", 3}}},
		{`"%s %s", __print_symbolic(REC->reason2, {1,"A"}), __print_symbolic((REC->reason) & 1, {-1,"B"},{ENUM, "C"},{2,"D"} )`, "reason", []Symbol{{"B", -1}, {"D", 2}}},
		{`"%s", __print_flags(REC->reason, "|", { 2, "X" })`, "reason", nil},
		{`"%d", REC->reason`, "reason", nil},
		{`__print_symbolic(REC->reason, { 2, "X" }, { 3`, "reason", []Symbol{{"X", 2}}},
		{`__print_symbolic(REC->reason`, "reason", nil},
		{`__print_symbolic(REC->reason, { 2, X })`, "reason", nil},
	} {
		f := Format{PrintFmt: c.print}
		if diff := cmp.Diff(c.want, f.Symbols(c.field)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.print, diff)
		}
	}
}
