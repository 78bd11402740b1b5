package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const log61 = `=== kernel 6.1
    truth_linux_test.go:44: 51 members found, 2 not in 1.4s: probes defined in 381ms
--- PASS: TestTruth (13.65s)
--- PASS: TestProfileIsBTF (3.65s)
ok  	github.com/skprobe/skprobe/internal/calibrate	14.156s
=== RUN   TestUDP
    doctor_linux_test.go:20: doctor: {"kernel":"6.1.0-50-cloud-amd64","tools":[{"tool":"udp","answer":"yes"},{"tool":"arp","answer":"yes"},{"tool":"dns","answer":"no","why":"no function to probe"}]}
--- PASS: TestUDP (1.00s)
    --- PASS: TestUDP/inet (1.00s)
--- PASS: TestUDPBlocked (1.00s)
--- FAIL: TestARP (1.00s)
FAIL	github.com/skprobe/skprobe/internal/tools	3.2s
    doctor_linux_test.go:20: doctor: {"kernel":"6.1.0-50-cloud-amd64","tools":[{"tool":"udp","answer":"partly","without":["dest"],"without_events":["udp.x"]},{"tool":"arp","answer":"yes"}]}
--- PASS: TestUDP (1.00s)
--- SKIP: TestARP (1.00s)
ok  	github.com/skprobe/skprobe/internal/tools (SKPROBE_LAYOUT=calibrate)	3.2s
`

var owners = map[string]string{"TestUDP": "udp", "TestUDPBlocked": "udp", "TestARP": "arp"}

func TestPage(t *testing.T) {
	r := newResult("6.1")
	if err := r.parse(strings.NewReader(log61), owners); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := write(&b, []*result{r}); err != nil {
		t.Fatal(err)
	}
	got, ok := strings.CutPrefix(b.String(), head)
	want := `
| | 6.1 amd64 |
|---|---|
| kernel | 6.1.0-50-cloud-amd64 |
| time to measure its layouts, in guests that share processors | 1.4s |
| layouts from a profile are those of BTF | yes |

## Layouts from BTF, records through perf

| | 6.1 amd64 |
|---|---|
| arp | FAILS |
| dns | refused (1) |
| udp | works |

## Measured layouts, records through perf

| | 6.1 amd64 |
|---|---|
| arp | not tested |
| udp | works (2) |

1. no function to probe
2. without the columns dest; without the events udp.x
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" || !ok {
		t.Error(diff)
	}
}

func TestCompareKeys(t *testing.T) {
	keys := []string{"6.12-arm64", "7.x", "6.1-arm64", "6.12", "5.10", "6.1"}
	slices.SortFunc(keys, compareKeys)
	if want := []string{"5.10", "6.1", "6.12", "7.x", "6.1-arm64", "6.12-arm64"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
}

func TestOwners(t *testing.T) {
	all, err := testOwners("../../tools")
	if err != nil {
		t.Fatal(err)
	}
	if all["TestUDPBlocked"] != "udp" || all["TestTCPStates"] != "tcpstates" || all["TestTCPRecv"] != "tcprecv" {
		t.Errorf("%v", all)
	}
}
