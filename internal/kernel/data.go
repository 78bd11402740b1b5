package kernel

import (
	"io"
	"strconv"
	"strings"
)

// FindData looks for variables by name in kallsyms, and returns their addresses,
// or for those of each CPU what kallsyms has for one. Those that the kernel does
// not list, or whose addresses it hides, are missing from the result.
func FindData(r io.Reader, names ...string) (map[string]uint64, error) {
	found := map[string]uint64{}
	err := scanSymbols(r, func(l symLine) bool {
		for _, name := range names {
			if string(l.name) == name && len(l.module) == 0 && !isFunc(l.kind) && l.addr() != 0 {
				found[name] = l.addr()
			}
		}
		return len(found) < len(names)
	})
	return found, err
}

// OnlineCPUs lists the numbers of the CPUs that are online; nil where that is not
// known.
func (fs FS) OnlineCPUs() (cpus []int) {
	text, err := fs.line("sys/devices/system/cpu/online")
	if err != nil {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") { // "0-3,5"
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, ferr := strconv.Atoi(from)
		last, lerr := strconv.Atoi(to)
		if ferr != nil || lerr != nil || first < 0 || last > 1<<16 {
			return nil
		}
		for n := first; n <= last; n++ {
			cpus = append(cpus, n)
		}
	}
	return cpus
}
