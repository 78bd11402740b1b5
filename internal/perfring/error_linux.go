package perfring

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func explain(op string, err error) error {
	return &Error{Op: op, Err: err, Why: why(err)}
}

// explainInvalid is explain where EINVAL has a meaning of its own.
func explainInvalid(op string, err error, invalid string) error {
	if isOneOf(err, unix.EINVAL) {
		return &Error{Op: op, Err: err, Why: invalid}
	}
	return explain(op, err)
}

// why tells what the errnos of perf_event_open(2) and its ioctls mean for us.
func why(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case unix.EACCES, unix.EPERM:
		return denied()
	case unix.ENOENT:
		return "the event does not exist: was its definition removed?"
	case unix.ENODEV:
		return "the CPU is not online, or this kernel cannot do this"
	case unix.ENOSYS:
		return "this kernel has no perf_event_open (CONFIG_PERF_EVENTS)"
	case unix.EOPNOTSUPP:
		return "this kernel or this CPU cannot do this"
	case unix.ESRCH:
		return "no such thread"
	case unix.EMFILE, unix.ENFILE:
		return "too many open files: each event takes one per CPU and thread; raise ulimit -n"
	case unix.EINVAL:
		return "this kernel does not know something that was asked for"
	case unix.ENOMEM:
		return "no memory for a ring"
	case unix.EBUSY:
		return "somebody else uses what can be used once"
	}
	return ""
}

// denied tells what may stand behind EPERM and EACCES.
func denied() string {
	var reasons []string
	if text, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil {
		if strings.Contains(string(text), "[confidentiality]") {
			reasons = append(reasons, "lockdown is confidentiality, which forbids perf of the kernel (integrity would not)")
		}
	}
	admin, known := effective(unix.CAP_SYS_ADMIN)
	perfmon, _ := effective(unix.CAP_PERFMON) // 5.8
	text, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	paranoid := strings.TrimSpace(string(text))
	n, _ := strconv.Atoi(paranoid)
	switch {
	case admin || !known:
	case !perfmon:
		reasons = append(reasons, "root is needed (CAP_SYS_ADMIN, or CAP_PERFMON from 5.8); kernel.perf_event_paranoid is "+paranoid)
	case n >= 3:
		reasons = append(reasons, "kernel.perf_event_paranoid is "+paranoid+": from 3 on Debian's and Ubuntu's kernels want CAP_SYS_ADMIN, CAP_PERFMON is not enough")
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "a seccomp filter (container runtimes forbid perf_event_open), a security module, or a user namespace whose root is not the system's")
	}
	return strings.Join(reasons, "; ")
}

// effective tells whether this thread has a capability.
func effective(c uint) (has, ok bool) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false, false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0, true
}
