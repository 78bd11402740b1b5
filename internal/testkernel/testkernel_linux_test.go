package testkernel

import (
	"errors"
	"slices"
	"testing"
)

func TestVerdict(t *testing.T) {
	met := func() error { return nil }
	unmet := func() error { return errors.New("program dig") }
	unmetToo := func() error { return errors.New("root") }
	old := func() error { return excuse{errors.New("kernel 6.9 or later, this is 6.1")} }
	for _, tt := range []struct {
		name string
		vm   bool
		reqs []Requirement
		skip bool
		msg  string
	}{
		{"all met", true, []Requirement{met}, false, ""},
		{"laptop", false, []Requirement{unmet, met, unmetToo}, true, "needs: program dig; root"},
		{"VM", true, []Requirement{unmet, met}, false, "needs: program dig"},
		{"VM, too old", true, []Requirement{unmet, old}, true, "needs: program dig; kernel 6.9 or later, this is 6.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			skip, msg := verdict(tt.vm, tt.reqs)
			if msg != tt.msg || msg != "" && skip != tt.skip {
				t.Errorf("got skip %v, %q; want %v, %q", skip, msg, tt.skip, tt.msg)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for in, want := range map[string][2]int{
		"6.9": {6, 9}, "6.1.0-50-cloud-amd64": {6, 1}, "7.3.4+deb13-cloud-amd64": {7, 3}, "3.10": {3, 10}, "6.12-rc1": {6, 12},
	} {
		major, minor, err := parseVersion(in)
		if err != nil || major != want[0] || minor != want[1] {
			t.Errorf("parseVersion(%q) = %d, %d, %v; want %v", in, major, minor, err, want)
		}
	}
	for _, in := range []string{"", "6", "six.one", "6."} {
		if _, _, err := parseVersion(in); err == nil {
			t.Errorf("parseVersion(%q) has no error", in)
		}
	}
}

func TestSince(t *testing.T) {
	if err := Since("2.6")(); err != nil {
		t.Error(err)
	}
	if err := Since("99.0")(); !errors.As(err, new(excuse)) {
		t.Errorf("got %v, want an excuse", err)
	}
}

func TestListsModule(t *testing.T) {
	const builtin = "kernel/net/sched/sch_fq.ko\nkernel/drivers/net/my-dev.ko\n"
	for name, want := range map[string]bool{"sch_fq": true, "my_dev": true, "fq": false, "veth": false} {
		if got := listsModule(builtin, name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestLeaks(t *testing.T) {
	got := leaks(stock{"file /a": 1, "file /b": 2}, stock{"file /a": 1, "file /b": 3, "event p:x/y": 1})
	want := []string{"event p:x/y (1)", "file /b (1)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGroupOwner(t *testing.T) {
	for definition, want := range map[string]int{
		"p:skprobe_812_77123/udp": 812, "r16:skprobe_7_1/x": 7, "p:kprobes/skprobe_8_1": 0, "p:skprobe_x/y": 0, "": 0,
	} {
		if got := groupOwner(definition); got != want {
			t.Errorf("%q: got %d, want %d", definition, got, want)
		}
	}
}

func TestHasLocalPort(t *testing.T) {
	const table = "  sl  local_address rem_address   st tx_queue\n  312: 0100007F:0035 00000000:0000 07 00000000:00000000\n"
	for port, want := range map[uint16]bool{53: true, 0: false, 35: false} {
		if got := hasLocalPort(table, port); got != want {
			t.Errorf("port %d: got %v", port, got)
		}
	}
}

func TestSoftnet(t *testing.T) {
	const before510, since510 = "000000ff 00000000 00000001\n00000002 00000000 00000000\n",
		"000000ff 0 0 0 0 0 0 0 0 0 0 00000010 00000000\n00000002 0 0 0 0 0 0 0 0 0 0 00000001 00000001 00000001 00000000\n"
	for text, want := range map[string][2]uint64{before510: {0, 0x101}, since510: {0x11, 0x101}, "": {}} {
		if waiting, processed := softnet(text); waiting != want[0] || processed != want[1] {
			t.Errorf("%q: %d wait, %d were taken", text, waiting, processed)
		}
	}
}
