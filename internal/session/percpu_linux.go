package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/filter"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// perCPU finds the current task where the kernel's fetch-args have no $current:
// each CPU has a pointer to it in memory of its own. A probe that needs it is
// defined once for each CPU, with the address there, and each definition records
// on its own CPU only.
type perCPU struct {
	tfs   *tracefs.FS
	types fetchargs.Types

	tried bool
	tasks []cpuTask
	err   error
}

// A cpuTask is where a CPU has the pointer to its task.
type cpuTask struct {
	cpu  int
	addr uint64
}

// needs tells whether a half must be defined for each CPU.
func (p *perCPU) needs(h *event.Half) bool {
	return !dialect(p.tfs).Current && slices.ContainsFunc(h.Plan.Args, func(a fetchargs.Arg) bool { return a.Base.Kind == fetchargs.Current })
}

// missing says why there is no current task, "" where there is one. It does not
// look: only a field that needs it is worth that.
func (p *perCPU) missing() string {
	if d := dialect(p.tfs); !d.Current && !d.CommFilter {
		return "this kernel cannot limit a probe to a CPU"
	}
	return ""
}

// definePerCPU defines a half once for each CPU.
func (a *attached) definePerCPU(tfs *tracefs.FS, c *event.Compiled, h *event.Half, rest *filter.Program) error {
	tasks, err := a.tasks.find()
	if err != nil {
		return &Error{Status: ExitRefused, Err: fmt.Errorf("%s: $current: %w", c.Symbol, err)}
	}
	for _, task := range tasks {
		s := spec(c, h, len(a.sources))
		s.Args = slices.Clone(s.Args)
		for i := range s.Args {
			if base := &s.Args[i].Base; base.Kind == fetchargs.Current {
				*base = fetchargs.Base{Kind: fetchargs.Memory, Num: int64(task.addr)}
			}
		}
		if err := a.defineAs(tfs, c, h, rest, s, []int{task.cpu}); err != nil {
			return err
		}
	}
	return nil
}

func (p *perCPU) find() ([]cpuTask, error) {
	if !p.tried {
		p.tasks, p.err = p.look()
		p.tried = true
	}
	return p.tasks, p.err
}

// look finds where each CPU has the pointer: its variables are at the same place
// from the start of its area, which the array __per_cpu_offset tells.
func (p *perCPU) look() ([]cpuTask, error) {
	f, err := kernel.FS{}.Kallsyms()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The variable is current_task on amd64, but pcpu_hot, whose first member
	// it is, from 6.2 to 6.14; __entry_task on arm64 from 4.10. The run queue has
	// had it always.
	symbols, err := kernel.FindData(f, "current_task", "pcpu_hot", "__entry_task", "runqueues")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"current_task", "pcpu_hot", "__entry_task"} {
		if at, ok := symbols[name]; ok {
			return p.areas(at)
		}
	}
	at, ok := symbols["runqueues"]
	if !ok {
		return nil, errors.New("the kernel does not tell where its variables are (CONFIG_KALLSYMS_ALL, kernel.kptr_restrict)")
	}
	queue, err := p.types.TypeNamed("struct rq")
	if err != nil {
		return nil, err
	}
	curr, ok := queue.Member("curr")
	if !ok {
		return nil, errors.New("the run queue has no member curr")
	}
	return p.areas(at + uint64(curr.Offset))
}

// areas adds a variable's place to the start of each CPU's area. A probe reads
// these, since nothing else may read the kernel's memory.
func (p *perCPU) areas(at uint64) (tasks []cpuTask, err error) {
	cpus := kernel.FS{}.OnlineCPUs()
	if len(cpus) == 0 {
		return nil, errors.New("the CPUs that are online are not known")
	}
	const most = 100 // arguments
	for some := range slices.Chunk(cpus, most) {
		var args []fetchargs.Arg
		for _, cpu := range some {
			args = append(args, fetchargs.Arg{Name: fmt.Sprintf("a%d", cpu), Type: fetchargs.ArgType{Name: "u64"},
				Base: fetchargs.Base{Kind: fetchargs.Symbol, Name: "__per_cpu_offset", Num: int64(8 * cpu)}})
		}
		words, err := p.read(args)
		if err != nil {
			return nil, err
		}
		for i, cpu := range some {
			tasks = append(tasks, cpuTask{cpu, words[i] + at})
		}
	}
	return tasks, nil
}

// read fetches words once.
func (p *perCPU) read(args []fetchargs.Arg) (words []uint64, err error) {
	probe, err := kprobe.Open(p.tfs, kprobe.Spec{Event: "percpu", Symbol: trialFunc, Args: args})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	reader, err := kprobe.NewReader([]kprobe.Source{{Probe: probe}}, kprobe.ReaderOptions{Latency: 2 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if err := reader.Enable(); err != nil {
		return nil, err
	}
	if err := renameSelf(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err = reader.Read(ctx, func(r *kprobe.Record) error {
		for _, place := range probe.Places() {
			if slices.ContainsFunc(args, func(a fetchargs.Arg) bool { return a.Name == place.Name }) && len(r.Raw) >= place.Offset+8 {
				words = append(words, binary.LittleEndian.Uint64(r.Raw[place.Offset:]))
			}
		}
		return errEnough
	})
	switch {
	case len(words) == len(args):
		return words, nil
	case err == nil || errors.Is(err, errEnough):
		err = errors.New("the areas of the CPUs could not be read")
	}
	return nil, err
}
