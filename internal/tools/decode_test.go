package tools_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/tools"
	"github.com/skprobe/skprobe/testdata/kernels"
)

// A decoder keeps what it found out about the records before. So an event that
// all probes of a tool fill in turn must be what a new one is after one
// record, whatever came before: other pointers, other families, other probes,
// the same again. What has one edition has the same values.
func TestDecodeRemembersNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, k := range kernels.Recorded(t) {
		for _, tool := range byFunctions() {
			p, q := compiled(t, k, tool), compiled(t, k, tool)
			shared := p.NewEvent()
			records := map[*event.Half][]byte{}
			editions := map[uint64][]string{}
			n, numbered, repeats, partial := 0, 0, 0, 0
			for range 1000 {
				if random.IntN(3) == 0 {
					n = random.IntN(len(p.Probes))
				}
				c := p.Probes[n]
				for i, h := range c.Halves() {
					record := randomRecord(random, h.Plan.Predict(c.IsReturn(h)))
					if have := records[h]; have != nil && random.IntN(3) > 0 {
						record = slices.Clone(have) // the decoder must not rely on the place
						if random.IntN(2) == 0 {
							record[random.IntN(len(record))]++
						}
					}
					records[h] = record
					alone := q.NewEvent()
					ok, err := c.Decode(h, 1, record, shared)
					okAlone, errAlone := q.Probes[n].Decode(q.Probes[n].Halves()[i], 1, record, alone)
					if err != nil || errAlone != nil {
						t.Fatal(err, errAlone)
					}
					diff := cmp.Diff(append(values(q, alone), alone.Name, fmt.Sprint(alone.Task)), append(values(p, shared), shared.Name, fmt.Sprint(shared.Task)))
					if ok != okAlone || ok && diff != "" {
						t.Fatalf("%s on %s: %s: %v, alone %v (-alone +among others)\n%s", tool.Name, k.Name, c.Symbol, ok, okAlone, diff)
					}
					if !ok || shared.Edition == 0 {
						continue
					}
					numbered++
					now := values(p, shared)
					if have, again := editions[shared.Edition]; again {
						if repeats++; !slices.Equal(have, now) {
							t.Fatalf("%s on %s: %s: edition %d was %s and is %s", tool.Name, k.Name, c.Symbol, shared.Edition, have, now)
						}
					}
					if have, known := editions[shared.Edition-1]; known {
						for i := range p.Schema.Columns {
							if shared.Changed>>min(i, 63)&1 != 0 {
								continue
							}
							if partial++; have[i] != now[i] {
								t.Fatalf("%s on %s: %s: edition %d has %s, and had %s before", tool.Name, k.Name, c.Symbol, shared.Edition, now[i], have[i])
							}
						}
					}
					editions[shared.Edition] = now
				}
			}
			if numbered > 200 && (repeats == 0 || partial == 0) || tool.Name == "udp" && numbered == 0 {
				t.Errorf("%s on %s: of %d events %d were known again, and of others %d columns", tool.Name, k.Name, numbered, repeats, partial)
			}
		}
	}
}

// Pointers that are nil now and then cost no memory: what is to be done for each
// set of them is found out once.
func TestDecodeAllocatesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	k := kernels.Named(t, "6.1-amd64")
	for _, tool := range byFunctions() {
		for _, c := range compiled(t, k, tool).Probes {
			if len(c.Halves()) > 1 {
				continue // pairing remembers threads
			}
			var records [][]byte
			h := c.Halves()[0]
			for range 200 {
				records = append(records, randomRecord(random, h.Plan.Predict(c.IsReturn(h))))
			}
			ev := compiled(t, k, tool).NewEvent()
			if n := testing.AllocsPerRun(3, func() {
				for _, r := range records {
					if _, err := c.Decode(h, 1, r, ev); err != nil {
						t.Fatal(err)
					}
				}
			}); n > 0 {
				t.Errorf("%s: %s: %v allocations for %d records", tool.Name, c.Symbol, n, len(records))
			}
		}
	}
}

// byFunctions are the tools that can do without tracepoints, of whose records
// nothing is recorded.
func byFunctions() []*event.Tool {
	return slices.DeleteFunc(tools.All(), func(tool *event.Tool) bool {
		return slices.ContainsFunc(tool.Events, func(src event.Source) bool {
			return slices.ContainsFunc(src.Probes, func(p event.Probe) bool { return p.Tracepoint != "" && len(p.Else) == 0 && !p.Optional })
		})
	})
}

// compiled makes a tool ready to decode the records of a kernel.
func compiled(t *testing.T, k kernels.Kernel, tool *event.Tool) *event.Program {
	p, err := event.Compile(tool, nil, tool.OnRequest(), event.Kernel{Arch: fetchargs.Arch(k.ID.Arch), Types: k.Types, Dialect: fetchargs.Dialect69,
		Choose: func(funcs []string) (string, error) { return firstOf(k, funcs) }})
	if err != nil {
		t.Fatalf("%s on %s: %v", tool.Name, k.Name, err)
	}
	for _, c := range p.Probes {
		if err := c.Build(""); err != nil {
			t.Fatal(err)
		}
		for _, h := range c.Halves() {
			if err := h.Bind(h.Plan.Predict(c.IsReturn(h))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// firstOf chooses among functions as the types tell. One of a module is taken to
// be there although nothing is known of it.
func firstOf(k kernels.Kernel, funcs []string) (string, error) {
	var err error
	for _, f := range funcs {
		if _, err = k.Types.FuncNamed(f); err == nil {
			return f, nil
		}
	}
	if _, name, ok := strings.Cut(funcs[0], ":"); ok {
		return name, nil
	}
	return "", err
}

// randomRecord makes a record in which pointers are often kernel addresses and
// other words are often small, so that families and states come up.
func randomRecord(random *rand.Rand, places []fetchargs.ArgPlace) []byte {
	size := 24
	for _, p := range places {
		size = max(size, p.Offset+p.Size)
	}
	b := make([]byte, size)
	for i := 16; i < size; i++ {
		if random.IntN(3) == 0 {
			b[i] = byte(random.IntN(12))
		}
	}
	for _, p := range places {
		if p.Size == 8 && random.IntN(4) > 0 {
			binary.LittleEndian.PutUint64(b[p.Offset:], 0xffff888000000000|random.Uint64N(1<<30))
		}
		if p.Size >= 24 && random.IntN(2) == 0 {
			b[p.Offset+16], b[p.Offset+17] = []byte{2, 10}[random.IntN(2)], 0 // skc_family
		}
	}
	return b
}

// values shows an event's values as text.
func values(p *event.Program, ev *event.Event) []string {
	var all []string
	for i, c := range p.Schema.Columns {
		text := c.Name
		if v := ev.Values[i]; v.Set {
			text = fmt.Sprintf("%s: %d %v %q", c.Name, v.Num, v.Addr, v.Text)
		}
		all = append(all, text)
	}
	return all
}
