package kprobe

import "github.com/skprobe/skprobe/internal/perfring"

// A family is some processes and those that they make.
type family struct {
	members map[uint32]bool // nil: nobody asked
}

func newFamily(pids []int) family {
	if pids == nil {
		return family{}
	}
	f := family{members: map[uint32]bool{}}
	for _, pid := range pids {
		f.members[uint32(pid)] = true
	}
	return f
}

// update takes a record that is no sample. A process that ended stays a
// member: its sockets outlive it. Its number is a member's no more when another
// process gets it.
func (f *family) update(r *perfring.Record) {
	if f.members == nil || r.Kind != perfring.Fork || r.PID == r.PPID {
		return
	}
	if f.members[r.PPID] {
		f.members[r.PID] = true
	} else {
		delete(f.members, r.PID)
	}
}
