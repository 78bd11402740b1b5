package tracering

import (
	"bytes"
	"os"
	"strconv"
)

// initialPidNamespace is the inode number of the initial pid namespace (PROC_PID_INIT_INO in include/linux/proc_ns.h, 3.8).
const initialPidNamespace = "pid:[4026531836]"

// inOtherPidNamespace tells whether numbers of threads mean something else to us than to tracefs. Tests set it.
var inOtherPidNamespace = func() bool {
	link, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && link != initialPidNamespace
}

// findThreads returns the process of each thread that /proc shows, or only of some.
func findThreads(only []int) map[uint32]uint32 {
	found := map[uint32]uint32{}
	for _, tid := range only {
		if process, ok := processOf(uint32(tid)); ok {
			found[uint32(tid)] = process
		}
	}
	if only != nil {
		return found
	}
	for _, process := range numbersIn("/proc") {
		found[process] = process
		for _, tid := range numbersIn("/proc/" + strconv.FormatUint(uint64(process), 10) + "/task") {
			found[tid] = process
		}
	}
	return found
}

func numbersIn(dir string) []uint32 {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // what could be read before an error counts
	var numbers []uint32
	for _, name := range names {
		if n, err := strconv.ParseUint(name, 10, 32); err == nil {
			numbers = append(numbers, uint32(n))
		}
	}
	return numbers
}

// processOf asks /proc for the process of a thread.
func processOf(tid uint32) (uint32, bool) {
	text, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/status")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("Tgid:")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}

// Unknown is the process of a thread that cannot be told, as perf has it for a thread that is ending.
const Unknown = ^uint32(0)

// lookup returns the process of a thread whose beginning was not seen. A thread that is gone is remembered too, so that it is not asked
// for again and again.
func (r *Rings) lookup(tid uint32) uint32 {
	if r.foreign {
		return Unknown
	}
	if process, ok := processOf(tid); ok {
		return process
	}
	return Unknown
}
