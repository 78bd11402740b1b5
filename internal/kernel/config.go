package kernel

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"strings"
)

// checkConfig looks into the kernel's configuration, which explains and
// decides nothing: it may be missing, or be another kernel's.
func (fs FS) checkConfig() Line {
	l := Line{Topic: "built with kprobe events", Note: true}
	file, r, err := fs.openConfig()
	if err != nil {
		l.Why = "not known: no configuration of this kernel is installed"
		return l
	}
	defer r.Close()
	kprobes, events := false, false
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		switch sc.Text() {
		case "CONFIG_KPROBES=y":
			kprobes = true
		case "CONFIG_KPROBE_EVENTS=y", "CONFIG_KPROBE_EVENT=y":
			events = true
		}
	}
	switch {
	case sc.Err() != nil:
		l.Why = file + ": " + cause(sc.Err())
	case kprobes && events:
		l.Answer, l.Why = Yes, "CONFIG_KPROBE_EVENTS=y in "+file
	case kprobes:
		l.Answer, l.Why, l.Do = No, "CONFIG_KPROBE_EVENTS is not set in "+file, "use a kernel that has it"
	default:
		l.Answer, l.Why, l.Do = No, "CONFIG_KPROBES is not set in "+file, "use a kernel that has it"
	}
	return l
}

func (fs FS) openConfig() (string, io.ReadCloser, error) {
	if f, err := os.Open(fs.path("proc/config.gz")); err == nil {
		z, err := gzip.NewReader(f)
		if err == nil {
			return "/proc/config.gz", struct {
				io.Reader
				io.Closer
			}{z, f}, nil
		}
		f.Close()
	}
	release, err := fs.line("proc/sys/kernel/osrelease")
	if err != nil {
		return "", nil, err
	}
	file := "boot/config-" + strings.ReplaceAll(release, "/", "_")
	f, err := os.Open(fs.path(file))
	return "/" + file, f, err
}
