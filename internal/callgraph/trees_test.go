package callgraph

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/event"
)

// schema is that of the tool with probes, as a compiler would make it.
func schema() *event.Schema {
	s := &event.Schema{Tool: "graph", Events: []string{callName}}
	for _, f := range columns(Options{}) {
		s.Columns = append(s.Columns, event.Column{Name: f.Name, Kind: f.Kind, Wide: f.Wide})
	}
	return s
}

// play feeds a reducer with steps "THREAD+FUNCTION@TIME" (entered) and
// "THREAD-FUNCTION@TIME" (returned); thread 0 is an interrupt. What is shown
// is "THREAD:DEPTH:FUNCTION:DURATION".
func play(t *testing.T, o Options, steps string) (got []string, tr *trees) {
	t.Helper()
	s := schema()
	tr = newTrees(s, o, byName(s))
	show := func(ev *event.Event) error {
		duration := "?"
		if v := ev.Value(s.Column(durationColumn)); v != nil {
			duration = fmt.Sprint(v.Num)
		}
		line := fmt.Sprintf("%d:%d:%s:%s", ev.TID, ev.Value(s.Column(depthColumn)).Num, ev.Value(s.Column(functionColumn)).Text, duration)
		if v := ev.Value(s.Column(callerColumn)); v != nil {
			line += "<" + string(v.Text)
		}
		got = append(got, line)
		return nil
	}
	ev := s.NewEvent("")
	for _, step := range strings.Fields(steps) {
		var sign rune
		var tid uint32
		var rest, name string
		fmt.Sscanf(step, "%d%c%s", &tid, &sign, &rest)
		name, at, _ := strings.Cut(rest, "@")
		fmt.Sscan(at, &ev.Mono)
		ev.TID, ev.Task, ev.Name = tid, tid != 0, name
		if sign == '-' {
			ev.Name += returnSuffix
		}
		if err := tr.Event(ev, show); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Finish(0, show); err != nil {
		t.Fatal(err)
	}
	return got, tr
}

func TestTrees(t *testing.T) {
	const twice = "1+a@10 1+b@20 1-b@30 1+c@40 1+d@50 1-d@55 1-c@60 1-a@100"
	for name, c := range map[string]struct {
		options Options
		steps   string
		want    string
	}{
		"a tree":               {steps: twice, want: "1:0:a:90 1:1:b:10<a 1:1:c:20<a 1:2:d:5<c"},
		"two levels":           {options: Options{Depth: 2}, steps: twice, want: "1:0:a:90 1:1:b:10<a 1:1:c:20<a"},
		"long calls":           {options: Options{Min: 20}, steps: twice, want: "1:0:a:90 1:1:c:20<a"},
		"below a function":     {options: Options{Root: "c"}, steps: twice, want: "1:0:c:20 1:1:d:5<c"},
		"below, one level":     {options: Options{Root: "c", Depth: 1}, steps: twice, want: "1:0:c:20"},
		"no such root":         {options: Options{Root: "e"}, steps: twice, want: ""},
		"threads":              {steps: "1+a@1 2+a@2 1-a@3 2-a@9", want: "1:0:a:2 2:0:a:7"},
		"an interrupt":         {steps: "1+a@1 0+b@2 0-b@3 1-a@4", want: "0:0:b:1 1:0:a:3"},
		"recursion":            {steps: "1+a@1 1+a@2 1-a@3 1-a@9", want: "1:0:a:8 1:1:a:1<a"},
		"entered before":       {steps: "1-a@1 1+b@2 1-a@3 1-b@4", want: "1:0:b:2"},
		"a lost return":        {steps: "1+a@1 1+b@2 1-a@9", want: "1:0:a:8 1:1:b:?<a"},
		"still under way":      {steps: "1+a@1 1+b@2 1-b@5", want: "1:0:a:? 1:1:b:3<a"},
		"a root within a root": {options: Options{Root: "a"}, steps: "1+x@0 1+a@1 1+a@2 1-a@3 1-a@9 1+b@10 1-b@11 1-x@20", want: "1:0:a:8 1:1:a:1<a"},
	} {
		got, tr := play(t, c.options, c.steps)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
		if tr.Evicted() != 0 {
			t.Errorf("%s: %d evicted", name, tr.Evicted())
		}
	}
}

// Memory is bounded, and what is forgotten is counted.
func TestTreesBounds(t *testing.T) {
	s := schema()
	tr := newTrees(s, Options{Min: time.Hour}, byName(s))
	ev := s.NewEvent("f")
	ev.Task = true
	for i := range maxThreads + 10 {
		ev.TID = uint32(i + 1)
		if err := tr.Event(ev, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(tr.threads) != maxThreads || tr.Evicted() != 10 {
		t.Errorf("%d threads, %d evicted", len(tr.threads), tr.Evicted())
	}
	tr = newTrees(s, Options{}, byName(s))
	ev.TID = 1
	leave := *ev
	leave.Name = "f" + returnSuffix
	for range maxCalls {
		for _, next := range []*event.Event{ev, ev, &leave} {
			if err := tr.Event(next, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if one := tr.threads[1]; len(one.open) > maxNested || len(one.calls) > maxCalls || tr.Evicted() == 0 {
		t.Errorf("%d open, %d calls, %d evicted", len(one.open), len(one.calls), tr.Evicted())
	}
}

func TestProbed(t *testing.T) {
	tool, err := Probed([]Place{{Text: "bridge:*"}, {Text: "ip_rcv"}, {Text: "ip.c", Listed: []string{"ip_a", "ip_b*"}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range tool.Events {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "call bridge:*%return bridge:* ip_rcv%return ip_rcv ip.c%return ip.c" {
		t.Error(got)
	}
	for _, bad := range []string{"t:a:b", "f+4", "f%return", "f x", ""} {
		if _, err := Probed([]Place{{Text: bad}}, Options{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
