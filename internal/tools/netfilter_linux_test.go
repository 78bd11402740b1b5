package tools_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/packet/packettest"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// Rules of both ends of a wire. The comments tell which rule counts what.
const (
	nftSender = `
table inet guard {
	chain out {
		type filter hook output priority 0; policy accept;
		udp dport 99 counter drop comment "sender"
	}
}`
	nftReceiver = `
table inet filter {
	chain early {
		type filter hook input priority -10; policy accept;
		tcp dport 8 counter accept comment "early"
	}
	chain input {
		type filter hook input priority 0; policy accept;
		tcp dport 7 counter drop comment "tcp"
		udp dport 9 counter reject comment "udp"
	}
	chain pre {
		type filter hook prerouting priority 0; policy accept;
	}
}
table netdev edge {
	chain in {
		type filter hook ingress device veth1 priority 0; policy accept;
		udp dport 11 counter drop comment "edge"
	}
}`
)

// What real rules do to real traffic is what their counters say.
func TestNetfilter(t *testing.T) {
	needsKprobes(t)
	testkernel.Needs(t, testkernel.Program("nft"), testkernel.Program("ping"), testkernel.Program("nc"),
		testkernel.Module("nf_tables"), testkernel.Module("nft_reject_inet"))
	_ = testkernel.Module("nft_counter")() // in nf_tables itself since 5.18
	if clitest.Calibrated() {              // hooks are not measured: nobody gets something else for one
		if said := clitest.Do(t, "netfilter", "--hook", "output").Is(2).Stderr; !strings.Contains(said, `no field "hook"`) {
			t.Errorf("--hook without hooks: %s", said)
		}
	}
	a, b := testkernel.NetNSPair(t)
	a.Do(func() { nft(t, nftSender) })
	b.Do(func() { nft(t, nftReceiver) })
	var wrong []string
	for range 3 { // the kernel can miss a hit in softirq
		if wrong = netfilterRound(t, a, b); len(wrong) == 0 {
			return
		}
		t.Log("once more, after ", wrong)
	}
	t.Error(strings.Join(wrong, "\n"))
}

