package tracefs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Group returns the name of this process's event group, skprobe_<pid>_<start>, and marks it as owned until Close or until the process
// ends. Call it before the first Define in the group.
//
// The mark is what other skprobes go by. A pid alone would not do: processes in other pid namespaces share this tracefs, and
// see neither our pid nor our start time (time namespaces shift that). So the owner holds a read lock of one byte of the
// file README of tracefs, at an offset made of pid and start time: every mount of tracefs shows the same file, the lock is
// there before the group, and the kernel drops it when the process ends, in whatever way. It is an open-file-description lock (fcntl(2), 3.15);
// on kernels without, the pid alone decides, which is right within one pid namespace.
func (f *FS) Group() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.group != "" {
		return f.group, nil
	}
	self, err := ownerOf("self")
	if err != nil {
		return "", fmt.Errorf("name of our event group: %w", err)
	}
	file, err := os.Open(f.path("README"))
	if err != nil {
		return "", fmt.Errorf("mark our event group: %w", err)
	}
	lock := self.lock(unix.F_RDLCK)
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock); err != nil && !errors.Is(err, unix.EINVAL) {
		file.Close()
		return "", fmt.Errorf("mark our event group: %w", os.NewSyscallError("fcntl", err))
	}
	f.group, f.lock = self.group(), file
	return f.group, nil
}

// Sweep removes the definitions in groups of skprobes that are dead: nobody holds the group's lock (see [FS.Group]), and no
// process that we see has its pid and start time. Everything else stays. The error is about reading kprobe_events; what
// could not be removed is in the result.
//
// Tracing instances of such skprobes go first: an event that is enabled in one cannot be removed.
func (f *FS) Sweep() (Swept, error) {
	instances, err := f.sweepInstances()
	all := Swept{Instances: instances}
	for _, file := range []string{kprobeEvents, uprobeEvents, otherEvents} {
		swept, ferr := f.sweep(file)
		if errors.Is(ferr, fs.ErrNotExist) {
			ferr = nil // a kernel without such probes
		}
		err = errors.Join(err, ferr)
		all.Removed = append(all.Removed, swept.Removed...)
		all.Failed, all.Errs = append(all.Failed, swept.Failed...), append(all.Errs, swept.Errs...)
	}
	return all, err
}

func (f *FS) sweep(file string) (Swept, error) {
	var swept Swept
	events, err := f.events(file)
	if err != nil {
		return swept, err
	}
	dead := map[string]bool{}
	done := map[Name]error{}
	for _, e := range events {
		if _, known := dead[e.Group]; !known {
			o, ours := parseOwner(e.Group)
			dead[e.Group] = ours && !f.alive(o)
		}
		if !dead[e.Group] || file == otherEvents && (e.Type == "p" || e.Type == "r") { // of which the other files told
			continue
		}
		// An event with several places has several lines and is removed by the first.
		name := Name{e.Group, e.Event}
		err, again := done[name]
		if !again {
			err = f.remove(file, e.Group, e.Event)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // another skprobe sweeps too
			}
			done[name] = err
		}
		if err != nil {
			swept.Failed, swept.Errs = append(swept.Failed, e), append(swept.Errs, err)
		} else {
			swept.Removed = append(swept.Removed, e)
		}
	}
	return swept, nil
}

// alive tells whether the owner of a group lives. Whatever cannot be told counts as alive.
func (f *FS) alive(o owner) bool {
	if file, err := os.Open(f.path("README")); err == nil {
		defer file.Close()
		lock := o.lock(unix.F_WRLCK)
		switch err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock); {
		case err == nil && lock.Type != unix.F_UNLCK:
			return true
		case err != nil && !errors.Is(err, unix.EINVAL):
			return true
		}
	}
	now, err := ownerOf(fmt.Sprint(o.pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		// A /proc that shows no processes of others (hidepid), or none at all, tells nothing.
		_, err := os.Stat("/proc/1/stat")
		return err != nil
	}
	return err != nil || now == o
}

// lock is the lock that stands for a group.
func (o owner) lock(kind int16) unix.Flock_t {
	// 31 bits of the start time are 248 days of clock ticks.
	offset := int64(o.start&(1<<31-1))<<32 | int64(uint32(o.pid))
	return unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1}
}

// ownerOf reads /proc/DIR/stat. The pid is the one of that /proc, in which it will be looked up again.
func ownerOf(dir string) (owner, error) {
	stat, err := os.ReadFile("/proc/" + dir + "/stat")
	if err != nil {
		return owner{}, err
	}
	return parseStat(string(stat))
}
