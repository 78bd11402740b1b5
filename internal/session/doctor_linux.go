package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// needed are the topics of kernel.Check without which nothing works. Others
// explain.
var needed = map[string]bool{"architecture": true, "rights": true, "lockdown allows probes": true, "kprobe events": true, "perf_event_open": true}

// Doctor writes what this kernel and these rights allow, a line for each
// thing: what can be seen, then what trials show, then each tool. The error
// says that something that is needed is missing.
func Doctor(w io.Writer, tools []*event.Tool) error {
	lines := kernel.FS{}.Check()
	missing := 0
	for _, l := range lines {
		if l.Answer == kernel.No && needed[l.Topic] {
			missing++
		}
	}
	trials, ok := try(tools)
	if ok {
		missing = 0 // what works decides
	}
	for _, l := range append(lines, trials...) {
		writeLine(w, l)
	}
	if missing > 0 || !ok {
		return refused("the lines that say no tell what to do", errors.New("skprobe cannot work here as things are"))
	}
	return nil
}

func writeLine(w io.Writer, l kernel.Line) {
	fmt.Fprintf(w, "%-8s %-28s %s\n", l.Answer, l.Topic, l.Why)
	if l.Do != "" {
		fmt.Fprintf(w, "%8s %-28s → %s\n", "", "", l.Do)
	}
}

// try does what a run does, in small, and tells what each step gave. ok is
// false where a run is not possible.
func try(tools []*event.Tool) (lines []kernel.Line, ok bool) {
	add := func(topic string, err error, why, do string) bool {
		l := kernel.Line{Topic: topic, Answer: kernel.Yes, Why: why}
		if err != nil {
			l.Answer, l.Why, l.Do = kernel.No, oneLine(err), do
		}
		lines = append(lines, l)
		return err == nil
	}
	tfs, err := openTracefs()
	if !add("tracefs can be used", err, "", "") {
		return lines, false
	}
	defer tfs.Close()
	lines[0].Why = tfs.Root()
	if tfs.Private() {
		lines[0].Why = "mounted for this process alone"
	}
	if !hasKprobes(tfs) {
		add("a probe can be defined", errNoKprobes.Err, "", "use a kernel with CONFIG_KPROBE_EVENTS; tools that use tracepoints work, see below")
		return append(lines, toolLines(tfs, tools)...), false
	}
	if !add("a probe can be defined", tryDefine(tfs), "tried on "+trialFunc, "see the lines above") {
		return lines, false
	}
	perf := add("read through perf", tryRead(tfs, kprobe.Perf), "a record came", "")
	through := add("read through tracefs", tryRead(tfs, kprobe.Tracefs), "a record came, by --backend tracefs", "")
	if !perf {
		lines[len(lines)-2].Do = "see the lines above"
		if through {
			lines[len(lines)-2].Do = "nothing: skprobe reads through tracefs then, which only cannot limit to a cgroup"
		}
	}
	if !perf && !through {
		return lines, false
	}
	lines = append(lines, languageLines(tfs)...)
	return append(lines, toolLines(tfs, tools)...), true
}

// toolLines tells where layouts come from, and which tools they suffice for.
func toolLines(tfs *tracefs.FS, tools []*event.Tool) []kernel.Line {
	layout, err := OpenLayout(Layout{})
	if err != nil {
		return []kernel.Line{{Topic: "layouts of structs", Answer: kernel.No, Why: oneLine(err), Do: "give --btf FILE (BTFHub has files for many kernels) or --profile FILE"}}
	}
	lines := []kernel.Line{{Topic: "layouts of structs", Answer: kernel.Yes, Why: layout.Source()}}
	for _, t := range tools {
		lines = append(lines, toolLine(tfs, layout, t))
	}
	return lines
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
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
	reader, err := kprobe.NewReader([]kprobe.Source{{Probe: probe}}, kprobe.ReaderOptions{Backend: backend, Latency: 2 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if err := reader.Enable(); err != nil {
		return err
	}
	if err := renameSelf(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err = reader.Read(ctx, func(*kprobe.Record) error { return errEnough })
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s ran, and no record came in 2 s", trialFunc)
	}
	return err
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
		l := kernel.Line{Topic: topic, Answer: kernel.Yes, Why: yes}
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

// toolLine tells whether a tool compiles here, and what it lacks.
func toolLine(tfs *tracefs.FS, types fetchargs.Types, t *event.Tool) kernel.Line {
	l := kernel.Line{Topic: "tool " + t.Name, Answer: kernel.Yes}
	c := &chooser{types: types, noKprobes: !hasKprobes(tfs)}
	p, err := event.Compile(t, nil, nil, event.Kernel{Arch: arch, Types: types, Dialect: dialect(tfs), Choose: c.choose, Tracepoint: tracepoints(tfs, types),
		EventProbe: eventProbes(tfs, &Config{})})
	if err != nil {
		l.Answer, l.Why = kernel.No, oneLine(err)
		return l
	}
	var on []string
	for _, probe := range p.Probes {
		at := probe.Symbol
		if probe.EventProbe {
			at += " (event probe)"
		}
		on = append(on, at)
	}
	l.Why = strings.Join(on, ", ")
	if len(p.Skipped) > 0 {
		l.Why += "; not here: " + oneLine(skipped(p))
	}
	return l
}
