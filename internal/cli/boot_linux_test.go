package cli_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// The tests here are for kernels that were started in a special way: see
// scripts/boots.

// lockdown is the mode in force.
func lockdown(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}

// Under lockdown=integrity, which Secure Boot sets, everything works.
func TestBootIntegrity(t *testing.T) {
	testkernel.Needs(t, testkernel.Booted("lockdown=integrity"))
	needs(t)
	if mode := lockdown(t); mode != "integrity" {
		t.Fatalf("lockdown is %s", mode)
	}
	// It is in force: what it forbids is refused.
	if _, err := os.OpenFile("/dev/mem", os.O_RDONLY, 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("/dev/mem: %v", err)
	}
	testkernel.NetNS(t)
	for _, backend := range []string{"perf", "tracefs"} {
		r := clitest.Start(t, "udp", "--send", "--backend", backend, "--format", "json", "--where", "rport == 9")
		if err := send("127.0.0.1:9", 20); err != nil {
			t.Fatal(err)
		}
		if events := r.Stop().OK().Events(); len(events) != 1 || events[0]["size"] != 20 {
			t.Errorf("%s: %v", backend, events)
		}
	}
	clitest.Do(t, "calibrate").OK()
	d := report(t, clitest.Do(t, "doctor", "--format", "json").OK())
	if d.Works != "yes" {
		t.Errorf("doctor: %+v", d)
	}
	for _, tool := range d.Tools {
		if tool.Answer == "no" {
			t.Errorf("doctor: %+v", tool)
		}
	}
	if r := clitest.Do(t, "doctor"); !strings.Contains(r.Stdout, "mode integrity") {
		t.Errorf("doctor:\n%s", r.Stdout)
	}
}

// Under lockdown=confidentiality nothing works, and one line says why and what
// would have to change.
func TestBootConfidentiality(t *testing.T) {
	testkernel.Needs(t, testkernel.Booted("lockdown=confidentiality"), testkernel.Root)
	if mode := lockdown(t); mode != "confidentiality" {
		t.Fatalf("lockdown is %s", mode)
	}
	says := []string{"locked down", "confidentiality", "boot with lockdown=integrity"}
	for _, args := range [][]string{{"udp"}, {"udp", "--backend", "perf"}, {"udp", "--backend", "tracefs"}, {"udp", "--", "true"}, {"tcpstates"},
		{"probe", "ip_rcv skb:packet"}, {"udp", "--layout", "calibrate"}, {"calibrate"}, {"cleanup"}} {
		refusedIn(t, clitest.Do(t, args...), says...)
	}
	d := report(t, clitest.Do(t, "doctor", "--format", "json").Is(3))
	if d.Works != "no" || !strings.Contains(d.Verdict, "confidentiality") || !strings.Contains(d.Do, "boot with lockdown=integrity") {
		t.Errorf("doctor: %+v", d)
	}
	clitest.Do(t, "vars", "udp_sendmsg").OK() // BTF is no secret
}

// Without IPv6 everything works for IPv4, and layouts are measured without it.
func TestBootNoIPv6(t *testing.T) {
	testkernel.Needs(t, testkernel.Booted("ipv6.disable=1"))
	needs(t)
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		t.Fatal("there is IPv6")
	}
	testkernel.NetNS(t)
	for _, layout := range []string{"btf", "calibrate"} {
		r := clitest.Start(t, "udp", "--layout", layout, "--format", "json", "--where", "lport == 9 or rport == 9")
		if err := echo("127.0.0.1:9", 20); err != nil {
			t.Fatal(err)
		}
		result := r.Stop().OK()
		events := result.Events()
		if len(events) != 2 || events[0]["event"] != "udp.sendmsg" || events[1]["event"] != "udp.recvmsg" {
			t.Fatalf("%s: %v\n%s", layout, events, result.Stderr)
		}
		for _, e := range events {
			if e["family"] != "inet" || e["size"] != 20 || e["raddr"] != "127.0.0.1" {
				t.Errorf("%s: %v", layout, e)
			}
		}
	}
	r := clitest.Do(t, "calibrate").OK()
	if !strings.Contains(r.Stderr+r.Stdout, "no IPv6") {
		t.Errorf("calibrate:\n%s%s", r.Stdout, r.Stderr)
	}
	d := report(t, clitest.Do(t, "doctor", "--format", "json").OK())
	if d.Works != "yes" {
		t.Errorf("doctor: %+v", d)
	}
}
