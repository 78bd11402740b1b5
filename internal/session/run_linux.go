package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/output"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// errEnough ends a run that has what it was asked for.
var errEnough = errors.New("enough")

// Run runs a tool until it is told to end: by a signal, by the end of the
// traced program, by count or duration, or because nobody reads its output.
// The status is that of the traced program or one of the Exit constants; an
// [*Error] has its own.
func Run(ctx context.Context, cfg *Config) (status int, err error) {
	// A reader that went away must not end us by SIGPIPE: probes would
	// remain. To ignore the signal would be inherited by a traced program.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	if err := checkCgroup(cfg.Cgroup); err != nil {
		return 0, err
	}
	tfs, err := openTracefs()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tfs.Close()) }()
	sweep(tfs, cfg.Stderr)
	layout, err := OpenLayout(cfg.Layout)
	if err != nil {
		return 0, err
	}
	if cfg.Graph != nil {
		if cfg, err = cfg.graphed(tfs, layout); err != nil {
			return 0, err
		}
	}
	a, err := attach(cfg, tfs, layout)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	r := &run{cfg: cfg, tfs: tfs, attached: a, event: a.program.NewEvent(), cgroups: newCgroups(&a.program.Schema), stacks: stackCutter{symbol: a.program.Schema.Symbol}}
	return r.run(ctx, func() {
		if err := layout.Save(); err != nil && cfg.Verbose {
			fmt.Fprintln(cfg.Stderr, "skprobe: layouts are not kept for the next run:", err)
		}
	})
}

// A run is the state of a running tool.
type run struct {
	cfg      *Config
	tfs      *tracefs.FS
	attached *attached
	event    *event.Event
	reader   *kprobe.Reader
	sink     output.Sink
	counts   *output.Counts // where events are counted, one of those in sink
	packets  output.Sink    // that of a packet file, one of those in sink; nil for none
	wall     int64          // what to add to a record's time to have it since 1970
	measured uint64         // when that was measured
	summary  output.Summary
	rest     *filter.Program // for what is shown of the present record
	family   bool            // only what belongs to the reader's family is shown
	cgroup   *cgroup         // only what belongs to its processes is shown; nil for no limit
	cgroups  *cgroups        // nil where their column is not asked for
	stacks   stackCutter
	programs programs // whose stacks are shown
	damaged  uint64
	lastErr  error // of a damaged record
	warned   int   // how many warnings of the reader were told
}

func (r *run) run(ctx context.Context, save func()) (status int, err error) {
	cfg := r.cfg
	closeOut, err := r.openSinks()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closeOut()) }()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	child, err := startProgram(cfg.Program)
	if err != nil {
		return 0, err
	}
	defer child.kill()
	if err := r.open(child); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.reader.Close()) }()
	r.clock()
	// Reading events leaves no garbage, starting does: it is collected now, not when the first events come.
	runtime.GC()
	if child == nil || r.attached.everywhere {
		if err := r.reader.Enable(); err != nil {
			return 0, refused("", err)
		}
	}
	if err := r.sink.Flush(); err != nil && !errors.Is(err, syscall.EPIPE) {
		return 0, err
	}
	r.announce()
	save()
	if cfg.Duration > 0 {
		timer := time.AfterFunc(cfg.Duration, cancel)
		defer timer.Stop()
	}
	watchReader(cfg, cancel)
	ended := child.release(ctx, cancel)

	err = r.reader.Read(ctx, r.record)
	derr := r.reader.Disable()
	if err == nil && derr == nil {
		err = r.reader.Drain(r.record)
	}
	if f, ok := r.attached.reduce.(event.Finisher); ok && err == nil {
		r.rest = r.attached.shown
		err = f.Finish(r.now(), r.showReduced)
	}
	status = ended()
	return status, errors.Join(r.finish(err), derr)
}

// open opens the probes for reading, limited to the processes asked for.
func (r *run) open(child *program) error {
	backend, err := r.cfg.backend()
	if err != nil {
		return err
	}
	o := kprobe.ReaderOptions{Backend: backend, Stack: r.cfg.Stack, UserStack: r.cfg.UserStack, RingSize: r.cfg.RingSize, Batch: r.batch}
	switch {
	// What happens to a process's sockets and packets happens in the context of
	// others too: such tools must see all, and look at the owners.
	case r.attached.everywhere && child != nil:
		o.Family = []int{child.pid()}
	case r.attached.everywhere && len(r.cfg.PIDs) > 0:
		if _, err := threadsOf(r.cfg.PIDs); err != nil {
			return err
		}
		o.Family = r.cfg.PIDs
	case r.attached.everywhere && r.cfg.Cgroup != "":
		r.cgroup, err = newCgroup(r.cfg.Cgroup)
		if err != nil {
			return err
		}
	case child != nil:
		o.PIDs, o.Inherit, o.EnableOnExec = []int{child.pid()}, true, true
	case len(r.cfg.PIDs) > 0:
		threads, err := threadsOf(r.cfg.PIDs)
		if err != nil {
			return err
		}
		o.PIDs, o.Inherit = threads, true
	default:
		o.Cgroup = r.cfg.Cgroup
	}
	r.family = o.Family != nil
	if r.cfg.traced != nil {
		o.Tracer, o.Traced, o.Backend = callTracer, tracerFilters(r.cfg.traced), kprobe.Tracefs
		o.TracedArgs = r.cfg.Graph.Args
	} else if filters := r.attached.traced.filters; filters != nil {
		o.Tracer, o.Traced, o.Backend = entryTracer, tracerFilters(filters), kprobe.Tracefs
	}
	if r.counts != nil {
		o.Every, o.Tick = r.cfg.Counting.Every, r.tick
	}
	var sources []kprobe.Source
	for _, s := range r.attached.sources {
		sources = append(sources, kprobe.Source{Probe: s.probe, Filter: s.half.Filter, CPUs: s.cpus})
	}
	if r.reader, err = kprobe.NewReader(sources, o); err != nil {
		do := ""
		if o.Cgroup != "" && errors.Is(err, syscall.ENOENT) {
			do = "has the cgroup a perf_event controller? A new one has it once some controller is written to cgroup.subtree_control above it"
		}
		return refused(do, err)
	}
	return nil
}

