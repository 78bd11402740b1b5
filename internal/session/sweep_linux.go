package session

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/skprobe/skprobe/tracefs"
)

// sweep takes away the probes of skprobes that were killed.
func sweep(tfs *tracefs.FS, w io.Writer) {
	swept, err := tfs.Sweep()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return // there is nothing to leave, or what comes next tells that we may not
	}
	if err != nil {
		fmt.Fprintln(w, "skprobe: warning: could not look for the probes of killed skprobes:", err)
		return
	}
	for _, i := range swept.Instances {
		if i.Err != nil {
			fmt.Fprintf(w, "skprobe: warning: the tracing instance %s of a killed skprobe remains: %v\n", i.Name, i.Err)
		}
	}
	for i, e := range swept.Failed {
		fmt.Fprintf(w, "skprobe: warning: the probe %s/%s of a killed skprobe remains: %v\n", e.Group, e.Event, swept.Errs[i])
	}
}
