package tracering

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// tracerGroup is the group of the events that tracers make.
const tracerGroup = "ftrace"

// trace sets the functions to be traced, and starts their tracer; recording is off. A tracer cannot be set where rings are open.
func (r *Rings) trace() error {
	if r.cfg.Tracer == "" {
		return nil
	}
	if err := r.instance.Set("set_ftrace_filter", strings.Join(r.cfg.Traced, "\n")); err != nil {
		if errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("no function is called %s, or none of that name can be traced: %w", strings.Join(r.cfg.Traced, " or "), err)
		}
		return err
	}
	if err := r.instance.Set("current_tracer", r.cfg.Tracer); err != nil || !r.cfg.TracedArgs {
		return err
	}
	return r.instance.Set("options/funcgraph-args", "1") // not before: at first (6.15) this set the tracer too
}

// limitTracer limits the tracer to the threads asked for and to what they make, where the kernel can; what it traces all the same is left
// out when it is read.
func (r *Rings) limitTracer() {
	if r.cfg.Inherit {
		r.instance.Set("options/function-fork", "1")
	}
	var list []string
	for _, pid := range r.cfg.Pids {
		list = append(list, strconv.Itoa(pid))
	}
	r.instance.Set("set_ftrace_pid", strings.Join(list, " "))
}
