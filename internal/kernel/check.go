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
	l := Line{Topic: "kernel"}
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
func (fs FS) checkLockdown(p process) Line {
	l := Line{Topic: "lockdown allows probes"}
	text, err := fs.line("sys/kernel/security/lockdown")
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		if list, err := os.ReadDir(fs.path("sys/kernel/security")); err != nil || len(list) == 0 {
			l.Why = "/sys/kernel/security is not mounted"
			return l
		}
		l.Answer, l.Why = Yes, "this kernel has no lockdown"
	case err != nil:
		l.Why = "/sys/kernel/security/lockdown: " + cause(err)
	default:
		mode, _, _ := strings.Cut(text[strings.IndexByte(text, '[')+1:], "]")
		switch mode {
		case "none", "integrity":
			l.Answer, l.Why = Yes, "mode "+mode
		case "confidentiality":
			l.Answer, l.Why = No, "mode confidentiality refuses kprobes and perf"
			l.Do = "boot with lockdown=integrity, or without lockdown"
		default:
			l.Why = fmt.Sprintf("/sys/kernel/security/lockdown: %q", text)
		}
	}
	return l
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
	l := Line{Topic: "tracefs mounted"}
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
		l.Answer, l.Why = No, "not mounted; it will be mounted for the run, in a mount namespace of its own"
	default:
		l.Answer, l.Why, l.Do = No, "not mounted", "as root: mount -t tracefs tracefs /sys/kernel/tracing"
	}
	return l
}

func (fs FS) checkKprobeEvents(p process) Line {
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
			return Line{l.Topic, Yes, file, ""}
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
		l.Why = "tracefs is not mounted"
	}
	return l
}

// checkKprobesArmed reads the switch that turns all kprobes off.
func (fs FS) checkKprobesArmed() Line {
	l := Line{Topic: "kprobes armed"}
	s, err := fs.line("sys/kernel/debug/kprobes/enabled")
	switch {
	case err != nil:
		l.Why = "/sys/kernel/debug/kprobes/enabled: " + cause(err) + "; they are unless someone turned them off"
	case s == "0":
		l.Answer, l.Why, l.Do = No, "/sys/kernel/debug/kprobes/enabled is 0", "echo 1 >/sys/kernel/debug/kprobes/enabled"
	default:
		l.Answer, l.Why = Yes, "/sys/kernel/debug/kprobes/enabled is "+s
	}
	return l
}

func (fs FS) checkBlacklist() Line {
	l := Line{Topic: "list of functions that cannot be probed"}
	list, err := fs.Blacklist()
	if err != nil {
		l.Why = "/sys/kernel/debug/kprobes/blacklist: " + cause(err) + "; nothing depends on it, the kernel refuses such functions"
		return l
	}
	l.Answer, l.Why = Yes, fmt.Sprintf("%d functions", len(list))
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
	l := Line{Topic: "function tracing on"}
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
	l := Line{Topic: "perf_event_open"}
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
	case p.has(capSysAdmin) || p.has(capPerfmon):
		l.Answer, l.Why = Yes, fmt.Sprintf("kernel.perf_event_paranoid is %d, and this process is privileged", n)
	case n <= -1:
		l.Answer, l.Why = Yes, fmt.Sprintf("kernel.perf_event_paranoid is %d", n)
	default:
		l.Answer, l.Why, l.Do = No, fmt.Sprintf("kernel.perf_event_paranoid is %d, and this process has neither CAP_PERFMON nor CAP_SYS_ADMIN", n), "run as root"
	}
	return l
}

func (fs FS) checkBTF() Line {
	l := Line{Topic: "type information (BTF)"}
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

func (fs FS) checkKallsyms(p process) Line {
	l := Line{Topic: "addresses of symbols"}
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
		l.Answer, l.Why, l.Do = No, why+"; addresses are hidden, so stacks and pointers have no names", "run as root with kernel.kptr_restrict 0 or 1"
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
