package perfring

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmap maps the ring of an event. Where the kernel does not allow or have so much memory it takes a smaller ring, for all CPUs
// that follow too, and leaves a warning.
func (r *Rings) mmap(owner event) (*mapped, error) {
	page := os.Getpagesize()
	wanted := r.cfg.Pages
	for {
		m, err := mapRing(owner, r.cfg.Pages)
		if isOneOf(err, unix.EPERM, unix.ENOMEM) && r.cfg.Pages > 1 {
			r.cfg.Pages /= 2
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.cfg.Pages < wanted {
			r.warning = fmt.Errorf("rings of %d KiB per CPU instead of %d KiB: %w", r.cfg.Pages*page>>10, wanted*page>>10,
				explain("map a ring", unix.EPERM))
		}
		return m, nil
	}
}

// mapRing maps a ring of so many pages, behind the page that has its state.
func mapRing(owner event, pages int) (*mapped, error) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(owner.fd, 0, (1+pages)*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	// Data_offset and Data_size are of 4.1; before, the data follows the first page.
	m := &mapped{owner: owner, mem: mem}
	m.data = mem[page:]
	m.head, m.tail = &meta.Data_head, &meta.Data_tail
	return m, nil
}

// raiseFileLimit makes room for the file descriptors that will be opened. A failure shows when they are opened. Go has raised the soft limit
// to the hard one at start, and undoes that for programs it starts; the hard one is raised only if need be.
func (r *Rings) raiseFileLimit(cpus int) {
	need := uint64(cpus*(3+2*len(r.cfg.Events))*max(1, len(r.cfg.Pids)) + 128)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur >= need {
		return
	}
	if limit.Max < need {
		limit.Max = need
	}
	limit.Cur = limit.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
