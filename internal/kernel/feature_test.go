package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a file system of these files; one that starts with "->" is a
// symbolic link.
func tree(t *testing.T, files map[string]string) FS {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "->"); ok {
			if err := os.Symlink(target, p); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return FS{root}
}

// healthy is Debian 12 as root, with all that is needed.
var healthy = map[string]string{
	"proc/self/status":                      "Name:\tskprobe\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n",
	"proc/self/mounts":                      "proc /proc proc rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\ndebugfs /sys/kernel/debug debugfs rw 0 0\n",
	"proc/filesystems":                      "nodev\ttracefs\n",
	"proc/kallsyms":                         "ffffffff81000000 T _stext\n",
	"proc/sys/kernel/osrelease":             "6.1.0-50-cloud-amd64\n",
	"proc/sys/kernel/kptr_restrict":         "0\n",
	"proc/sys/kernel/perf_event_paranoid":   "3\n",
	"proc/sys/kernel/ftrace_enabled":        "1\n",
	"proc/self/ns/user":                     "->user:[4026531837]",
	"proc/self/ns/pid":                      "->pid:[4026531836]",
	"proc/self/ns/net":                      "->net:[4026531840]",
	"proc/1/ns/net":                         "->net:[4026531840]",
	"sys/kernel/tracing/kprobe_events":      "",
	"sys/kernel/debug/kprobes/enabled":      "1\n",
	"sys/kernel/debug/kprobes/blacklist":    "0xffffffff81000000-0xffffffff81000010\tdo_int3\n",
	"sys/kernel/security/lockdown":          "none [integrity] confidentiality\n",
	"sys/kernel/btf/vmlinux":                "x",
	"boot/config-6.1.0-50-cloud-amd64":      "# CONFIG_X is not set\nCONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y\n",
	"sys/kernel/tracing/available_filter":   "",
	"sys/kernel/debug/tracing/some/content": "",
}

// lines are those of all sections.
func lines(fs FS) []Line {
	var all []Line
	for _, s := range fs.Check() {
		all = append(all, s.Lines...)
	}
	return all
}

func TestCheckHealthy(t *testing.T) {
	for _, l := range lines(tree(t, healthy)) {
		if l.Answer != Yes || l.Do != "" {
			t.Errorf("%s", l)
		}
	}
}

// TestCheckNothing: what cannot be read is unknown, not a refusal.
func TestCheckNothing(t *testing.T) {
	for _, l := range lines(FS{t.TempDir()}) {
		want := Unknown
		switch l.Topic {
		case "architecture":
			want = Yes
		case "type information (BTF)": // absent is absent
			want = No
		}
		if l.Answer != want || l.Why == "" {
			t.Errorf("%s, want %s", l, want)
		}
	}
}

func TestCheckObstacles(t *testing.T) {
	for _, c := range []struct {
		file, text, topic string
		want              Answer
		why               string
	}{
		{"sys/kernel/security/lockdown", "none integrity [confidentiality]", "lockdown allows probes", No, "confidentiality"},
		{"sys/kernel/security/lockdown", "[none] integrity confidentiality", "lockdown allows probes", Yes, "none"},
		{"sys/kernel/security/lockdown", "what", "lockdown allows probes", Unknown, "what"},
		{"sys/kernel/debug/kprobes/enabled", "0\n", "kprobes armed", No, "enabled is 0"},
		{"proc/sys/kernel/ftrace_enabled", "0\n", "function tracing on", No, "ftrace_enabled is 0"},
		{"proc/kallsyms", "0000000000000000 T _stext\n", "addresses of symbols", No, "hidden"},
		{"proc/kallsyms", "", "addresses of symbols", No, "empty"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n", "rights", No, "user 1000"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n", "perf may be used", No, "paranoid is 3"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n", "no seccomp filter", Unknown, "filtered"},
		{"proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n", "rights", Yes, "to mount it"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000004000000000\n", "rights", No, "no right to tracefs"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000004000000002\n", "rights", Yes, "the right to write tracefs"},
		{"proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000004000000002\n", "perf may be used", No, "CAP_PERFMON is not enough"},
		{"proc/self/status", "CapEff:\tnonsense\n", "rights", Unknown, "nonsense"},
		{"proc/self/ns/user", "->user:[4026532000]", "rights", No, "user namespace"},
		{"proc/self/ns/user", "->user:[4026532000]", "outside of containers", No, "user"},
		{"proc/self/ns/pid", "->pid:[4026532001]", "outside of containers", No, "pid"},
		{"proc/self/ns/net", "->net:[4026532002]", "outside of containers", No, "net"},
		{"proc/self/mounts", "proc /proc proc rw 0 0\n", "tracefs mounted", Yes, "where nobody else sees it"},
		{"proc/self/mounts", "proc /proc proc rw 0 0\n", "kprobe events", Unknown, "not mounted"},
		{"proc/self/mounts", "t /sys/kernel/btf tracefs rw 0 0\n", "kprobe events", No, "has no kprobe_events"},
		{"proc/sys/kernel/osrelease", "2.6.32-754.el6.x86_64", "release", Unknown, "before 3.10"},
		{"proc/sys/kernel/osrelease", "custom", "release", Unknown, "not a kernel release"},
		{"boot/config-6.1.0-50-cloud-amd64", "CONFIG_KPROBES=y\n", "built with kprobe events", No, "KPROBE_EVENTS is not set"},
		{"proc/sys/kernel/osrelease", "6.2.0", "built with kprobe events", Unknown, "no configuration"},
	} {
		files := map[string]string{}
		for k, v := range healthy {
			files[k] = v
		}
		files[c.file] = c.text
		seen := false
		for _, l := range lines(tree(t, files)) {
			if l.Topic != c.topic {
				continue
			}
			seen = true
			if l.Answer != c.want || !strings.Contains(l.Why, c.why) {
				t.Errorf("%s = %q: %s; want %s, %q", c.file, c.text, l, c.want, c.why)
			}
			if l.Answer == No && l.Do == "" && !strings.Contains(l.Why, "all the same") && !strings.Contains(l.Why, "empty") {
				t.Errorf("%s: no next step", l)
			}
		}
		if !seen {
			t.Errorf("no line about %s", c.topic)
		}
	}
}

func TestObstacle(t *testing.T) {
	user := "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n"
	for _, c := range []struct{ file, text, why string }{
		{"proc/1/x", "", ""},
		{"sys/kernel/security/lockdown", "none integrity [confidentiality]", "mode confidentiality allows neither"},
		{"proc/self/status", user, "user 1000 has no right to tracefs"},
		{"proc/self/ns/user", "->user:[4026532000]", "rights of a user namespace"},
	} {
		files := map[string]string{}
		for k, v := range healthy {
			files[k] = v
		}
		files[c.file] = c.text
		why, do := tree(t, files).Obstacle()
		if !strings.Contains(why, c.why) || (why == "") != (c.why == "") || (why == "") != (do == "") {
			t.Errorf("%s = %q: %q, %q; want %q", c.file, c.text, why, do, c.why)
		}
	}
}
