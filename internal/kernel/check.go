package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"runtime"
	"strings"
)

func (fs FS) checkArch() Line {
	l := Line{Topic: "architecture", Answer: Yes, Why: runtime.GOARCH}
	if err := SupportedArch(runtime.GOARCH); err != nil {
		l.Answer, l.Why = No, err.Error()
	}
	return l
}

func (fs FS) checkRelease() Line {
	l := Line{Topic: "release", Note: true}
	id, err := fs.Identity()
	if err != nil {
		l.Why, l.Do = cause(err), "mount /proc"
		return l
	}
	l.Why = id.String()
	v, err := ParseRelease(id.Release)
	switch {
	case err != nil:
		l.Why = err.Error()
	case v.AtLeast(3, 10):
		l.Answer = Yes
	default:
		l.Why += "; skprobe was not tried on kernels before 3.10"
	}
	return l
}

// checkLockdown reads the mode of security/lockdown. Probes work under
// integrity, which Secure Boot sets; confidentiality refuses them (LOCKDOWN_KPROBES,
// include/linux/security.h, from 5.4).
func (fs FS) checkLockdown() Line {
	l := Line{Topic: "lockdown allows probes"}
	mode, err := fs.lockdown()
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		if list, err := os.ReadDir(fs.path("sys/kernel/security")); err != nil || len(list) == 0 {
			l.Why = "not known: /sys/kernel/security is not mounted"
			return l
		}
		l.Answer, l.Why = Yes, "this kernel has no lockdown"
	case err != nil:
		l.Why = "/sys/kernel/security/lockdown: " + cause(err)
	case mode == "none" || mode == "integrity":
		l.Answer, l.Why = Yes, "mode "+mode
	case mode == confidentiality:
		l.Answer = No
		l.Why, l.Do = fs.LockedDown()
	default:
		l.Why = fmt.Sprintf("/sys/kernel/security/lockdown: %q", mode)
	}
	return l
}

const (
	confidentiality = "confidentiality"
	lockdownDo      = "boot with lockdown=integrity (as Secure Boot has it, all works then) or without lockdown; it cannot be lifted while the system runs"
)

// lockdown is the mode in force, which the file has in brackets.
func (fs FS) lockdown() (string, error) {
	text, err := fs.line("sys/kernel/security/lockdown")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(text, "[")
	if !ok {
		return text, nil
	}
	mode, _, _ := strings.Cut(rest, "]")
	return mode, nil
}

// mounts yields where file systems of that type are mounted.
func (fs FS) mounts(fstype string) ([]string, error) {
	text, err := fs.line("proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 3 && f[2] == fstype {
			list = append(list, f[1])
		}
	}
	return list, nil
}

func (fs FS) checkTracefs(p process) Line {
	l := Line{Topic: "tracefs mounted", Note: true} // whether it can be mounted, trying tells
	at, err := fs.mounts("tracefs")
	if err != nil {
		l.Why = "/proc/self/mounts: " + cause(err)
		return l
	}
	if len(at) == 0 { // before 4.1 it was a part of debugfs
		debug, _ := fs.mounts("debugfs")
		for _, d := range debug {
			if st, err := os.Stat(fs.path(strings.TrimPrefix(d, "/") + "/tracing/events")); err == nil && st.IsDir() {
				at = append(at, d+"/tracing")
			}
		}
	}
	if len(at) > 0 {
		l.Answer, l.Why = Yes, at[0]
		return l
	}
	kinds, err := fs.line("proc/filesystems")
	switch {
	case err != nil || !strings.Contains(kinds, "debugfs") && !strings.Contains(kinds, "tracefs"):
		l.Answer, l.Why, l.Do = No, "not mounted, and /proc/filesystems has no tracefs", "this kernel was built without tracing (CONFIG_FTRACE)"
		if err != nil {
			l.Answer, l.Do = Unknown, "mount -t tracefs tracefs /sys/kernel/tracing"
		}
	case p.has(capSysAdmin):
		l.Answer, l.Why = Yes, "not mounted: skprobe mounts it where nobody else sees it"
	default:
		l.Answer, l.Why, l.Do = No, "not mounted", "as root: mount -t tracefs tracefs /sys/kernel/tracing"
	}
	return l
}

func (fs FS) checkKprobeEvents() Line {
	l := Line{Topic: "kprobe events"}
	at, _ := fs.mounts("tracefs")
	debug, _ := fs.mounts("debugfs")
	for _, d := range debug {
		at = append(at, d+"/tracing")
	}
	for _, d := range at {
		file := d + "/kprobe_events"
		_, err := os.Stat(fs.path(strings.TrimPrefix(file, "/")))
		switch {
		case err == nil:
			return Line{Topic: l.Topic, Answer: Yes, Why: file}
		case errors.Is(err, iofs.ErrNotExist):
			if list, err := os.ReadDir(fs.path(strings.TrimPrefix(d, "/"))); err == nil && len(list) > 0 {
				l.Answer, l.Why = No, d+" has no kprobe_events"
				l.Do = "this kernel was built without CONFIG_KPROBE_EVENTS (CONFIG_KPROBE_EVENT before 4.12)"
			}
		default:
			l.Why, l.Do = file+": "+cause(err), "run as root"
		}
	}
	if l.Why == "" {
		l.Why = "not known: tracefs is not mounted"
	}
	return l
}