// netfilterRound makes traffic from a to b, and returns what is wrong with what
// is shown of it.
func netfilterRound(t *testing.T, a, b *testkernel.Namespace) (wrong []string) {
	t.Helper()
	miss := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	before := map[string]int{}
	a.Do(func() { nftCounters(t, before) })
	b.Do(func() { nftCounters(t, before) })
	all := clitest.Start(t, "netfilter", "--format", "json", "--with", "netns")
	file := filepath.Join(t.TempDir(), "x.pcapng")
	drops := clitest.Start(t, "netfilter", "--format", "json", "--drops", "--netns", b.Path(), "-w", file, "--print")
	hook := []string{"--hook", "output"}
	if clitest.Calibrated() {
		hook = nil
	}
	output := clitest.Start(t, append([]string{"netfilter", "--format", "json", "--netns", a.Path()}, hook...)...)
	a.Do(func() {
		for _, to := range []string{b.Addr4.String(), b.Addr6.String()} {
			if err := testkernel.Start(t, nil, "ping", "-c", "2", "-i", "0.2", to).Wait(); err != nil {
				t.Error(err)
			}
			for _, how := range []string{"-w 1 -z " + to + " 7", "-w 1 -z " + to + " 8", "-u -w 1 " + to + " 9", "-u -w 1 " + to + " 11", "-u -w 1 " + to + " 99"} {
				_ = testkernel.Start(t, nil, "sh", "-c", "echo hello | exec nc "+how).Wait() // most fail, as they should
			}
		}
	})
	testkernel.Delivered(t)
	counters := map[string]int{}
	a.Do(func() { nftCounters(t, counters) })
	b.Do(func() { nftCounters(t, counters) })
	events := all.Stop().OK().Events()

	here, there := int(a.Inode()), int(b.Inode())
	for _, want := range []clitest.Event{
		{"netns": there, "pf": "ip", "hook": "input", "verdict": "accept", "proto": "icmp", "indev": "veth1", "saddr": "192.0.2.1", "daddr": "192.0.2.2"},
		{"netns": there, "pf": "ip6", "hook": "input", "verdict": "accept", "proto": "icmp6", "indev": "veth1", "saddr": "2001:db8::1"},
		{"netns": there, "pf": "ip", "hook": "input", "verdict": "drop", "proto": "tcp", "dport": 7, "flags": "SYN", "error": -1, "table": "filter", "chain": "input"},
		{"netns": there, "pf": "ip6", "hook": "input", "verdict": "drop", "proto": "tcp", "dport": 7, "daddr": "2001:db8::2", "table": "filter", "chain": "input"},
		{"netns": there, "pf": "ip", "hook": "input", "verdict": "drop", "proto": "udp", "dport": 9, "len": 34, "table": "filter", "chain": "input"},
		{"netns": there, "pf": "ip", "hook": "prerouting", "verdict": "accept", "proto": "tcp", "dport": 7, "flags": "SYN", "indev": "veth1"},
		{"netns": there, "hook": "ingress", "verdict": "drop", "proto": "udp", "dport": 11, "table": "edge", "chain": "in", "indev": "veth1"},
		{"netns": here, "pf": "ip", "hook": "output", "verdict": "accept", "proto": "icmp", "comm": "ping", "outdev": "veth0"},
		{"netns": here, "pf": "ip", "hook": "output", "verdict": "drop", "proto": "udp", "dport": 99, "comm": "nc", "table": "guard", "chain": "out", "error": -1},
	} {
		if !hasModuleTypes() || clitest.Calibrated() { // no BTF of modules before 5.11
			delete(want, "table")
			delete(want, "chain")
		}
		if len(clitest.Select(events, want)) == 0 {
			miss("not shown: %v", want)
		}
	}
	for _, e := range events {
		if e["verdict"] == "accept" && (e["table"] != nil || e["chain"] != nil || e["error"] != nil) {
			t.Errorf("accepted: %v", e)
		}
		if e["hook"] == "input" && e["pid"] != nil {
			t.Errorf("a bystander: %v", e)
		}
	}
	for comment, want := range map[string]clitest.Event{
		"sender": {"hook": "output", "verdict": "drop", "dport": 99}, "tcp": {"hook": "input", "verdict": "drop", "dport": 7},
		"udp": {"hook": "input", "verdict": "drop", "dport": 9}, "edge": {"hook": "ingress", "verdict": "drop", "dport": 11},
		"early": {"hook": "input", "verdict": "accept", "dport": 8},
	} {
		if comment == "early" && clitest.Calibrated() {
			continue // at other hooks it is accepted too
		}
		if n, counted := len(clitest.Select(events, want)), counters[comment]-before[comment]; n != counted || n == 0 {
			miss("%s: %d events, the rule has counted %d", comment, n, counted)
		}
	}
	ended := drops.Stop().OK()
	dropped := ended.Events()
	if n, want := len(dropped), len(clitest.Select(events, clitest.Event{"netns": there, "verdict": "drop"})); n != want {
		miss("--drops in one namespace: %d of %d", n, want)
	}
	if absent := session.AbsentColumns + "pf, hook, indev, outdev (-v"; strings.Count(ended.Stderr, absent) != 1 && clitest.Calibrated() {
		t.Errorf("it does not say in a line what is absent:\n%s", ended.Stderr)
	}
	if strings.Contains(ended.Stderr, "waiting for module") {
		t.Errorf("it waits for a module without which it shows all that there is:\n%s", ended.Stderr)
	}
	hookPackets(t, dropped, clitest.ReadPackets(t, file))
	// What the kernel sends by itself, as neighbour discovery, need not be in both.
	nc := clitest.Event{"hook": "output", "comm": "nc"}
	if n, want := len(clitest.Select(output.Stop().OK().Events(), nc)), len(clitest.Select(events, nc)); n != want || n == 0 {
		miss("--hook output: %d of %d", n, want)
	}
	return wrong
}

// hookPackets compares the packets that were written with the events that were
// shown of them.
func hookPackets(t *testing.T, events []clitest.Event, packets []clitest.Packet) {
	t.Helper()
	if len(packets) != len(events) {
		t.Fatalf("%d packets of %d events", len(packets), len(events))
	}
	for i, p := range packets {
		e, frame := events[i], p.Frame
		if !p.Ethernet {
			ethertype := "\x08\x00"
			if strings.Contains(fmt.Sprint(e["saddr"]), ":") {
				ethertype = "\x86\xdd"
			}
			frame = slices.Concat(make([]byte, 12), []byte(ethertype), frame)
		}
		shown := packettest.Columns(frame)
		for _, name := range []string{"proto", "saddr", "daddr", "sport", "dport"} {
			if fmt.Sprint(e[name]) != shown[name] {
				t.Errorf("%s of %v is %s in the packet", name, e, shown[name])
			}
		}
		want := fmt.Sprintf("netfilter.hook pf=%v hook=%v verdict=drop indev=veth1", e["pf"], e["hook"])
		if clitest.Calibrated() {
			want = "netfilter.hook verdict=drop"
		}
		if !strings.HasPrefix(p.Comment, want) || p.Dev != "veth1" {
			t.Errorf("of %s, %s\nwant veth1, %s", p.Dev, p.Comment, want)
		}
	}
}

// hasModuleTypes tells whether the kernel tells of the structs of nf_tables.
func hasModuleTypes() bool {
	return exec.Command("test", "-e", "/sys/kernel/btf/nf_tables").Run() == nil
}

// nft loads rules.
func nft(t testing.TB, rules string) {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

// nftCounters reads what rules have counted, by their comments.
func nftCounters(t testing.TB, counters map[string]int) {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	for _, m := range regexp.MustCompile(`counter packets (\d+) .*comment "(\w+)"`).FindAllStringSubmatch(string(out), -1) {
		counters[m[2]], _ = strconv.Atoi(m[1])
	}
}
