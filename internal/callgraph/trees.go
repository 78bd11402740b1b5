package callgraph

import (
	"slices"

	"github.com/skprobe/skprobe/internal/event"
)

// Limits of what is remembered.
const (
	maxThreads = 16384
	maxNested  = 512   // calls within each other
	maxCalls   = 50000 // of a tree
)

// A call is one node of a tree.
type call struct {
	function string
	caller   int // index of the call above it, -1 for none
	depth    int
	start    uint64
	duration uint64
	returned bool
	cpu      uint32
	args     string // as they are shown, "" where nobody asked
	retval   uint64
	returns  bool // retval is one
}

// A tree is the calls of a thread since the outermost one that it is in, in the
// order in which they were made.
type tree struct {
	calls []call
	open  []open // those that have not returned
	task  bool
	pid   uint32
	tid   uint32
	comm  string
}

type open struct {
	function string
	call     int // index, -1 where the tree had too many
}

// trees is the Reducer: it shows a tree when its outermost call has returned.
type trees struct {
	options  Options
	name     namer
	threads  map[uint64]*tree
	spare    []*tree
	shown    *event.Event
	duration int // columns
	function int
	depth    int
	caller   int
	calltime int // of the tracer's own measure
	rettime  int
	values   reader
	evicted  uint64
}

func newTrees(s *event.Schema, o Options, name namer) *trees {
	return &trees{options: o, name: name, threads: map[uint64]*tree{}, shown: s.NewEvent(callName),
		duration: s.Column(durationColumn), function: s.Column(functionColumn), depth: s.Column(depthColumn), caller: s.Column(callerColumn),
		calltime: s.Index("calltime"), rettime: s.Index("rettime"), values: o.Values.reader(s)}
}

// thread identifies what calls: a thread, or where an interrupt does, or the
// idle task, of which each CPU has one, the CPU.
func thread(ev *event.Event) uint64 {
	if !ev.Task || ev.TID == 0 {
		return 1<<32 | uint64(ev.CPU)
	}
	return uint64(ev.TID)
}

// Event implements [event.Reducer].
func (t *trees) Event(ev *event.Event, show func(*event.Event) error) error {
	name, leaves := t.name(ev)
	key := thread(ev)
	tr := t.threads[key]
	if !leaves {
		if tr == nil {
			tr = t.begin(key, ev)
		}
		t.enter(tr, name, ev)
		return nil
	}
	if tr == nil {
		return nil // it was entered before tracing began
	}
	if !t.leave(tr, name, ev) {
		return nil
	}
	delete(t.threads, key)
	return t.show(tr, show)
}

// begin makes a tree for a thread.
func (t *trees) begin(key uint64, ev *event.Event) *tree {
	if len(t.threads) >= maxThreads {
		for old, tr := range t.threads { // any one
			t.evicted += uint64(len(tr.calls))
			t.spare = append(t.spare, tr)
			delete(t.threads, old)
			break
		}
	}
	tr := &tree{}
	if n := len(t.spare); n > 0 {
		tr, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	*tr = tree{calls: tr.calls[:0], open: tr.open[:0], task: ev.Task, pid: ev.PID, tid: ev.TID, comm: ev.Comm}
	t.threads[key] = tr
	return tr
}

func (t *trees) enter(tr *tree, name string, ev *event.Event) {
	if len(tr.open) >= maxNested {
		// Their returns were lost: nothing nests so deep.
		tr.open = slices.Delete(tr.open, 0, 1)
		t.evicted++
	}
	caller := -1
	if n := len(tr.open); n > 0 {
		caller = tr.open[n-1].call
	}
	at := -1
	if len(tr.calls) < maxCalls {
		at = len(tr.calls)
		tr.calls = append(tr.calls, call{function: name, caller: caller, depth: len(tr.open), start: ev.Mono, cpu: ev.CPU, args: t.values.arguments(name, ev)})
	} else {
		t.evicted++
	}
	tr.open = append(tr.open, open{name, at})
}

// leave takes a return, and reports whether it was that of the outermost call.
func (t *trees) leave(tr *tree, name string, ev *event.Event) bool {
	n := len(tr.open) - 1
	for n >= 0 && tr.open[n].function != name {
		n--
	}
	if n < 0 {
		return false
	}
	if at := tr.open[n].call; at >= 0 {
		c := &tr.calls[at]
		c.returned, c.duration = true, ev.Mono-c.start
		from, to := ev.Value(t.calltime), ev.Value(t.rettime)
		if from != nil && to != nil && to.Num > from.Num {
			c.duration = to.Num - from.Num
		}
		c.retval, c.returns = t.values.result(name, ev)
	}
	tr.open = tr.open[:n] // and those within it, whose returns were lost
	return n == 0
}

// show shows what of a tree is asked for.
func (t *trees) show(tr *tree, show func(*event.Event) error) error {
	defer func() { t.spare = append(t.spare, tr) }()
	hidden, root := -1, -1 // depth below which nothing is shown, and that of the call of Root
	for i := range tr.calls {
		c := &tr.calls[i]
		if hidden >= 0 && c.depth > hidden {
			continue
		}
		hidden = -1
		if root >= 0 && c.depth <= root {
			root = -1
		}
		if root < 0 && (t.options.Root == "" && c.depth == 0 || c.function == t.options.Root) {
			root = c.depth
		}
		switch {
		case root < 0:
			continue
		case c.returned && c.duration < uint64(t.options.Min), t.options.Depth > 0 && c.depth-root >= t.options.Depth:
			hidden = c.depth
			continue
		}
		if err := t.showCall(tr, c, c.depth-root, show); err != nil {
			return err
		}
	}
	return nil
}

func (t *trees) showCall(tr *tree, c *call, depth int, show func(*event.Event) error) error {
	ev := t.shown
	ev.Mono, ev.CPU, ev.Task, ev.PID, ev.TID, ev.Comm = c.start, c.cpu, tr.task, tr.pid, tr.tid, tr.comm
	clear(ev.Values)
	if c.returned {
		ev.SetNum(t.duration, c.duration)
	}
	ev.SetNum(t.depth, uint64(depth))
	ev.SetText(t.function, []byte(c.function))
	if t.function >= 0 {
		ev.Values[t.function].Num = uint64(depth) // by which tables indent it
	}
	if c.args != "" {
		ev.SetText(t.values.args, []byte(c.args))
	}
	if c.returns {
		ev.SetNum(t.values.retval, c.retval)
	}
	if c.caller >= 0 && depth > 0 {
		ev.SetText(t.caller, []byte(tr.calls[c.caller].function))
	}
	return show(ev)
}

// Evicted implements [event.Reducer].
func (t *trees) Evicted() uint64 { return t.evicted }

// Finish implements [event.Finisher]: it shows calls that have not returned.
func (t *trees) Finish(_ uint64, show func(*event.Event) error) error {
	var keys []uint64
	for key := range t.threads {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := t.show(t.threads[key], show); err != nil {
			return err
		}
		delete(t.threads, key)
	}
	return nil
}
