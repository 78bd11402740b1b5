package session

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// Doctor finds out what this kernel and these rights allow: what can be seen,
// then what trials show, then each tool.
func Doctor(l Layout, tools []*event.Tool) *Report {
	r := &Report{Version: Version(), Arch: string(arch)}
	if id, err := (kernel.FS{}).Identity(); err == nil {
		r.Kernel = id.Release
	}
	for _, s := range (kernel.FS{}).Check() {
		r.add(s.Title, s.Lines...)
	}
	r.try(l, tools)
	r.conclude()
	return r
}

// Err is nil where some tool works.
func (r *Report) Err() error {
	if r.Works == "no" {
		return refused("", errors.New("no tool can work here"))
	}
	return nil
}

// try does what a run does, in small, and tells what each step gave.
func (r *Report) try(l Layout, tools []*event.Tool) {
	var lines []kernel.Line
	defer func() {
		r.add("What trials show", lines...)
	}()
	add := func(topic string, err error, why string) bool {
		l := kernel.Line{Topic: topic, Answer: kernel.Yes, Why: why}
		if err != nil {
			l.Answer, l.Why = kernel.No, oneLine(err)
			var e *Error
			if errors.As(err, &e) {
				l.Why, l.Do = oneLine(e.Err), e.Do
			}
		}
		lines = append(lines, l)
		return err == nil
	}
	tfs, err := openTracefs()
	if !add("tracefs can be used", err, "") {
		return
	}
	defer tfs.Close()
	lines[0].Why = tfs.Root()
	if tfs.Private() {
		lines[0].Why = "mounted for this process alone"
	}
	kprobes := hasKprobes(tfs)
	if !kprobes {
		add("a probe can be defined", errNoKprobes, "")
		lines[1].Do = "use a kernel with CONFIG_KPROBE_EVENTS; tools that use tracepoints work without"
	} else if !add("a probe can be defined", explain(tryDefine(tfs)), "tried on "+trialFunc) {
		return
	}
	if !kprobes {
		r.Backend = "perf or tracefs"
	} else if !r.tryBackends(tfs, add, &lines) {
		return
	}
	layout, err := OpenLayout(l)
	if !add("layouts of structs", err, "") {
		last := &lines[len(lines)-1]
		last.Do = cmp.Or(last.Do, "give --btf FILE (BTFHub has files for many kernels) or --profile FILE")
		return
	}
	r.Layouts = layout.Source()
	lines[len(lines)-1].Why = r.Layouts
	if kprobes {
		lines = append(lines, languageLines(tfs)...)
	}
	c := &chooser{types: layout, noKprobes: !kprobes}
	for _, t := range tools {
		c.others = append(c.others, t.Functions()...)
	}
	for _, t := range tools {
		r.Tools = append(r.Tools, tryTool(tfs, c, t))
	}
}

// tryBackends reads a record in both ways.
func (r *Report) tryBackends(tfs *tracefs.FS, add func(topic string, err error, why string) bool, lines *[]kernel.Line) bool {
	perf := add("read through perf", tryRead(tfs, kprobe.Perf), "a record came")
	through := add("read through tracefs", tryRead(tfs, kprobe.Tracefs), "a record came, by --backend tracefs")
	perfLine, throughLine := &(*lines)[len(*lines)-2], &(*lines)[len(*lines)-1]
	switch {
	case perf:
		r.Backend = "perf"
		throughLine.Note = true
	case through:
		r.Backend = "tracefs"
		perfLine.Note, perfLine.Do = true, "nothing: skprobe then reads through tracefs, which only cannot limit to a cgroup"
	}
	return perf || through
}

// trialFunc is a function that every kernel has and that this process can make
// run: it is called for prctl(PR_SET_NAME) and for each execve.
const trialFunc = "__set_task_comm"

func tryDefine(tfs *tracefs.FS) error {
	return tfs.Try("p:g/e " + trialFunc)
}

// tryRead sets a probe, makes the kernel run into it, and reads the record.
func tryRead(tfs *tracefs.FS, backend kprobe.Backend) (err error) {
	probe, err := kprobe.Open(tfs, kprobe.Spec{Event: "doctor", Symbol: trialFunc})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	return hitOnce(probe, backend)
}

// renameSelf gives a thread of this process the name that it has.
func renameSelf() error {
	comm := filepath.Join("/proc", "self", "comm")
	name, err := os.ReadFile(comm)
	if err != nil {
		return err
	}
	return os.WriteFile(comm, name, 0)
}

// languageLines tell which parts of the fetch-arg language the kernel knows.
// Where it does not, skprobe writes older ones; nothing is missing but what the
// line says.
func languageLines(tfs *tracefs.FS) []kernel.Line {
	d := dialect(tfs)
	d.ReturnArgs = d.ReturnArgs || returnArgs(tfs, trialFunc)
	const tracepoint = "sched:sched_process_exec" // one that every kernel has
	line := func(topic string, has bool, yes, no string) kernel.Line {
		l := kernel.Line{Topic: topic, Answer: kernel.Yes, Why: yes, Note: true}
		if !has {
			l.Answer, l.Why = kernel.No, no
		}
		return l
	}
	return []kernel.Line{
		line("arrays in fetch-args", d.Arrays, "neighbours are fetched together", "each word costs an argument of its own (arrays came with 4.20)"),
		line("user memory in fetch-args", d.UserMemory, "ustring reads it", "the plain string reads both (ustring came with 5.3)"),
		line("arguments at return", d.ReturnArgs, "$argN in return probes", "entry and return are two probes, paired by thread ($argN at return came with 6.9)"),
		line("event probes", tryEventProbe(tfs, tracepoint) == nil, "what a tracepoint points to is fetched, and read through tracefs", "functions are probed instead (event probes came with 5.15)"),
		line("filters on comm and cpu", d.CommFilter, "in the kernel", "done in user space (the kernel's came with 4.4)"),
	}
}

// tryTool tells whether a tool compiles here, and what it lacks.
func tryTool(tfs *tracefs.FS, c *chooser, t *event.Tool) tool {
	p, err := event.Compile(t, nil, nil, event.Kernel{Arch: arch, Types: c.types, Dialect: dialect(tfs), Choose: c.choose, Tracepoint: tracepoints(tfs, c.types),
		EventProbe: eventProbes(tfs, &Config{})})
	return toolReport(t, p, err)
}
