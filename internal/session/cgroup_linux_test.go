package session

import "testing"

const mounts = `25 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
32 25 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
33 25 0:29 / /sys/fs/cgroup/perf_event rw,nosuid shared:10 - cgroup cgroup rw,perf_event
34 25 0:30 /docker/c0ffee /mnt/v1 rw,nosuid shared:11 - cgroup cgroup rw,xattr,cpu,cpuacct
`

func TestCgroup(t *testing.T) {
	for _, test := range []struct {
		dir, processes string
		want           bool
	}{
		{"/sys/fs/cgroup/web", "0::/web\n", true},
		{"/sys/fs/cgroup/web", "0::/web/one\n", true},
		{"/sys/fs/cgroup/web", "0::/website\n", false},
		{"/sys/fs/cgroup/web", "3:perf_event:/web\n0::/\n", false},
		{"/sys/fs/cgroup", "0::/anything\n", true},
		{"/sys/fs/cgroup/perf_event/web", "3:perf_event:/web\n0::/\n", true},
		{"/sys/fs/cgroup/perf_event/web", "3:perf_event:/\n0::/web\n", false},
		{"/mnt/v1/sub", "2:cpu,cpuacct:/docker/c0ffee/sub/deep\n", true},
		{"/mnt/v1/sub", "2:cpu,cpuacct:/docker/other/sub\n", false},
	} {
		c, ok := cgroupOf(test.dir, mounts)
		if !ok {
			t.Errorf("%s: in no hierarchy", test.dir)
		} else if got := c.contains(test.processes); got != test.want {
			t.Errorf("%s (%q, %q) has %q: %t", test.dir, c.hierarchy, c.path, test.processes, got)
		}
	}
	if c, ok := cgroupOf("/srv/web", mounts); ok {
		t.Errorf("/srv/web is %v", c)
	}
}

func TestCgroupIn(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "/",
		"0::/\n":                           "/",
		"0::/system.slice/nginx.service\n": "/system.slice/nginx.service",
		"12:pids:/other\n1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n": "/system.slice/a.service",
		"12:pids:/docker/c0ffee\n1:name=systemd:/docker/feed\n0::/\n":                          "/docker/feed",
		"12:pids:/docker/c0ffee\n11:cpu,cpuacct:/docker/feed\n1:name=systemd:/\n":              "/docker/c0ffee",
		"1:name=systemd:/with:colons: in it\n":                                                 "/with:colons: in it",
	} {
		if got := cgroupIn(text); got != want {
			t.Errorf("%q is in %q, not in %q", text, got, want)
		}
	}
}
