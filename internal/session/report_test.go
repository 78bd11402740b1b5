package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/tools"
	"github.com/skprobe/skprobe/testdata/kernels"
)

// made is a report of a kernel on which the lines are so.
func made(tools []tool, lines ...kernel.Line) *Report {
	r := &Report{Backend: "perf", Layouts: "BTF", Tools: tools}
	r.add("A section", lines...)
	r.conclude()
	return r
}

var (
	fine     = kernel.Line{Topic: "fine", Answer: kernel.Yes, Why: "it is"}
	noted    = kernel.Line{Topic: "noted", Answer: kernel.No, Why: "not so", Do: "nothing", Note: true}
	unknown  = kernel.Line{Topic: "unknown", Why: "who knows"}
	obstacle = kernel.Line{Topic: "obstacle", Answer: kernel.No, Why: "kprobes are missing", Do: "get a kernel that has them"}
	yes, no  = tool{Tool: "a", Answer: "yes", Probes: []string{"f", "g"}}, tool{Tool: "b", Answer: "no", Why: "no f"}
	partly   = tool{Tool: "c", Answer: "partly", Probes: []string{"f"}, Without: []string{"x", "y"}, NotHere: []string{"g"}}
)

func TestReportVerdict(t *testing.T) {
	for _, c := range []struct {
		r                  *Report
		works, verdict, do string
	}{
		{made([]tool{yes, no}, fine, noted, unknown), "yes", "skprobe works here: records come through perf, and layouts of structs from BTF", ""},
		{made([]tool{yes, no, partly}, fine, obstacle), "partly", "only some tools work here (a, c): kprobes are missing", obstacle.Do},
		{made([]tool{no}, noted, obstacle), "no", "skprobe cannot work here as things are: kprobes are missing", obstacle.Do},
		{made(nil, fine), "no", "skprobe cannot work here as things are: no tool can be used", ""},
	} {
		if got := []string{c.r.Works, c.r.Verdict, c.r.Do}; !cmp.Equal(got, []string{c.works, c.verdict, c.do}) {
			t.Errorf("%q, want %q", got, []string{c.works, c.verdict, c.do})
		}
	}
}

func TestReportText(t *testing.T) {
	var b bytes.Buffer
	if err := made([]tool{yes, no, partly}, fine, noted, unknown, obstacle).Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `only some tools work here (a, c): kprobes are missing.
What to do: get a kernel that has them.

A section
  ok    fine      it is
  note  noted     not so
                  → nothing
  ?     unknown   who knows
  NO    obstacle  kprobes are missing
                  → get a kernel that has them

Tools
  ok    a         f, g
  NO    b         no f
  note  c         f; without the columns x, y; not here: g
`
	got, _, _ := strings.Cut(b.String(), "\nok: ")
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestReportJSON(t *testing.T) {
	var b bytes.Buffer
	if err := made([]tool{no}, fine, noted).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"works": "no", "verdict": "skprobe cannot work here as things are: no tool can be used", "skprobe": "", "arch": "", "backend": "perf", "layouts": "BTF",
		"sections": []any{map[string]any{"title": "A section", "lines": []any{
			map[string]any{"topic": "fine", "answer": "yes", "why": "it is"},
			map[string]any{"topic": "noted", "answer": "no", "note": true, "why": "not so", "do": "nothing"}}}},
		"tools": []any{map[string]any{"tool": "b", "answer": "no", "why": "no f"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// without is a source of layouts that lacks one type.
type without struct {
	fetchargs.Types
	name string
}

func (w without) TypeNamed(name string) (*fetchargs.Type, error) {
	if name == w.name {
		return nil, fetchargs.ErrNoType
	}
	return w.Types.TypeNamed(name)
}

// A tool that lacks something tells which columns it goes without.
func TestToolReport(t *testing.T) {
	k := kernels.Named(t, "6.1-amd64")
	reportOf := func(name string, types fetchargs.Types, choose func([]string) (string, error)) tool {
		t := tools.All()[slices.IndexFunc(tools.All(), func(t *event.Tool) bool { return t.Name == name })]
		p, err := event.Compile(t, nil, nil, event.Kernel{Arch: fetchargs.AMD64, Types: types, Dialect: fetchargs.Dialect53, Choose: choose})
		return toolReport(t, p, err)
	}
	compile := func(types fetchargs.Types, choose func([]string) (string, error)) tool {
		return reportOf("udp", types, choose)
	}
	first := func(funcs []string) (string, error) { return funcs[0], nil }
	probes := []string{"udp_sendmsg", "udpv6_sendmsg", "skb_consume_udp"}
	if diff := cmp.Diff(tool{Tool: "udp", Answer: "yes", Probes: probes}, compile(k.Types, first)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(tool{Tool: "udp", Answer: "partly", Probes: probes, Without: []string{"dest"}}, compile(without{k.Types, "struct udp_sock"}, first)); diff != "" {
		t.Error(diff)
	}
	// What only an option asks for is not needed.
	retrans := reportOf("tcpretrans", without{k.Types, "struct tcp_sock"}, first)
	if retrans.Answer != "partly" || !slices.Equal(retrans.WithoutEvents, []string{"tcp.loss_probe"}) {
		t.Errorf("%+v", retrans)
	}
	none := func([]string) (string, error) { return "", refused("do this", errors.New("no such function")) }
	if diff := cmp.Diff(tool{Tool: "udp", Answer: "no", Why: "no such function"}, compile(k.Types, none)); diff != "" {
		t.Error(diff)
	}
}
