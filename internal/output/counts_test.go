package output

import (
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/internal/aggregate"
	"github.com/skprobe/skprobe/internal/event"
)

var countsSchema = &event.Schema{Tool: "test", Task: true, Columns: []event.Column{
	{Name: "raddr", Kind: event.Addr}, {Name: "size", Kind: event.Size}, {Name: "took", Kind: event.Duration}, {Name: "duration_ms", Kind: event.Millis}}}

// counted is what a sink writes of some events, in two rounds, the second of which has none.
func counted(t *testing.T, format string, repeated bool, c event.Counting) string {
	t.Helper()
	table, err := aggregate.New(countsSchema, c)
	if err != nil {
		t.Fatal(err)
	}
	var total *aggregate.Table
	if c.Total {
		if total, err = aggregate.New(countsSchema, c); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	s, err := NewCounts(format, &out, table, total, repeated, Options{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	for i, size := range []uint64{40, 70, 70, 100, 1000} {
		ev := &event.Event{Task: true, PID: 7, Comm: "di\x1bg", Values: []event.Value{
			{Set: i > 0, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 2)})}, {Set: true, Num: size}, {Set: true, Num: size * 1000}, {Set: true, Num: size}}}
		if err := s.Event(ev); err != nil {
			t.Fatal(err)
		}
	}
	const wall, mono = 1_700_000_000_123_456_789, 5_000_000_000
	if repeated {
		s.Show(wall, mono)
		s.Show(wall+1e9, mono+1e9)
	}
	if err := s.End(wall+2e9, mono+2e9); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCounts(t *testing.T) {
	size := []event.Sum{{Field: "size", Name: "sum_size"}}
	for _, c := range []struct {
		name, format string
		repeated     bool
		counting     event.Counting
		want         string
	}{
		{"table", "table", false, event.Counting{By: []string{"comm", "raddr"}, Sums: append(size, event.Sum{Field: "took", Name: "sum_took"})}, `
COMM    RADDR    COUNT SUM_SIZE SUM_TOOK
di\x1bg 10.0.0.0     2     1070   1.07ms
di\x1bg 10.0.0.1     2      170    170µs
di\x1bg -            1       40     40µs
`},
		{"repeated table", "table", true, event.Counting{By: []string{"raddr"}, Top: 1}, `
22:13:20.123456
RADDR    COUNT
10.0.0.1     2

22:13:21.123456
RADDR    COUNT
`},
		{"one row", "table", false, event.Counting{Sums: size}, `
COUNT SUM_SIZE
    5     1280
`},
		{"lines", "table", true, event.Counting{Sums: size}, `
TIME               COUNT   SUM_SIZE
22:13:20.123456        5       1280
22:13:21.123456        0          0
`},
		{"table of all", "table", true, event.Counting{By: []string{"raddr"}, Top: 1, Total: true}, `
22:13:20.123456
RADDR    COUNT
10.0.0.1     2

22:13:21.123456
RADDR    COUNT

total
RADDR    COUNT
10.0.0.1     2
`},
		{"lines, and of all", "table", true, event.Counting{Sums: size, Total: true}, `
TIME               COUNT   SUM_SIZE
22:13:20.123456        5       1280
22:13:21.123456        0          0
total                  5       1280
`},
		{"json of all", "json", true, event.Counting{Sums: size, Total: true}, `
{"time":"2023-11-14T22:13:20.123456789Z","count":5,"sum_size":1280}
{"time":"2023-11-14T22:13:21.123456789Z","count":0,"sum_size":0}
{"time":"2023-11-14T22:13:22.123456789Z","count":5,"sum_size":1280,"total":true}
`},
		{"csv of all", "csv", true, event.Counting{Sums: size, Total: true}, `
time,count,sum_size,total
2023-11-14T22:13:20.123456789Z,5,1280,
2023-11-14T22:13:21.123456789Z,0,0,
2023-11-14T22:13:22.123456789Z,5,1280,true
`},
		{"histogram", "table", false, event.Counting{Hist: "size", Sums: size}, `
count 5, sum_size 1280, size p50 71 p90 1000 p99 1000 max 1000
     size                : count     distribution
        32 -> 63         : 1        |*************                           |
        64 -> 127        : 3        |****************************************|
       128 -> 255        : 0        |                                        |
       256 -> 511        : 0        |                                        |
       512 -> 1023       : 1        |*************                           |
`},
		{"histograms of durations", "table", true, event.Counting{By: []string{"raddr"}, Hist: "took", Top: 1}, `
22:13:20.123456
raddr 10.0.0.1, count 2, took p50 71.679µs p90 100µs p99 100µs max 100µs
     took                : count     distribution
  65.536µs -> 131.071µs  : 2        |****************************************|

22:13:21.123456
`},
		{"histogram of milliseconds", "table", false, event.Counting{Hist: "duration_ms"}, `
count 5, duration_ms p50 0.071 p90 1.000 p99 1.000 max 1.000
     duration_ms         : count     distribution
     0.032 -> 0.063      : 1        |*************                           |
     0.064 -> 0.127      : 3        |****************************************|
     0.128 -> 0.255      : 0        |                                        |
     0.256 -> 0.511      : 0        |                                        |
     0.512 -> 1.023      : 1        |*************                           |
`},
		{"json", "json", true, event.Counting{By: []string{"pid", "comm", "raddr"}, Sums: size, Top: 1, Order: "raddr", Ascending: true}, `
{"time":"2023-11-14T22:13:20.123456789Z","pid":7,"comm":"di\u001bg","count":1,"sum_size":40}
`},
		{"json histogram", "json", false, event.Counting{By: []string{"raddr"}, Hist: "duration_ms", Top: 1}, `
{"time":"2023-11-14T22:13:22.123456789Z","raddr":"10.0.0.1","count":2,"hist_duration_ms":{"count":2,"p50":0.071,"p90":0.100,"p99":0.100,"max":0.100,"buckets":[{"from":0.064,"to":0.127,"count":2}]}}
`},
		{"csv", "csv", false, event.Counting{By: []string{"comm", "raddr"}, Sums: size, Hist: "size"}, `
time,comm,raddr,count,sum_size,p50_size,p90_size,p99_size,max_size,hist_size,others
2023-11-14T22:13:22.123456789Z,di\x1bg,10.0.0.0,2,1070,71,1000,1000,1000,64..127:1 128..255:0 256..511:0 512..1023:1,
2023-11-14T22:13:22.123456789Z,di\x1bg,10.0.0.1,2,170,71,100,100,100,64..127:2,
2023-11-14T22:13:22.123456789Z,di\x1bg,,1,40,40,40,40,40,32..63:1,
`},
		{"csv of one row", "csv", true, event.Counting{}, `
time,count
2023-11-14T22:13:20.123456789Z,5
2023-11-14T22:13:21.123456789Z,0
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := counted(t, c.format, c.repeated, c.counting)
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), got); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, got)
			}
			for line := range strings.Lines(got) {
				if c.format == "json" && !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %s", line)
				}
			}
			if c.format == "csv" {
				if _, err := csv.NewReader(strings.NewReader(got)).ReadAll(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What has no row is told as such in every format.
func TestCountsOthers(t *testing.T) {
	for format, want := range map[string]string{
		"table": "(others)     3",
		"json":  `,"count":3,"others":true}`,
		"csv":   ",,3,true",
	} {
		table, err := aggregate.New(countsSchema, event.Counting{By: []string{"size"}, Top: 1})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		s, err := NewCounts(format, &out, table, nil, false, Options{Location: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		ev := &event.Event{Values: make([]event.Value, 4)}
		for i := range aggregate.MaxKeys + 3 {
			ev.Values[1] = event.Value{Set: true, Num: uint64(i)}
			s.Event(ev)
		}
		if err := s.End(0, 0); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); !strings.HasSuffix(lines[len(lines)-1], want) {
			t.Errorf("%s: %q, want %q at the end", format, lines, want)
		}
	}
}

// On a screen each table takes the place of the last, cut to what has room.
func TestCountsScreen(t *testing.T) {
	table, err := aggregate.New(countsSchema, event.Counting{By: []string{"comm", "size"}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s, err := NewCounts("table", &out, table, nil, true, Options{Location: time.UTC, Screen: func() (int, int) { return 4, 12 }})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		for size := range uint64(5) {
			for range 5 - size {
				s.Event(&event.Event{Task: true, Comm: "µé", Values: []event.Value{{}, {Set: true, Num: size}, {}, {}}})
			}
		}
		out.Reset()
		s.Show(int64(round)*1e9, 0)
		want := "\x1b[H00:00:0" + string(rune('0'+round)) + ".000\x1b[K\nCOMM SIZE CO\x1b[K\nµé      0   \x1b[K\n\x1b[J"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
