// Package session is one run of a tool: find the kernel's layouts, compile,
// attach, read, filter, write, and leave nothing behind.
package session

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/skprobe/skprobe/internal/callgraph"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/output"
	"github.com/skprobe/skprobe/kprobe"
)

// A Layout says where the layouts of kernel structs come from.
type Layout struct {
	Source  string // auto, btf, dwarf or profile
	BTF     string // file, "" for the kernel's own
	Vmlinux string // file with DWARF, "" for the installed one
	Profile string // file
	Force   bool   // take a profile or vmlinux of another kernel
}

// A Graph is a call graph to show.
type Graph struct {
	// Places are functions, or patterns of functions.
	Places []string
	Method string // one of GraphMethods
	// Args and Retval show arguments and results.
	Args, Retval bool
	callgraph.Options
}

// Ways to a call graph.
const (
	GraphAuto   = "auto"
	GraphTracer = "tracer"
	GraphProbes = "probes"
)

// GraphMethods are the ways to a call graph.
var GraphMethods = []string{GraphAuto, GraphTracer, GraphProbes}

// Config is what to run and how.
type Config struct {
	Tool   *event.Tool
	Graph  *Graph                   // if not nil, makes Tool
	Events func(*event.Source) bool // nil for all
	// Settings are the values of the tool's options.
	Settings event.Settings
	Columns  []string // columns that are fetched only on request
	With     []string // such columns too; one that the tool does not have is an error
	Where    []string // conditions that all must hold
	// Counting is how events are counted; nil: they are shown one by one.
	Counting *event.Counting
	Layout   Layout
	// Verify reads the kernel's symbols before a function is probed, so that
	// an ambiguous or missing one is told by name.
	Verify bool

	PIDs    []int    // processes to which events are limited
	Cgroup  string   // folder of the cgroup to which they are limited
	Program []string // run this and trace it and its children only

	Format    string
	Output    string // file, "" for Stdout
	Packets   string // write packets to this file in pcapng, "-" for Stdout, "" for not
	Print     bool   // write lines beside Packets
	Snap      int    // bytes of a packet that are taken, 0 for what the tool takes
	Wide      bool
	Timestamp output.Timestamp
	Count     uint64 // stop after so many events, 0 for never
	Duration  time.Duration
	Stack     bool
	UserStack bool
	Strict    bool
	Verbose   bool
	RingSize  int
	Backend   string // one of Backends, "" for the first

	Stdout *os.File
	Stderr io.Writer

	traced []*pattern // by the function_graph tracer
}

// Backends are the ways in which records come from the kernel.
var Backends = []string{kprobe.Auto.String(), kprobe.Perf.String(), kprobe.Tracefs.String()}

// backend is the way that was asked for.
func (cfg *Config) backend() (kprobe.Backend, error) {
	if cfg.Backend == "" {
		return kprobe.Auto, nil
	}
	b, err := kprobe.ParseBackend(cfg.Backend)
	if err != nil {
		return b, usage("backend: %v", err)
	}
	return b, nil
}

// checkWith finds columns that were asked for and are not there.
func (cfg *Config) checkWith(s *event.Schema) error {
	if i := slices.IndexFunc(cfg.With, func(name string) bool { return s.Column(name) < 0 }); i >= 0 {
		known := cfg.Tool.OnRequest()
		if slices.Contains(known, cfg.With[i]) {
			return refused("", fmt.Errorf("--with %s: this kernel does not have it", cfg.With[i]))
		}
		return usage("--with: no column %q on request here; there are: %s", cfg.With[i], cmp.Or(strings.Join(known, " "), "none"))
	}
	return nil
}

// shorten keeps what is long out of messages.
func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// filter is what all conditions together say.
func (cfg *Config) filter(s *event.Schema) (*filter.Filter, error) {
	var all []*filter.Filter
	for _, where := range cfg.Where {
		if strings.TrimSpace(where) == "" {
			continue
		}
		f, err := filter.Parse(where, s)
		if err != nil {
			return nil, fmt.Errorf("condition %q: %w", shorten(where), err)
		}
		all = append(all, f)
	}
	return filter.And(all...), nil
}