// checkKprobesArmed reads the switch that turns all kprobes off.
func (fs FS) checkKprobesArmed() Line {
	l := Line{Topic: "kprobes armed", Note: true}
	s, err := fs.line("sys/kernel/debug/kprobes/enabled")
	switch {
	case err != nil:
		l.Why = "not known (/sys/kernel/debug/kprobes/enabled: " + cause(err) + "); they are unless someone turned them off"
	case s == "0":
		l.Answer, l.Why, l.Do = No, "/sys/kernel/debug/kprobes/enabled is 0", "echo 1 >/sys/kernel/debug/kprobes/enabled"
	default:
		l.Answer, l.Why = Yes, "/sys/kernel/debug/kprobes/enabled is "+s
	}
	return l
}

// Blacklist returns the functions that kprobes may not be set on, as the
// kernel lists them: none of the tools' is among them.
func (fs FS) Blacklist() (map[string]bool, error) {
	f, err := os.Open(fs.path("sys/kernel/debug/kprobes/blacklist"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := map[string]bool{}
	sc := bufio.NewScanner(f) // "0xffff…-0xffff…\tname"
	for sc.Scan() {
		if f := strings.Fields(sc.Text()); len(f) >= 2 {
			list[f[len(f)-1]] = true
		}
	}
	return list, sc.Err()
}

// checkFtrace reads a switch that stops kprobes at the start of functions,
// which are made with ftrace.
func (fs FS) checkFtrace() Line {
	l := Line{Topic: "function tracing on", Note: true}
	switch n, err := fs.number("proc/sys/kernel/ftrace_enabled"); {
	case err != nil:
		l.Why = "/proc/sys/kernel/ftrace_enabled: " + cause(err) + "; probes then use breakpoints"
	case n == 0:
		l.Answer, l.Why, l.Do = No, "kernel.ftrace_enabled is 0: probes at the start of functions stay silent or are refused", "sysctl kernel.ftrace_enabled=1"
	default:
		l.Answer, l.Why = Yes, "kernel.ftrace_enabled is 1"
	}
	return l
}

func (fs FS) checkPerf(p process) Line {
	l := Line{Topic: "perf may be used", Note: true}
	n, err := fs.number("proc/sys/kernel/perf_event_paranoid")
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		if _, err := os.Stat(fs.path("proc/sys/kernel")); err != nil {
			l.Why = "/proc/sys/kernel: " + cause(err)
			return l
		}
		l.Answer, l.Why, l.Do = No, "no /proc/sys/kernel/perf_event_paranoid: this kernel has no perf events", "read the events with --backend tracefs"
	case err != nil:
		l.Why = "/proc/sys/kernel/perf_event_paranoid: " + cause(err)
	case p.err != nil:
		l.Why = "rights are not known"
	case n <= -1:
		l.Answer, l.Why = Yes, fmt.Sprintf("kernel.perf_event_paranoid is %d", n)
	case p.has(capSysAdmin):
		l.Answer, l.Why = Yes, fmt.Sprintf("CAP_SYS_ADMIN; kernel.perf_event_paranoid is %d", n)
	case p.has(capPerfmon) && n >= 3: // a patch of Debian and Ubuntu
		l.Answer, l.Why = No, fmt.Sprintf("kernel.perf_event_paranoid is %d: from 3 on Debian's and Ubuntu's kernels want CAP_SYS_ADMIN, CAP_PERFMON is not enough", n)
		l.Do = "sysctl kernel.perf_event_paranoid=2, or run as root; without, records come through tracefs"
	case p.has(capPerfmon):
		l.Answer, l.Why = Yes, fmt.Sprintf("CAP_PERFMON; kernel.perf_event_paranoid is %d", n)
	default:
		l.Answer, l.Why = No, fmt.Sprintf("kernel.perf_event_paranoid is %d, and this process has neither CAP_PERFMON nor CAP_SYS_ADMIN", n)
		l.Do = "run as root; without, records come through tracefs"
	}
	return l
}

func (fs FS) checkBTF() Line {
	l := Line{Topic: "type information (BTF)", Note: true}
	st, err := os.Stat(fs.path("sys/kernel/btf/vmlinux"))
	switch {
	case err == nil:
		l.Answer, l.Why = Yes, fmt.Sprintf("/sys/kernel/btf/vmlinux, %d kB", st.Size()>>10)
	case errors.Is(err, iofs.ErrNotExist):
		l.Answer, l.Why = No, "no /sys/kernel/btf/vmlinux"
		l.Do = "layouts come from --btf FILE (BTFHub has them for many kernels), --vmlinux, --profile or calibration"
	default:
		l.Why = "/sys/kernel/btf/vmlinux: " + cause(err)
	}
	return l
}

func (fs FS) checkKallsyms() Line {
	l := Line{Topic: "addresses of symbols", Note: true}
	f, err := fs.Kallsyms()
	if err != nil {
		l.Why = cause(err)
		return l
	}
	defer f.Close()
	shown, any := false, false
	err = scanSymbols(io.LimitReader(f, 64<<10), func(s symLine) bool {
		any = true
		shown = shown || s.addr() != 0
		return !shown
	})
	restrict, rerr := fs.number("proc/sys/kernel/kptr_restrict")
	why := fmt.Sprintf("kernel.kptr_restrict is %d", restrict)
	if rerr != nil {
		why = "kernel.kptr_restrict is not known"
	}
	switch {
	case shown:
		l.Answer, l.Why = Yes, why
	case any:
		l.Answer, l.Why, l.Do = No, why+"; addresses are hidden, so stacks and pointers are shown as numbers", "run as root (or with CAP_SYSLOG) and with kernel.kptr_restrict 0 or 1"
	case err != nil:
		l.Why = err.Error()
	default:
		l.Answer, l.Why = No, "/proc/kallsyms is empty"
	}
	return l
}

// cause is the reason of a file error without the operation and path.
func cause(err error) string {
	if pe, ok := errors.AsType[*iofs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
