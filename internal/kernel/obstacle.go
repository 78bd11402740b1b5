package kernel

// Obstacle tells what keeps this process from tracing, after the kernel refused
// something that root may do, and what would have to change. It is "" where
// nothing is seen that does.
func (fs FS) Obstacle() (why, do string) {
	if why, do := fs.LockedDown(); why != "" {
		return why, do
	}
	p := fs.process()
	if why, do := p.lacks(); why != "" {
		return why, do
	}
	if _, err := fs.line("sys/kernel/security/lockdown"); err != nil && p.has(capSysAdmin) {
		return "the kernel refuses it to root", "a security module may forbid it, or lockdown=confidentiality; /sys/kernel/security/lockdown, where securityfs is mounted, would tell"
	}
	return "", ""
}

// LockedDown is Obstacle for the kernel's lockdown alone.
func (fs FS) LockedDown() (why, do string) {
	if mode, err := fs.lockdown(); err != nil || mode != confidentiality {
		return "", ""
	}
	return "the kernel is locked down: mode confidentiality allows neither kprobes nor tracefs nor perf", lockdownDo
}
