package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someSymbols = `ffffffff81000000 T _stext
ffffffff81000100 T tcp_connect
ffffffff81000200 t udp_send_skb.isra.0
ffffffff81000300 t arp_process
ffffffff81000400 t __netif_receive_skb_core.constprop.0
ffffffff81000480 t __netif_receive_skb_core.constprop.0.cold
ffffffff81000500 t skb_release_data.part.0
ffffffff81000580 t skb_release_data.part.1
ffffffff81000600 t type_show
ffffffff81000700 t type_show
ffffffff81000800 t ip_rcv_core.llvm.1234567
ffffffff81000900 t __pfx_tcp_connect
ffffffff82000000 D tcp_prot
ffffffff82000100 d udp_sendmsg_not_a_function
000000000001a000 A __per_cpu_start
ffffffffc0100000 t br_dev_xmit	[bridge]
ffffffffc0100100 t type_show	[bridge]
ffffffffc0200000 t nf_confirm	[nf_conntrack]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530	[bpf]
ffffffffc0300000 t kprobe_optinsn_page	[__builtin__kprobes]
`

func TestFindSymbols(t *testing.T) {
	found, err := FindSymbols(strings.NewReader(someSymbols),
		"tcp_connect", "udp_send_skb", "__netif_receive_skb_core", "type_show", "br_dev_xmit", "tcp_prot", "absent", "bpf_prog_6deef7357e7b4530")
	if err != nil {
		t.Fatal(err)
	}
	show := func(list []Symbol) string {
		var parts []string
		for _, s := range list {
			parts = append(parts, fmt.Sprintf("%x %c %s %s", s.Addr, s.Type, s.Name, s.Module))
		}
		return strings.Join(parts, ", ")
	}
	for name, want := range map[string][2]string{
		"tcp_connect":               {"ffffffff81000100 T tcp_connect ", ""},
		"udp_send_skb":              {"", "ffffffff81000200 t udp_send_skb.isra.0 "},
		"__netif_receive_skb_core":  {"", "ffffffff81000400 t __netif_receive_skb_core.constprop.0 "},
		"type_show":                 {"ffffffff81000600 t type_show , ffffffff81000700 t type_show , ffffffffc0100100 t type_show bridge", ""},
		"br_dev_xmit":               {"ffffffffc0100000 t br_dev_xmit bridge", ""},
		"tcp_prot":                  {"", ""},
		"absent":                    {"", ""},
		"bpf_prog_6deef7357e7b4530": {"", ""},
	} {
		f := found[name]
		if got := [2]string{show(f.Exact), show(f.Suffixed)}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestParseSymbol(t *testing.T) {
	for line, want := range map[string]string{
		"0000000000000000 T udp_sendmsg":      "0 T udp_sendmsg ",
		"          (null) T udp_sendmsg":      "0 T udp_sendmsg ",
		"ffffffc008010000 t foo\t[nf_nat]\n":  "ffffffc008010000 t foo nf_nat",
		"FFFF8000 b a":                        "ffff8000 b a ",
		"ffffffff81000000 T foo\r\n":          "ffffffff81000000 T foo ",
		"ffffffff81000000":                    "refused",
		"ffffffff81000000 T":                  "refused",
		"ffffffff81000000 T ":                 "refused",
		"ffffffff81000000 T \t[module]":       "refused",
		"xfffffff81000000 T foo":              "refused",
		" T foo":                              "refused",
		"(null)":                              "refused",
		"ffffffff81000000  foo bar":           "refused",
		"\x00\x00":                            "refused",
		"ffffffff81000000 T foo [not_module]": "ffffffff81000000 T foo [not_module] ",
	} {
		got := "refused"
		if l, ok := parseSymbol([]byte(line)); ok {
			got = fmt.Sprintf("%x %c %s %s", l.addr(), l.kind, l.name, l.module)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
	if _, err := FindSymbols(strings.NewReader("ffffffff81000000 T a\nnonsense\n"), "a"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("nonsense in line 2: %v", err)
	}
}

func TestGlob(t *testing.T) {
	for pattern, want := range map[string]string{
		"tcp_*":          "tcp_connect",
		"*_show":         "type_show type_show bridge:type_show",
		"bridge:*":       "bridge:br_dev_xmit bridge:type_show",
		"nf-conntrack:*": "nf_conntrack:nf_confirm",
		"vmlinux:type_*": "type_show type_show",
		"__*":            "__netif_receive_skb_core.constprop.0",
		"bpf_*":          "",
		"nothing?":       "",
	} {
		list, err := Glob(strings.NewReader(someSymbols), pattern)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range list {
			if s.Module != "" {
				s.Name = s.Module + ":" + s.Name
			}
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	for _, bad := range []string{"", "bridge:", "a["} {
		if _, err := Glob(strings.NewReader(""), bad); err == nil {
			t.Errorf("pattern %q was taken", bad)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		candidates, want, why string
	}{
		{"tcp_connect", "tcp_connect", ""},
		{"absent tcp_connect", "tcp_connect", "absent: not there (inlined, removed, or in a module that is not loaded)"},
		{"udp_send_skb arp_process", "arp_process", "udp_send_skb: only as udp_send_skb.isra.0, whose parameters may have moved"},
		{"type_show udp_send_skb", "udp_send_skb.isra.0 (unverified)", "type_show: this kernel has 3 functions of that name"},
		{"bridge:type_show", "bridge:type_show", ""},
		{"bridge:nf_confirm nf-conntrack:nf_confirm", "nf_conntrack:nf_confirm", "bridge:nf_confirm: not in module bridge, or module bridge is not loaded"},
		{"skb_release_data", "", "no function to probe on this kernel: skb_release_data: only as 2 copies of the compiler, the first skb_release_data.part.0"},
		{"", "", "no function to probe"},
	} {
		names := strings.Fields(c.candidates)
		var plain []string
		for _, n := range names {
			plain = append(plain, n[strings.Index(n, ":")+1:])
		}
		found, err := FindSymbols(strings.NewReader(someSymbols), plain...)
		if err != nil {
			t.Fatal(err)
		}
		choice, err := Choose(found, names)
		got, why := choice.Symbol.Name, choice.Why()
		if choice.Symbol.Module != "" {
			got = choice.Symbol.Module + ":" + got
		}
		if choice.Unverified {
			got += " (unverified)"
		}
		if err != nil {
			if _, ok := errors.AsType[*NoSymbolError](err); !ok {
				t.Errorf("%s: error of type %T", c.candidates, err)
			}
			why = err.Error()
		}
		if got != c.want || why != c.why {
			t.Errorf("%s: %q because %q, want %q because %q", c.candidates, got, why, c.want, c.why)
		}
	}
}

func TestNear(t *testing.T) {
	members := []string{"skc_daddr", "skc_rcv_saddr", "skc_dport", "skc_num", "skc_family", "skc_state", "sk_rcvbuf"}
	for name, want := range map[string][]string{
		"skc_dprot":   {"skc_dport"},
		"dport":       {"skc_dport"},
		"skc_famly":   {"skc_family"},
		"skc_daddrr":  {"skc_daddr"},
		"skc_dadddrr": {"skc_daddr"},
		"nothing_is":  nil,
		"":            nil,
	} {
		if d := cmp.Diff(want, Near(name, members)); d != "" {
			t.Errorf("%q: %s", name, d)
		}
	}
	got, err := NearFunctions(strings.NewReader(someSymbols), "tcp_conect")
	if err != nil || len(got) != 1 || got[0] != "tcp_connect" {
		t.Errorf("tcp_conect: %q, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	table, err := readTable(strings.NewReader(someSymbols + "ffffffff81000100 t __pfx_alias\nffffffff81000100 t static_alias\n"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[uint64]string{
		0xffffffff81000100:         "tcp_connect+0x0",
		0xffffffff810001ff:         "tcp_connect+0xff",
		0xffffffff82000010:         "tcp_prot+0x10",
		0xffffffffc0100004:         "br_dev_xmit+0x4 [bridge]",
		0xffffffff80ffffff:         "",
		0xffffffffc0300000 + 1<<21: "",
		0:                          "",
	} {
		name, module, off, ok := table.resolve(addr)
		got := ""
		if ok {
			got = fmt.Sprintf("%s+%#x", name, off)
		}
		if module != "" {
			got += " [" + module + "]"
		}
		if got != want {
			t.Errorf("%#x: %q, want %q", addr, got, want)
		}
	}
}

func FuzzKallsyms(f *testing.F) {
	f.Add([]byte(someSymbols))
	f.Add([]byte("          (null) T x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		FindSymbols(strings.NewReader(string(data)), "tcp_connect", "x")
		if table, err := readTable(strings.NewReader(string(data))); err == nil {
			table.resolve(0xffffffff81000180)
		}
	})
}

func BenchmarkFindSymbols(b *testing.B) {
	f, err := FS{}.Kallsyms()
	if err != nil {
		b.Skip(err)
	}
	data, err := io.ReadAll(f)
	f.Close()
	if err != nil || len(data) == 0 {
		b.Skip("kallsyms is empty: ", err)
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			FindSymbols(strings.NewReader(string(data)), "udp_sendmsg", "tcp_connect", "br_dev_xmit", "kfree_skb")
		}
	})
	b.Run("kernel", func(b *testing.B) {
		for b.Loop() {
			f, _ := os.Open("/proc/kallsyms")
			FindSymbols(f, "udp_sendmsg", "tcp_connect", "br_dev_xmit", "kfree_skb")
			f.Close()
		}
	})
	b.Run("table", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readTable(strings.NewReader(string(data)))
		}
	})
	b.Run("near", func(b *testing.B) {
		for b.Loop() {
			NearFunctions(strings.NewReader(string(data)), "udp_sendmgs")
		}
	})
}
