package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/output"
	"github.com/skprobe/skprobe/internal/session"
)

// runFlags are the flags of everything that shows events. They mean the same
// everywhere.
type runFlags struct {
	pids      []int
	comm      string
	port      []uint16
	lport     []uint16
	rport     []uint16
	addr      []string
	inet      bool
	inet6     bool
	netns     string
	cgroup    string
	where     []string
	with      []string
	count     uint64
	duration  time.Duration
	format    string
	output    string
	timestamp string
	wide      bool
	stack     bool
	ustack    bool
	strict    bool
	verbose   bool
	buffer    int
	backend   string
	layout    layoutFlags
	counts    countFlags
	packets   packetFlags
}

type layoutFlags struct {
	source, btf, vmlinux, profile string
	force                         bool
}

func (f *layoutFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.source, "layout", defaultLayout(), "where struct layouts come from: `"+strings.Join(layoutSources, "|")+"`")
	fs.StringVar(&f.btf, "btf", "", "take type information from this `FILE` (raw BTF, or ELF with .BTF)")
	fs.StringVar(&f.vmlinux, "vmlinux", "", "take layouts from the debug information (DWARF) of this `FILE`")
	fs.StringVar(&f.profile, "profile", "", "take layouts from this `FILE`, made by skprobe offsets --save")
	fs.BoolVar(&f.force, "force-profile", false, "take the profile or vmlinux although it is of another kernel")
}

var layoutSources = []string{"auto", "btf", "dwarf", "profile", "calibrate"}

// defaultLayout is auto; the variable is for tests.
func defaultLayout() string {
	if s := os.Getenv("SKPROBE_LAYOUT"); s != "" {
		return s
	}
	return "auto"
}

func (f *layoutFlags) layout() (session.Layout, error) {
	l := session.Layout{Source: f.source, BTF: f.btf, Vmlinux: f.vmlinux, Profile: f.profile, Force: f.force}
	if !slices.Contains(layoutSources, f.source) {
		return l, usagef("--layout %q: it is one of %s", f.source, strings.Join(layoutSources, ", "))
	}
	if f.source == "profile" && f.profile == "" {
		return l, usagef("--layout profile needs --profile FILE")
	}
	given := ""
	for _, from := range []struct{ source, flag, file string }{
		{"btf", "--btf", f.btf}, {"dwarf", "--vmlinux", f.vmlinux}, {"profile", "--profile", f.profile},
	} {
		switch {
		case from.file == "":
		case given != "":
			return l, usagef("%s and %s exclude each other", given, from.flag)
		case f.source != "auto" && f.source != from.source:
			return l, usagef("--layout %s and %s exclude each other", f.source, from.flag)
		default:
			given = from.flag
		}
	}
	return l, nil
}

// portList is a flag of ports: "53,5353", given more than once if needed.
type portList struct{ to *[]uint16 }

func (p portList) Type() string   { return "PORT" }
func (p portList) String() string { return "" }
func (p portList) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no port: ports are 0 to 65535", word)
		}
		*p.to = append(*p.to, uint16(n))
	}
	return nil
}

func (f *runFlags) register(fs *pflag.FlagSet, letters map[string]string) {
	fs.IntSliceVarP(&f.pids, "pid", "p", nil, "only this process, its threads and the children it makes from now on (`PID`,…)")
	fs.StringVar(&f.comm, "comm", "", "only processes of this `NAME`")
	fs.VarP(portList{&f.port}, "port", letters["port"], "only this port, of either end (`PORT`,…)")
	fs.VarP(portList{&f.lport}, "lport", letters["lport"], "only this local port (`PORT`,…)")
	fs.VarP(portList{&f.rport}, "rport", letters["rport"], "only this remote port (`PORT`,…)")
	fs.StringSliceVar(&f.addr, "addr", nil, "only this address or network, of either end (`CIDR`,…)")
	fs.BoolVarP(&f.inet, "ipv4", "4", false, "only IPv4")
	fs.BoolVarP(&f.inet6, "ipv6", "6", false, "only IPv6")
	fs.StringVar(&f.netns, "netns", "", "only this network namespace: a `PATH`, a pid or an inode number; adds the column netns")
	fs.StringVar(&f.cgroup, "cgroup", "", "only processes in the cgroup of this folder (`PATH`)")
	fs.StringArrayVar(&f.where, "where", nil, "only events for which `EXPR` is true; what can be is filtered in the kernel")
	fs.StringSliceVar(&f.with, "with", nil, "show these columns too, which are there on request (`NAME`,…): netns, cgroup")
	fs.Uint64Var(&f.count, "count", 0, "end after `N` events")
	fs.DurationVar(&f.duration, "duration", 0, "end after this time (`D`: 10s, 5m)")
	fs.StringVar(&f.format, "format", "table", "`table|json|csv`")
	fs.StringVarP(&f.output, "output", "o", "", "write events to `FILE`")
	fs.StringVar(&f.timestamp, "timestamp", string(output.Wall), "first column of the table: `"+timestampNames("|")+"`")
	fs.BoolVar(&f.wide, "wide", false, "show all columns in the table")
	fs.BoolVar(&f.stack, "stack", false, "show the kernel's stack of each event")
	fs.BoolVar(&f.ustack, "ustack", false, "show the program's stack of each event, as far as its frame pointers lead")
	fs.BoolVar(&f.strict, "strict", false, "exit status 4 if an event was lost")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "say what is probed, and what is filtered where")
	fs.IntVar(&f.buffer, "buffer", 512, "size of the ring of each CPU in `KiB`")
	fs.StringVar(&f.backend, "backend", defaultBackend(), "how records are read: `auto|perf|tracefs`; auto is perf, and tracefs where perf is refused")
	f.counts.register(fs)
	f.layout.register(fs)
}