// checkCgroup tells a folder that is no cgroup's.
func checkCgroup(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return usage("--cgroup: %v", err)
	}
	if _, err := os.Stat(dir + "/cgroup.procs"); err != nil {
		return usage("--cgroup %s: this is no folder of a cgroup: it has no cgroup.procs", dir)
	}
	return nil
}

// record takes a record of the rings.
func (r *run) record(rec *kprobe.Record) error {
	s := &r.attached.sources[rec.Source]
	ev := r.event
	ev.Mono, ev.CPU, ev.Thread = rec.Time, rec.CPU, event.Thread(rec.Raw, rec.CPU)
	ok, err := s.compiled.Decode(s.half, ev.Thread, rec.Raw, ev)
	if err != nil {
		r.damaged++
		r.lastErr = err
		return nil
	}
	if !ok {
		return nil
	}
	ev.PID, ev.TID, ev.Comm, ev.Stack = rec.PID, rec.TID, rec.Comm, rec.Stack
	if rec.PID == noThread {
		ev.Task = false
	}
	if ev.UserStack = nil; ev.Task && len(rec.UserStack) > 0 { // in softirq it is a bystander's
		ev.UserStack = r.programs.frames(rec.PID, rec.UserStack)
	}
	if s.compiled.EventProbe {
		ev.Stack = r.stacks.cut(ev.Stack)
	}
	if owners := r.attached.owners; owners != nil {
		owners.Event(s.compiled, ev, rec.PID != noThread)
	}
	if r.cgroups != nil && ev.Task {
		r.cgroups.of(ev.PID, ev.Mono) // before the process ends, whatever becomes of the event
	}
	r.rest = s.rest
	switch reduce := r.attached.reduce; {
	case reduce != nil:
		return reduce.Event(ev, r.showReduced)
	case s.compiled.Hidden:
		return nil
	}
	return r.show(ev)
}

// showReduced shows what a tool's Reduce makes, if it is among the events that
// were asked for.
func (r *run) showReduced(ev *event.Event) error {
	if !slices.Contains(r.attached.program.Schema.Events, ev.Name) {
		return nil
	}
	return r.show(ev)
}

// isOurs tells whether an event belongs to the processes to which the run is
// limited.
func (r *run) isOurs(ev *event.Event) bool {
	switch {
	case r.family:
		return ev.Task && r.reader.IsFamily(ev.PID)
	case r.cgroup != nil:
		return ev.Task && r.cgroup.has(ev.PID)
	}
	return true
}

// show writes an event that the filter lets through.
func (r *run) show(ev *event.Event) error {
	ev.Wall = int64(ev.Mono) + r.wall
	if r.cgroups != nil {
		r.cgroups.set(ev)
	}
	if !r.isOurs(ev) || !r.rest.Match(ev) {
		return nil
	}
	r.summary.Events++
	if err := r.sink.Event(ev); err != nil {
		return err
	}
	if r.summary.Events == r.cfg.Count {
		return errEnough
	}
	return nil
}

// noThread is the number that perf gives for a thread that is ending.
const noThread = ^uint32(0)

// batch hands on what one look at the rings gave.
func (r *run) batch() error {
	r.clock()
	return r.sink.Flush()
}

// finish closes the sink and says what was lost.
func (r *run) finish(err error) error {
	if errors.Is(err, errEnough) {
		err = nil
	}
	r.summary.Lost = r.reader.Lost()
	missed, unclear := r.attached.missed(r.tfs)
	r.summary.Missed = missed
	if cerr := r.lastCounts(); err == nil {
		err = cerr
	}
	if cerr := r.sink.Close(r.summary); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.EPIPE) {
		err = nil // whoever read has enough
	}
	w := r.cfg.Stderr
	fmt.Fprintln(w, r.summary)
	if unclear > 0 && r.cfg.Verbose {
		fmt.Fprintf(w, "%d faults of fetched pointers, or hits that were missed: this kernel counts them together\n", unclear)
	}
	gaps := r.warn() // what came up meanwhile is about what could not be seen
	for _, s := range r.attached.sources {
		if hits, entries := s.compiled.Unpaired(); s.compiled.IsReturn(s.half) && hits+entries > 0 && r.cfg.Verbose {
			what := "returns"
			if s.half == s.compiled.Left {
				what = "hits"
			}
			fmt.Fprintf(w, "%s: %d %s without their entry, %d entries given up\n", s.compiled.Symbol, hits, what, entries)
		}
	}
	if n := r.attached.evicted(); n > 0 {
		fmt.Fprintf(w, "skprobe: warning: %d things were forgotten because there were too many at a time; what is known of them is missing\n", n)
	}
	r.attached.warnBeyond(w)
	r.sayWithout()
	if r.damaged > 0 {
		fmt.Fprintf(w, "skprobe: warning: %d damaged records, the last: %v\n", r.damaged, r.lastErr)
	}
	if err == nil && r.cfg.Strict && (!r.summary.Complete() || r.damaged > 0 || gaps) {
		err = &Error{Status: ExitLost, Err: errors.New("events were lost")}
	}
	return err
}
