// Package decode holds skprobe's decoder against that of another program, on records that a kernel wrote.
package decode

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/tools"
	"github.com/skprobe/skprobe/testdata/kernels"
	"github.com/skprobe/skprobe/tracefs"
)

// What bench/record recorded: 64 sends of load -vary 64, each to another port and one byte longer than the one before.
//
//go:embed testdata/udp_sendmsg.json
var recorded []byte

const firstPort, firstSize = 9, 64

type recording struct {
	format  *tracefs.Format
	args    string // of the definition
	records [][]byte
}

func load(t testing.TB) *recording {
	t.Helper()
	var file struct {
		Definition, Format string
		Records            []string
	}
	if err := json.Unmarshal(recorded, &file); err != nil {
		t.Fatal(err)
	}
	r := &recording{}
	var err error
	if r.format, err = tracefs.ParseFormat(strings.NewReader(file.Format)); err != nil {
		t.Fatal(err)
	}
	_, r.args, _ = strings.Cut(file.Definition, " udp_sendmsg ")
	for _, text := range file.Records {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r.records = append(r.records, b)
	}
	return r
}

// offset is where an argument lies in the records.
func (r *recording) offset(t testing.TB, name string) int {
	t.Helper()
	f := r.format.Field(name)
	if f == nil {
		t.Fatalf("the recorded format has no field %s", name)
	}
	return f.Offset
}

// skprobe compiles the udp tool's probe for the kernel that was recorded.
func (r *recording) skprobe(t testing.TB) (*event.Compiled, *event.Program) {
	t.Helper()
	k := kernels.Named(t, "6.1-amd64")
	var places []fetchargs.ArgPlace
	for _, f := range r.format.Fields {
		places = append(places, fetchargs.ArgPlace{Name: f.Name, Offset: f.Offset, Size: f.Size})
	}
	for _, tool := range tools.All() {
		if tool.Name != "udp" {
			continue
		}
		p, err := event.Compile(tool, nil, nil, event.Kernel{Arch: fetchargs.Arch(k.ID.Arch), Types: k.Types, Dialect: fetchargs.Dialect53,
			Choose: func(funcs []string) (string, error) { return funcs[0], nil }})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Probes {
			if c.Symbol != "udp_sendmsg" {
				continue
			}
			if err := c.Build(""); err != nil {
				t.Fatal(err)
			}
			var args []string
			for _, a := range c.Entry.Plan.Args {
				args = append(args, a.String())
			}
			if got := strings.Join(args, " "); got != r.args {
				t.Fatalf("the udp tool now fetches\n%s\nand this was recorded with\n%s\nMake the recording anew: see docs/performance.md.", got, r.args)
			}
			if err := c.Entry.Bind(places); err != nil {
				t.Fatal(err)
			}
			return c, p
		}
	}
	t.Fatal("no probe of udp_sendmsg")
	return nil, nil
}

// What is measured must be right.
func TestSkprobe(t *testing.T) {
	r := load(t)
	c, p := r.skprobe(t)
	ev := p.NewEvent()
	for i, record := range r.records {
		if ok, err := c.Decode(c.Entry, 1, record, ev); !ok || err != nil {
			t.Fatal(ok, err)
		}
		value := func(name string) event.Value { return ev.Values[p.Schema.Column(name)] }
		if a := value("raddr").Addr; a != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("record %d: raddr %v", i, a)
		}
		if n := value("rport").Num; n != uint64(firstPort+i) {
			t.Errorf("record %d: rport %d", i, n)
		}
		if n := value("size").Num; n != uint64(firstSize+i) {
			t.Errorf("record %d: size %d", i, n)
		}
	}
}
