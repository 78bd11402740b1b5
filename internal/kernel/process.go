package kernel

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Capabilities that decide what a process may trace, from
// include/uapi/linux/capability.h.
const (
	capDACOverride = 1
	capSysAdmin    = 21
	capPerfmon     = 38 // 5.8
)

// A process is what /proc/self/status says of this one.
type process struct {
	err     error
	uid     int // effective; -1 when not known
	caps    uint64
	seccomp int // 0 none, 1 strict, 2 filter; -1 when not known
	// nested tells that the process is in a user namespace of its own, whose
	// capabilities do not count for tracing.
	nested bool
}

// Inode numbers of the first namespaces, from include/linux/proc_ns.h.
const (
	firstUserNS = "user:[4026531837]"
	firstPIDNS  = "pid:[4026531836]"
)

func (fs FS) process() process {
	p := process{uid: -1, seccomp: -1}
	if ns, err := os.Readlink(fs.path("proc/self/ns/user")); err == nil {
		p.nested = ns != firstUserNS
	}
	text, err := fs.line("proc/self/status")
	if err != nil {
		p.err = err
		return p
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(value)
		switch {
		case key == "Uid" && len(f) == 4:
			p.uid = atoi(f[1])
		case key == "CapEff" && len(f) == 1:
			p.caps, err = strconv.ParseUint(f[0], 16, 64)
			if err != nil {
				p.err = fmt.Errorf("CapEff %q: %w", f[0], err)
			}
		case key == "Seccomp" && len(f) == 1:
			p.seccomp = atoi(f[0])
		}
	}
	return p
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func (p process) has(c int) bool { return !p.nested && p.caps>>c&1 != 0 }

// checkRights tells whether tracefs can be written and, where it is not mounted,
// mounted. Its files are root's, so that is what it is about: the kernel asks
// for no capability to define probes.
func (p process) checkRights() Line {
	l := Line{Topic: "rights"}
	why, do := p.lacks()
	switch {
	case p.err != nil:
		l.Why, l.Do = "/proc/self/status: "+cause(p.err), "run as root"
	case why != "":
		l.Answer, l.Why, l.Do = No, why, do
	case p.has(capSysAdmin):
		l.Answer, l.Why = Yes, "CAP_SYS_ADMIN, and the right to write tracefs"
	default:
		l.Answer, l.Why = Yes, "the right to write tracefs; to mount it, and to measure layouts, would need CAP_SYS_ADMIN"
	}
	return l
}

// lacks tells which rights are not there, "" where they are.
func (p process) lacks() (why, do string) {
	switch {
	case p.err != nil:
		return "", ""
	case p.nested:
		return "rights of a user namespace do not count for tracing", "run as root outside of it, on the host"
	case p.uid != 0 && !p.has(capDACOverride):
		return fmt.Sprintf("user %d has no right to tracefs, which is root's", p.uid),
			"run as root, or with CAP_DAC_OVERRIDE (and CAP_PERFMON or CAP_SYS_ADMIN, to read through perf)"
	}
	return "", ""
}

func (p process) checkSeccomp() Line {
	l := Line{Topic: "no seccomp filter", Note: true}
	switch p.seccomp {
	case -1:
		l.Why = "/proc/self/status does not say"
	case 0:
		l.Answer, l.Why = Yes, "no filter of system calls"
	default:
		// A filter may well allow what is needed: that is not seen here.
		l.Why, l.Do = "system calls are filtered, as in a container", "nothing, unless perf is refused below: docker run --security-opt seccomp=unconfined"
	}
	return l
}

// checkContainer looks for namespaces other than the first ones.
func (fs FS) checkContainer(p process) Line {
	l := Line{Topic: "outside of containers", Note: true}
	first := map[string]string{"user": firstUserNS, "pid": firstPIDNS}
	var inside []string
	known := 0
	for _, ns := range []string{"user", "pid"} {
		link, err := os.Readlink(fs.path("proc/self/ns/" + ns))
		if err != nil {
			continue
		}
		known++
		if link != first[ns] {
			inside = append(inside, ns)
		}
	}
	self, err1 := os.Readlink(fs.path("proc/self/ns/net"))
	init, err2 := os.Readlink(fs.path("proc/1/ns/net"))
	if err1 == nil && err2 == nil && self != init {
		inside = append(inside, "net")
	}
	switch {
	case known == 0:
		l.Why = "/proc/self/ns cannot be read"
	case len(inside) == 0:
		l.Answer, l.Why = Yes, "first user and pid namespaces"
	default:
		l.Answer, l.Why = No, "another namespace: "+strings.Join(inside, ", ")+"; the events of the whole machine are seen all the same"
		if p.nested {
			l.Do = "run on the host"
		}
	}
	return l
}