// defaultBackend is what --backend is if it is not given. Tests choose another.
func defaultBackend() string {
	if b := os.Getenv("SKPROBE_BACKEND"); b != "" {
		return b
	}
	return session.Backends[0]
}

func timestampNames(sep string) string {
	var names []string
	for _, t := range output.Timestamps {
		names = append(names, string(t))
	}
	return strings.Join(names, sep)
}

// config is what the flags say, for a tool.
func (f *runFlags) config(a *app, t *event.Tool, program []string) (*session.Config, error) {
	layout, err := f.layout.layout()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(output.Formats, f.format) {
		return nil, usagef("--format %q: it is one of %s", f.format, strings.Join(output.Formats, ", "))
	}
	if !slices.Contains(output.Timestamps, output.Timestamp(f.timestamp)) {
		return nil, usagef("--timestamp %q: it is one of %s", f.timestamp, timestampNames(", "))
	}
	if !slices.Contains(session.Backends, f.backend) {
		return nil, usagef("--backend %q: it is one of %s", f.backend, strings.Join(session.Backends, ", "))
	}
	switch {
	case f.duration < 0:
		return nil, usagef("--duration %v: it cannot be negative", f.duration)
	case f.buffer < 4 || f.buffer > 1<<20:
		return nil, usagef("--buffer %d: it is 4 to 1048576 KiB", f.buffer)
	case len(program) > 0 && len(f.pids) > 0:
		return nil, usagef("--pid and a program to run exclude each other")
	case f.cgroup != "" && (len(program) > 0 || len(f.pids) > 0):
		return nil, usagef("--cgroup excludes --pid and a program to run")
	}
	cfg := &session.Config{
		Tool: t, Layout: layout, With: f.with, PIDs: f.pids, Cgroup: f.cgroup, Program: program,
		Format: f.format, Output: f.output, Wide: f.wide, Timestamp: output.Timestamp(f.timestamp),
		Count: f.count, Duration: f.duration, Stack: f.stack, UserStack: f.ustack, Strict: f.strict, Verbose: f.verbose,
		RingSize: f.buffer << 10, Backend: f.backend, Stdout: a.stdout, Stderr: a.stderr,
	}
	if cfg.Counting, err = f.counts.counting(t.Counting); err != nil {
		return nil, err
	}
	if cfg.Where, err = f.conditions(t); err != nil {
		return nil, err
	}
	if err := f.packets.apply(cfg); err != nil {
		return nil, err
	}
	if f.netns != "" {
		inode, err := netnsInode(f.netns)
		if err != nil {
			return nil, err
		}
		cfg.Columns = append(cfg.Columns, "netns")
		cfg.Where = append(cfg.Where, fmt.Sprintf("netns == %d", inode))
	}
	return cfg, nil
}

// conditions are the filter flags in the words of --where, and --where itself.
func (f *runFlags) conditions(t *event.Tool) ([]string, error) {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(f.comm) > 15 {
		return nil, usagef("--comm %q: the kernel keeps 15 bytes of a name; give %q", f.comm, f.comm[:15])
	}
	if f.comm != "" {
		add("comm == %q", f.comm)
	}
	ends, err := f.endConditions(t)
	if err != nil {
		return nil, err
	}
	return slices.Concat(all, ends, f.where), nil
}

// netnsInode finds a network namespace by path, process or inode number. A
// number that is a process is taken for one; inodes of namespaces are above
// all pids.
func netnsInode(s string) (uint64, error) {
	path := s
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if n >= 4026531840 {
			return n, nil
		}
		path = fmt.Sprintf("/proc/%d/ns/net", n)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, usagef("--netns %s: %v; give a path (/run/netns/x), a pid or an inode number", s, err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// splitProgram takes the program after "--".
func splitProgram(cmd *cobra.Command, args []string) (own, program []string, err error) {
	dash := cmd.ArgsLenAtDash()
	if dash < 0 {
		return args, nil, nil
	}
	if dash == len(args) {
		return nil, nil, usagef("a program is needed after --")
	}
	return args[:dash], args[dash:], nil
}
